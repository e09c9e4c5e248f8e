// table[id_k - base] += gradient[k] for the rows k of a row index that begin at row `first`. Their ids are distinct.

struct Params {
    capacity: u32,
    width: u32,
    first: u32,
    base: u32,
    window: u32,
}

struct Starts {
    gradient: u32,
    rows: u32,
    table: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> table: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + local;
    let k = i / params.width;
    if (k >= params.capacity || params.first + k >= rows[starts.rows]) {
        return;
    }
    let id = rows[starts.rows + 1u + params.first + k] - params.base;
    if (id >= params.window) {
        return;
    }
    table[starts.table + id * params.width + i % params.width] += gradient[starts.gradient + i];
}
