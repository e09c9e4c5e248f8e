// Updates running = (maximum m, sum of exp(l - m), the target's logit) by the logits of one tile of the vocabulary, the ids
// start .. start + width. One workgroup for each row.

struct Params {
    rows: u32,
    width: u32,
    start: u32,
    first: u32,
}

struct Starts {
    logits: u32,
    targets: u32,
    running: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> running: array<f32>;

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
    _ = updated_state(row, local);
}
