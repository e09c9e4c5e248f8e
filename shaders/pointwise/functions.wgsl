// y = f(x), element by element: the functions of cells and softmaxes alone, so that errors in their last digits show.

struct Params {
    len: u32,
    function: u32,
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
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.len) {
        return;
    }
    let value = x[starts.x + i];
    var result = 0.0;
    switch params.function {
        case 0u: {
            result = exp_of(value);
        }
        case 1u: {
            result = sigmoid(value);
        }
        case 2u: {
            result = tanh_of(value);
        }
        default: {
            result = ln_of(value);
        }
    }
    y[starts.y + i] = result;
}
