// y[0] = sum of x / divisor, in one workgroup.

struct Params {
    len: u32,
    divisor: f32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    var i = local;
    // Eight at a time, in the same order, so that their loads are in flight together.
    for (; i + 1792u < params.len; i += 2048u) {
        #for k in 0..8
        let x{k} = x[starts.x + i + {256*k}u];
        #end
        #for k in 0..8
        sum += x{k};
        #end
    }
    for (; i < params.len; i += 256u) {
        sum += x[starts.x + i];
    }
    let total = sum_of_group(local, sum);
    if (local == 0u) {
        y[starts.y] = total / params.divisor;
    }
}
