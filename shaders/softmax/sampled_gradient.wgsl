// The loss of sampled_loss.wgsl, then the gradient of sampled_backward.wgsl in place of the logits. One workgroup for each row.

struct Params {
    rows: u32,
    samples: u32,
    first: u32,
    divisor: f32,
}

struct Starts {
    logits: u32,
    target_logits: u32,
    log_q: u32,
    candidates: u32,
    targets: u32,
    loss_scale: u32,
    nll: u32,
    normaliser: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> target_logits: array<f32>;
@group(0) @binding(4) var<storage, read> log_q: array<f32>;
@group(0) @binding(5) var<storage, read> candidates: array<u32>;
@group(0) @binding(6) var<storage, read> targets: array<u32>;
@group(0) @binding(7) var<storage, read> loss_scale: array<f32>;
@group(0) @binding(8) var<storage, read_write> nll: array<f32>;
@group(0) @binding(9) var<storage, read_write> normaliser: array<f32>;

alias Logits = f32;

const IGNORE: u32 = 0xffffffffu;

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
    let base = starts.logits + row * params.samples;
    let wanted = targets[starts.targets + row];
    let ignored = wanted == IGNORE;
    let true_logit = true_logit_of(row);
    let total = select(normaliser_of(row, local, wanted, true_logit), 0.0, ignored);
    let scale = loss_scale[starts.loss_scale] / params.divisor;

    for (var k = local; k < params.samples; k += 256u) {
        let gradient = scale * exp_of(logit_of(base, k) - total);
        logits[base + k] = Logits(select(gradient, 0.0, ignored || candidates[starts.candidates + k] == wanted));
    }

    if (local == 0u) {
        nll[starts.nll + row] = select(total - true_logit, 0.0, ignored);
        normaliser[starts.normaliser + row] = total;
        let true_gradient = scale * (exp_of(true_logit - total) - 1.0);
        target_logits[starts.target_logits + row] = select(true_gradient, 0.0, ignored);
    }
}
