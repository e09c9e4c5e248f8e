// y as in dropout.wgsl, bitwise identical, where four elements with one counter of the random numbers are one vector.

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> random: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

alias Y = vec4<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let j = (group.y * groups.x + group.x) * 64u + local;
    if (j >= params.len / 4u) {
        return;
    }
    let values = params.scale * vec4<f32>(x[starts.x + j]);
    let step = vec2<u32>(random[starts.random], random[starts.random + 1u]);
    let key = vec2<u32>(random[starts.random + 2u], random[starts.random + 3u]);
    let row = params.row / 4u;
    let position = params.first / 4u + j / row * (params.stride / 4u) + j % row;
    let bits = philox4x32(vec4<u32>(position, params.purpose, step), key);
    y[starts.y + j] = Y(select(vec4<f32>(), values, bits >= vec4<u32>(params.threshold)));
}
