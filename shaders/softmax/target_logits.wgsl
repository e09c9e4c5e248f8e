// y[row] = h[row] . weights[target - base] + bias[target - base], for the targets in weights. One workgroup for each row.

struct Params {
    rows: u32,
    width: u32,
    base: u32,
    window: u32,
}

struct Starts {
    h: u32,
    weights: u32,
    bias: u32,
    targets: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> targets: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

const IGNORE: u32 = 0xffffffffu;

var<workgroup> partial: array<f32, 64>;

// The sum over the workgroup, for all its threads.
fn sum_of_group(local: u32, value: f32) -> f32 {
    partial[local] = value;
    workgroupBarrier();
    for (var stride = 32u; stride > 0u; stride >>= 1u) {
        if (local < stride) {
            partial[local] += partial[local + stride];
        }
        workgroupBarrier();
    }
    let result = partial[0];
    workgroupBarrier();
    return result;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= params.rows) {
        return;
    }
    let wanted = targets[starts.targets + row];
    let place = wanted - params.base;
    let there = wanted != IGNORE && place < params.window;
    let id = select(0u, place, there);
    let h_base = starts.h + row * params.width;
    let weight_base = starts.weights + id * params.width;
    var sum = 0.0;
    for (var k = local; k < params.width; k += 64u) {
        sum += f32(h[h_base + k]) * weights[weight_base + k];
    }
    let product = sum_of_group(local, sum);
    if (local == 0u && (there || wanted == IGNORE)) {
        y[starts.y + row] = select(0.0, product + bias[starts.bias + id], there);
    }
}
