// The gates of one time step, z = [z +] left_g weight_g + bias, and the cell. A thread computes one unit of four streams, with
// the four gates as one vector; a workgroup computes 32 units of 8 streams.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let u = block.x * 32u + local % 32u;
    let b = block.y * 8u + (local / 32u) * 4u;
    if (u >= params.hidden || b >= params.batch) {
        return;
    }
    let units = params.hidden / params.groups;
    let g = u / units;
    // Streams past the end repeat the last one and are not stored.
    let rows = min(vec4<u32>(b, b + 1u, b + 2u, b + 3u), vec4<u32>(params.batch - 1u));
    var at_left = starts.left + rows * (params.groups * params.depth) + g * params.depth;
    var at_weight = starts.weight + g * (params.weight_group / 4u) + (u - g * units);
    // The previous value of z comes first, as in products.
    var total0 = vec4<f32>();
    var total1 = vec4<f32>();
    var total2 = vec4<f32>();
    var total3 = vec4<f32>();
    if (params.accumulate != 0u) {
        let at_z = starts.z + rows * params.hidden + u;
        total0 = vec4<f32>(z[at_z.x]);
        total1 = vec4<f32>(z[at_z.y]);
        total2 = vec4<f32>(z[at_z.z]);
        total3 = vec4<f32>(z[at_z.w]);
    }
    for (var first = 0u; first < params.depth; first += DEPTH) {
        var sum0 = vec4<f32>();
        var sum1 = vec4<f32>();
        var sum2 = vec4<f32>();
        var sum3 = vec4<f32>();
        for (var k = first; k < min(first + DEPTH, params.depth); k += 1u) {
            let w = vec4<f32>(weight[at_weight]);
            sum0 = fused(f32(left[at_left.x]), w, sum0);
            sum1 = fused(f32(left[at_left.y]), w, sum1);
            sum2 = fused(f32(left[at_left.z]), w, sum2);
            sum3 = fused(f32(left[at_left.w]), w, sum3);
            at_left += 1u;
            at_weight += units;
        }
        total0 += sum0;
        total1 += sum1;
        total2 += sum2;
        total3 += sum3;
    }
    let bias_of_unit = bias[starts.bias + u];
    let totals = array<vec4<f32>, 4>(total0, total1, total2, total3);
    for (var row = 0u; row < min(4u, params.batch - b); row += 1u) {
        let at = (b + row) * params.hidden + u;
        store_unit(at, totals[row] + bias_of_unit, c_before[starts.c_before + at]);
    }
}
