// For the last tile of the vocabulary: log_sum_exp.wgsl, the loss of full_loss.wgsl, then the gradient of full_backward.wgsl in
// place of the logits. One workgroup for each row.

struct Params {
    rows: u32,
    width: u32,
    start: u32,
    first: u32,
    divisor: f32,
}

struct Starts {
    logits: u32,
    targets: u32,
    loss_scale: u32,
    running: u32,
    nll: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> loss_scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> running: array<f32>;
@group(0) @binding(6) var<storage, read_write> nll: array<f32>;

alias Logits = f32;

const IGNORE: u32 = 0xffffffffu;

// The gradient of logit l of a column.
fn gradient_of(l: f32, column: u32, state: vec3<f32>, scale: f32, wanted: u32) -> Logits {
    var gradient = scale / state.y * exp_of(l - state.x);
    if (params.start + column == wanted) {
        gradient -= scale;
    }
    return Logits(select(gradient, 0.0, wanted == IGNORE));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= params.rows) {
        return;
    }
    let state = updated_state(row, local);
    let wanted = targets[starts.targets + row];
    let scale = loss_scale[starts.loss_scale] / params.divisor;
    let base = starts.logits + row * params.width;
    var k = local;
    // Four at a time, so that their loads are in flight together.
    for (; k + 768u < params.width; k += 1024u) {
        #for n in 0..4
        let x{n} = f32(logits[base + k + {256*n}u]);
        #end
        #for n in 0..4
        logits[base + k + {256*n}u] = gradient_of(x{n}, k + {256*n}u, state, scale, wanted);
        #end
    }
    for (; k < params.width; k += 256u) {
        logits[base + k] = gradient_of(f32(logits[base + k]), k, state, scale, wanted);
    }
    if (local == 0u) {
        let loss = state.x + ln_of(state.y) - state.z;
        nll[starts.nll + row] = select(loss, 0.0, wanted == IGNORE);
    }
}
