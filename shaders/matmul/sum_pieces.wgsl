// product = the sum of its pieces, or +=, in order. The previous value of product comes first.

struct Params {
    len: u32,
    pieces: u32,
    accumulate: u32,
}

struct Starts {
    parts: u32,
    product: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> product: array<f32>;

alias Product = f32;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.len) {
        return;
    }
    var sum = parts[starts.parts + i];
    if (params.accumulate != 0u) {
        sum = f32(product[starts.product + i]) + sum;
    }
    for (var piece = 1u; piece < params.pieces; piece += 1u) {
        sum += parts[starts.parts + piece * params.len + i];
    }
    product[starts.product + i] = Product(sum);
}
