// y = x a + b, repeated `rounds` times. A thread keeps eight vectors in registers.

struct Params {
    len: u32,
    rounds: u32,
    factor: f32,
    term: f32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

fn load(i: u32) -> vec4<f32> {
    return x[starts.x + min(i, params.len / 4u - 1u)];
}

fn store(i: u32, value: vec4<f32>) {
    if (i < params.len / 4u) {
        y[starts.y + i] = value;
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 2048u + local;
    let a = vec4<f32>(params.factor);
    let b = vec4<f32>(params.term);
    var v0 = load(i);
    var v1 = load(i + 256u);
    var v2 = load(i + 512u);
    var v3 = load(i + 768u);
    var v4 = load(i + 1024u);
    var v5 = load(i + 1280u);
    var v6 = load(i + 1536u);
    var v7 = load(i + 1792u);
    for (var round = 0u; round < params.rounds; round += 1u) {
        v0 = fma(v0, a, b);
        v1 = fma(v1, a, b);
        v2 = fma(v2, a, b);
        v3 = fma(v3, a, b);
        v4 = fma(v4, a, b);
        v5 = fma(v5, a, b);
        v6 = fma(v6, a, b);
        v7 = fma(v7, a, b);
    }
    store(i, v0);
    store(i + 256u, v1);
    store(i + 512u, v2);
    store(i + 768u, v3);
    store(i + 1024u, v4);
    store(i + 1280u, v5);
    store(i + 1536u, v6);
    store(i + 1792u, v7);
}
