// The gates of one time step, z = [z +] left_g weight_g + bias, and the cell. A thread computes one unit of four streams, with
// the four gates as one vector; a workgroup computes 32 units of 8 streams.

struct Params {
    batch: u32,
    hidden: u32,
    groups: u32,
    depth: u32,
    weight_group: u32,
    accumulate: u32,
    forget_bias: f32,
}

struct Starts {
    left: u32,
    weight: u32,
    bias: u32,
    z: u32,
    c_before: u32,
    c: u32,
    m: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> c_before: array<f32>;
@group(0) @binding(7) var<storage, read_write> c: array<f32>;
@group(0) @binding(8) var<storage, read_write> m: array<f32>;

alias M = f32;
alias Z = vec4<f32>;

// Terms of a partial sum, as in products.
const DEPTH: u32 = 512u;

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
        let gates = totals[row] + bias_of_unit;
        let i = sigmoid(gates.x);
        let j = tanh_of(gates.y);
        let f = sigmoid(gates.z + params.forget_bias);
        let o = sigmoid(gates.w);
        let state = f * c_before[starts.c_before + at] + i * j;
        z[starts.z + at] = Z(vec4<f32>(i, j, f, o));
        c[starts.c + at] = state;
        m[starts.m + at] = M(o * tanh_of(state));
    }
}
