// w -= lr * g, for every element or for the rows of a row index.

struct Params {
    capacity: u32,
    width: u32,
    sparse: u32,
    first: u32,
    base: u32,
    window: u32,
    clipped: u32,
}

struct Starts {
    weight: u32,
    gradient: u32,
    rows: u32,
    control: u32,
    norm: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> weight: array<f32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> control: array<f32>;
@group(0) @binding(6) var<storage, read> norm: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.capacity * params.width) {
        return;
    }
    let factor = norm[starts.norm + select(2u, 1u, params.clipped != 0u)];
    // The gradients are not finite: nothing is updated.
    if (factor == 0.0) {
        return;
    }
    var at = i;
    if (params.sparse != 0u) {
        let k = params.first + i / params.width;
        if (k >= rows[starts.rows]) {
            return;
        }
        let row = rows[starts.rows + 1u + k] - params.base;
        if (row >= params.window) {
            return;
        }
        at = row * params.width + i % params.width;
    }
    let g = factor * gradient[starts.gradient + i];
    let rate = control[starts.control];
    weight[starts.weight + at] -= rate * g;
}
