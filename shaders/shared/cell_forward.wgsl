// Shared by all forms of the cell: see src/kernels/lstm/cell_forward.rs.

struct Params {
    batch: u32,
    hidden: u32,
    groups: u32,
    depth: u32,
    weight_group: u32,
    accumulate: u32,
    forget_bias: f32,
}

struct Starts {
    left: u32,
    weight: u32,
    bias: u32,
    z: u32,
    c_before: u32,
    c: u32,
    m: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> c_before: array<f32>;
@group(0) @binding(7) var<storage, read_write> c: array<f32>;
@group(0) @binding(8) var<storage, read_write> m: array<f32>;

alias M = f32;

// Stores the gates, the state and the output of the unit at `at`, a stream times `hidden` plus a unit.
fn store_unit(at: u32, gates: vec4<f32>, before: f32) {
    let i = sigmoid(gates.x);
    let j = tanh_of(gates.y);
    let f = sigmoid(gates.z + params.forget_bias);
    let o = sigmoid(gates.w);
    let state = f * before + i * j;
    z[starts.z + at] = Z(vec4<f32>(i, j, f, o));
    c[starts.c + at] = state;
    m[starts.m + at] = M(o * tanh_of(state));
}

// The rest is for forms with the text of a product: see product.wgsl and product_units.wgsl. Its rows are streams, and four
// adjacent columns are the gates of a unit.
#if CELL

// Rows whose inputs a thread loads at once.
const AT_ONCE: u32 = 4u;

const TRANSPOSE_LEFT: bool = false;
const TRANSPOSE_RIGHT: bool = false;

fn rows() -> u32 {
    return params.batch;
}

fn columns() -> u32 {
    return 4u * (params.hidden / params.groups);
}

fn left_stride() -> u32 {
    return params.groups * params.depth;
}

fn left_group() -> u32 {
    return params.depth;
}

fn right_stride() -> u32 {
    return columns();
}

fn right_group() -> u32 {
    return params.weight_group;
}

fn task(z: u32) -> Task {
    return Task(z, 0u, params.depth);
}

fn columns_from(column: u32) -> vec4<u32> {
    return min(column, columns() - 4u) + vec4<u32>(0u, 1u, 2u, 3u);
}

// The unit of four columns. Those past the end are the last one.
fn unit_of(job: Task, column: u32) -> u32 {
    return (job.group * columns() + min(column, columns() - 4u)) / 4u;
}

// What the sums of four columns of a row are added to.
fn before(job: Task, row: u32, column: u32) -> vec4<f32> {
    var total = vec4<f32>();
    if (params.accumulate != 0u) {
        total = vec4<f32>(z[starts.z + min(row, params.batch - 1u) * params.hidden + unit_of(job, column)]);
    }
    return total;
}

// The other inputs of the unit.
struct Inputs {
    bias: vec4<f32>,
    before: f32,
}

fn inputs_of(job: Task, row: u32, column: u32) -> Inputs {
    let unit = unit_of(job, column);
    let at = min(row, params.batch - 1u) * params.hidden + unit;
    return Inputs(bias[starts.bias + unit], c_before[starts.c_before + at]);
}

fn finish_cell(job: Task, row: u32, column: u32, total: vec4<f32>, inputs: Inputs) {
    if (row < params.batch && column < columns()) {
        store_unit(row * params.hidden + unit_of(job, column), total + inputs.bias, inputs.before);
    }
}
#end
