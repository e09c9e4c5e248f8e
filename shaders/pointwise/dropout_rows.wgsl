// y = scale * x where a random u32 is at least the threshold, else 0, for some rows of a batch. Random u32 number n is element n % 4
// of philox4x32([n / 4, purpose, step low, step high], [seed low, seed high]); random is (step low, step high, seed low, seed high).
// Row ids[row] is that of stream first + ids[row] % count, of all streams, at the time ids[row] / count.

struct Params {
    rows: u32,
    width: u32,
    first: u32,
    count: u32,
    all: u32,
    purpose: u32,
    threshold: u32,
    scale: f32,
}

struct Starts {
    x: u32,
    ids: u32,
    random: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read> random: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

alias Y = f32;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + local;
    if (i >= params.rows * params.width) {
        return;
    }
    let id = ids[starts.ids + i / params.width];
    let row = id / params.count * params.all + params.first + id % params.count;
    let number = row * params.width + i % params.width;
    let step = vec2<u32>(random[starts.random], random[starts.random + 1u]);
    let key = vec2<u32>(random[starts.random + 2u], random[starts.random + 3u]);
    let bits = philox4x32(vec4<u32>(number / 4u, params.purpose, step), key);
    let keep = bits[number % 4u] >= params.threshold;
    y[starts.y + i] = Y(select(0.0, params.scale * f32(x[starts.x + i]), keep));
}
