// y_g = x_g', for groups g. A workgroup transposes a block of 16 x 16 in workgroup memory, so that it reads
// and writes whole rows.

struct Params {
    groups: u32,
    rows: u32,
    columns: u32,
    x_group: u32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

alias Y = f32;

// One column of padding, so that the elements of a column are in different banks.
var<workgroup> tile: array<f32, 272>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = local / 16u;
    let j = local % 16u;
    let row = block.y * 16u + i;
    let column = block.x * 16u + j;
    if (row < params.rows && column < params.columns) {
        tile[i * 17u + j] = f32(x[starts.x + block.z * params.x_group + row * params.columns + column]);
    }
    workgroupBarrier();
    // The block of y, whose rows are columns of x.
    let y_row = block.x * 16u + i;
    let y_column = block.y * 16u + j;
    if (y_row < params.columns && y_column < params.rows) {
        let start = starts.y + block.z * params.rows * params.columns;
        y[start + y_row * params.rows + y_column] = Y(tile[j * 17u + i]);
    }
}
