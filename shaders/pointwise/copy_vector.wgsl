// y = x, bitwise identical to copy.wgsl, for slices that are whole vectors of four. A thread copies VECTORS of them, 1 or 4, and
// reads all before it writes.

struct Params {
    len: u32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

alias Y = vec4<f32>;

const VECTORS: u32 = 1u;

fn load(i: u32) -> Y {
    return Y(vec4<f32>(x[starts.x + i]));
}

fn store(i: u32, value: Y) {
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
    let i = (group.y * groups.x + group.x) * 256u * VECTORS + local;
    let last = params.len / 4u - 1u;
    let first = load(min(i, last));
    if (VECTORS == 1u) {
        store(i, first);
        return;
    }
    let second = load(min(i + 256u, last));
    let third = load(min(i + 512u, last));
    let fourth = load(min(i + 768u, last));
    store(i, first);
    store(i + 256u, second);
    store(i + 512u, third);
    store(i + 768u, fourth);
}
