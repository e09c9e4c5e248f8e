// nll[row] = maximum + ln(sum) - target logit, from the running state of all tiles.

struct Params {
    rows: u32,
}

struct Starts {
    running: u32,
    targets: u32,
    nll: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> running: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> nll: array<f32>;

const IGNORE: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (group.y * groups.x + group.x) * 64u + local;
    if (row >= params.rows) {
        return;
    }
    let state = starts.running + row * 3u;
    let loss = running[state] + ln_of(running[state + 1u]) - running[state + 2u];
    nll[starts.nll + row] = select(loss, 0.0, targets[starts.targets + row] == IGNORE);
}
