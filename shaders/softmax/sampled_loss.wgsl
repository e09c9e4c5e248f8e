// normaliser = ln(exp(t) + sum of exp(l_k)), nll = normaliser - t, with t = target_logit - log_q[samples + row] and
// l_k = logits[row, k] - log_q[k]. The sum omits k where candidates[k] is the target. One workgroup for each row.

struct Params {
    rows: u32,
    samples: u32,
    first: u32,
}

struct Starts {
    logits: u32,
    target_logits: u32,
    log_q: u32,
    candidates: u32,
    targets: u32,
    nll: u32,
    normaliser: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> target_logits: array<f32>;
@group(0) @binding(4) var<storage, read> log_q: array<f32>;
@group(0) @binding(5) var<storage, read> candidates: array<u32>;
@group(0) @binding(6) var<storage, read> targets: array<u32>;
@group(0) @binding(7) var<storage, read_write> nll: array<f32>;
@group(0) @binding(8) var<storage, read_write> normaliser: array<f32>;

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
    let wanted = targets[starts.targets + row];
    let true_logit = true_logit_of(row);
    let total = normaliser_of(row, local, wanted, true_logit);
    if (local == 0u) {
        nll[starts.nll + row] = select(total - true_logit, 0.0, wanted == IGNORE);
        normaliser[starts.normaliser + row] = select(total, 0.0, wanted == IGNORE);
    }
}
