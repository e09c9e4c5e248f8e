// sum = x + y, element by element.

struct Params {
    len: u32,
}

struct Starts {
    x: u32,
    y: u32,
    sum: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> sum: array<f32>;

alias Sum = f32;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + local;
    if (i >= params.len) {
        return;
    }
    sum[starts.sum + i] = Sum(f32(x[starts.x + i]) + f32(y[starts.y + i]));
}
