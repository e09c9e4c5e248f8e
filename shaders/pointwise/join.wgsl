// Each row of y holds, for every group, its columns of a, then its columns of b.

struct Params {
    rows: u32,
    groups: u32,
    a_columns: u32,
    b_columns: u32,
}

struct Starts {
    a: u32,
    b: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

alias Y = f32;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    let columns = params.a_columns + params.b_columns;
    if (i >= params.rows * params.groups * columns) {
        return;
    }
    // One group of one row.
    let part = i / columns;
    let column = i % columns;
    if (column < params.a_columns) {
        y[starts.y + i] = Y(f32(a[starts.a + part * params.a_columns + column]));
    } else {
        y[starts.y + i] = Y(f32(b[starts.b + part * params.b_columns + column - params.a_columns]));
    }
}
