// The gradient of one time step's cell: dm = left weight' (or left itself), then dz, which replaces the gates, and dc of the
// previous time step. A thread computes four units of four streams; a workgroup computes 32 units of 32 streams.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let u = block.x * 32u + (local % 8u) * 4u;
    let b = block.y * 32u + (local / 8u) * 4u;
    if (u >= params.hidden || b >= params.batch) {
        return;
    }
    // Units and streams past the end repeat the last one and are not stored.
    let rows = min(vec4<u32>(b, b + 1u, b + 2u, b + 3u), vec4<u32>(params.batch - 1u));
    let units = min(vec4<u32>(u, u + 1u, u + 2u, u + 3u), vec4<u32>(params.hidden - 1u));
    var at_left = starts.left + rows * params.depth;
    var sums = array<vec4<f32>, 4>();
    if (params.projected != 0u) {
        // Elements between units, and between terms.
        let strides = select(vec2<u32>(params.depth, 1u), vec2<u32>(1u, params.hidden), params.transposed != 0u);
        var at_weight = starts.weight + units * strides.x;
        for (var first = 0u; first < params.depth; first += DEPTH) {
            var sum0 = vec4<f32>();
            var sum1 = vec4<f32>();
            var sum2 = vec4<f32>();
            var sum3 = vec4<f32>();
            for (var k = first; k < min(first + DEPTH, params.depth); k += 1u) {
                let w = vec4<f32>(f32(weight[at_weight.x]), f32(weight[at_weight.y]), f32(weight[at_weight.z]), f32(weight[at_weight.w]));
                sum0 = fused(f32(left[at_left.x]), w, sum0);
                sum1 = fused(f32(left[at_left.y]), w, sum1);
                sum2 = fused(f32(left[at_left.z]), w, sum2);
                sum3 = fused(f32(left[at_left.w]), w, sum3);
                at_left += 1u;
                at_weight += strides.y;
            }
            sums[0] += sum0;
            sums[1] += sum1;
            sums[2] += sum2;
            sums[3] += sum3;
        }
    } else {
        for (var row = 0u; row < 4u; row += 1u) {
            let at = at_left[row] + units;
            sums[row] = vec4<f32>(f32(left[at.x]), f32(left[at.y]), f32(left[at.z]), f32(left[at.w]));
        }
    }
    for (var row = 0u; row < min(4u, params.batch - b); row += 1u) {
        for (var column = 0u; column < min(4u, params.hidden - u); column += 1u) {
            let at = (b + row) * params.hidden + u + column;
            var after = -0.0;
            if (params.carry != 0u) {
                after = dc[starts.dc + at];
            }
            let gates = vec4<f32>(z[starts.z + at]);
            let gradients = unit(sums[row][column], gates, c_before[starts.c_before + at], c[starts.c + at], after);
            z[starts.z + at] = Z(gradients.dz);
            dc[starts.dc + at] = gradients.dc;
        }
    }
}
