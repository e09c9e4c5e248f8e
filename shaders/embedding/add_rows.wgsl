// table[ids[row] - base] += scale * x[row], for the ids in the table. They are distinct.

struct Params {
    rows: u32,
    width: u32,
    base: u32,
    window: u32,
    scale: f32,
}

struct Starts {
    x: u32,
    ids: u32,
    table: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> table: array<f32>;

alias Table = f32;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + local;
    if (i >= params.rows * params.width) {
        return;
    }
    let row = ids[starts.ids + i / params.width] - params.base;
    if (row >= params.window) {
        return;
    }
    let at = starts.table + row * params.width + i % params.width;
    table[at] = Table(f32(table[at]) + params.scale * f32(x[starts.x + i]));
}
