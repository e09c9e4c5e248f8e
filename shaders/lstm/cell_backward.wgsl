// The gradient of one time step's cell: dm = left weight' (or left itself), then dz, which replaces the gates, and dc of the
// previous time step. A thread computes four units of four streams; a workgroup computes 32 units of 32 streams.

struct Params {
    batch: u32,
    hidden: u32,
    depth: u32,
    projected: u32,
    transposed: u32,
    carry: u32,
}

struct Starts {
    left: u32,
    weight: u32,
    z: u32,
    c_before: u32,
    c: u32,
    dc: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> c_before: array<f32>;
@group(0) @binding(6) var<storage, read> c: array<f32>;
@group(0) @binding(7) var<storage, read_write> dc: array<f32>;

alias Z = vec4<f32>;

// Terms of a partial sum, as in products.
const DEPTH: u32 = 512u;

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
            let dm = sums[row][column];
            let gates = vec4<f32>(z[starts.z + at]);
            let i = gates.x;
            let j = gates.y;
            let f = gates.z;
            let o = gates.w;
            let t = tanh_of(c[starts.c + at]);
            var dstate = dm * o * (1.0 - t * t);
            if (params.carry != 0u) {
                dstate += dc[starts.dc + at];
            }
            z[starts.z + at] = Z(vec4<f32>(
                dstate * j * i * (1.0 - i),
                dstate * i * (1.0 - j * j),
                dstate * c_before[starts.c_before + at] * f * (1.0 - f),
                dm * t * o * (1.0 - o),
            ));
            dc[starts.dc + at] = dstate * f;
        }
    }
}
