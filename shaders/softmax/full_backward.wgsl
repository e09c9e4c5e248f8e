// logits <- scale * (exp(l - maximum) / sum - [id == target]) with scale = loss_scale / divisor: replaces the logits of one tile
// by their gradient.

struct Params {
    rows: u32,
    width: u32,
    start: u32,
    divisor: f32,
}

struct Starts {
    logits: u32,
    running: u32,
    targets: u32,
    loss_scale: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read> running: array<f32>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read> loss_scale: array<f32>;

alias Logits = f32;

const IGNORE: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.rows * params.width) {
        return;
    }
    let scale = loss_scale[starts.loss_scale] / params.divisor;
    let row = i / params.width;
    let id = params.start + i % params.width;
    let state = starts.running + row * 3u;
    let wanted = targets[starts.targets + row];
    let factor = scale / running[state + 1u];
    var gradient = factor * exp_of(f32(logits[starts.logits + i]) - running[state]);
    if (id == wanted) {
        gradient -= scale;
    }
    logits[starts.logits + i] = Logits(select(gradient, 0.0, wanted == IGNORE));
}
