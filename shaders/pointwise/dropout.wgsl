// y = scale * x where a random u32 is at least the threshold, else 0. Random u32 number n is element n % 4 of
// philox4x32([n / 4, purpose, step low, step high], [seed low, seed high]); random is (step low, step high, seed low, seed high).
// Element i has number first + i / row * stride + i % row. A thread computes four elements. If they are one vector, they share a
// counter of the random numbers.

struct Params {
    len: u32,
    first: u32,
    row: u32,
    stride: u32,
    purpose: u32,
    threshold: u32,
    scale: f32,
}

struct Starts {
    x: u32,
    random: u32,
    y: u32,
}

// Elements of a vector in memory: 1 or 4.
const LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(3) var<storage, read> random: array<u32>;
#if LANES == 1
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
alias Y = f32;
#else
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
alias Y = vec4<f32>;
#end

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let j = (group.y * groups.x + group.x) * 64u + local;
    if (j >= (params.len + 3u) / 4u) {
        return;
    }
    let step = vec2<u32>(random[starts.random], random[starts.random + 1u]);
    let key = vec2<u32>(random[starts.random + 2u], random[starts.random + 3u]);
#if LANES == 4
    let row = params.row / 4u;
    let position = params.first / 4u + j / row * (params.stride / 4u) + j % row;
    let bits = philox4x32(vec4<u32>(position, params.purpose, step), key);
    let keep = bits >= vec4<u32>(params.threshold);
    y[starts.y + j] = Y(select(vec4<f32>(), params.scale * vec4<f32>(x[starts.x + j]), keep));
#else
    var position = 0u;
    var bits = vec4<u32>();
    for (var k = 0u; k < 4u; k += 1u) {
        let i = 4u * j + k;
        if (i >= params.len) {
            return;
        }
        let number = params.first + i / params.row * params.stride + i % params.row;
        if (k == 0u || number / 4u != position) {
            position = number / 4u;
            bits = philox4x32(vec4<u32>(position, params.purpose, step), key);
        }
        let keep = bits[number % 4u] >= params.threshold;
        y[starts.y + i] = Y(select(0.0, params.scale * f32(x[starts.x + i]), keep));
    }
#end
}
