// logits <- scale * exp(l_k - normaliser), 0 where candidates[k] is the target; target_logits <- scale *
// (exp(t - normaliser) - 1). scale = loss_scale / divisor; l_k and t as in sampled_loss.wgsl.

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
    normaliser: u32,
    loss_scale: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> target_logits: array<f32>;
@group(0) @binding(4) var<storage, read> log_q: array<f32>;
@group(0) @binding(5) var<storage, read> candidates: array<u32>;
@group(0) @binding(6) var<storage, read> targets: array<u32>;
@group(0) @binding(7) var<storage, read> normaliser: array<f32>;
@group(0) @binding(8) var<storage, read> loss_scale: array<f32>;

alias Logits = f32;

const IGNORE: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.rows * params.samples) {
        return;
    }
    let scale = loss_scale[starts.loss_scale] / params.divisor;
    let row = i / params.samples;
    let k = i % params.samples;
    let wanted = targets[starts.targets + row];
    let total = normaliser[starts.normaliser + row];
    let ignored = wanted == IGNORE;

    let logit = f32(logits[starts.logits + i]) - log_q[starts.log_q + k];
    let gradient = scale * exp_of(logit - total);
    logits[starts.logits + i] = Logits(select(gradient, 0.0, ignored || candidates[starts.candidates + k] == wanted));

    if (k == 0u) {
        let true_logit = target_logits[starts.target_logits + row] - log_q[starts.log_q + params.samples + params.first + row];
        let true_gradient = scale * (exp_of(true_logit - total) - 1.0);
        target_logits[starts.target_logits + row] = select(true_gradient, 0.0, ignored);
    }
}
