// Shared by all forms of a product: see src/kernels/matmul/product.rs.

struct Params {
    groups: u32,
    rows: u32,
    columns: u32,
    depth: u32,
    transpose_left: u32,
    transpose_right: u32,
    left_stride: u32,
    left_group: u32,
    right_stride: u32,
    right_group: u32,
    product_stride: u32,
    product_group: u32,
    with_bias: u32,
    accumulate: u32,
    pieces: u32,
}

struct Starts {
    left: u32,
    right: u32,
    bias: u32,
    product: u32,
}

// Elements of a vector of the operands in memory: 1, 4, or 8, which are halves; and of the product: 1 or 4.
const LANES: u32 = 1u;
const PRODUCT_LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
#if LANES == 1
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
#else
#if LANES == 4
@group(0) @binding(2) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> right: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> left: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> right: array<vec4<u32>>;
#end
#end
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#for Side in Left Right
#if LANES == 1
alias {Side} = f32;
#end
#if LANES == 4
alias {Side} = vec4<f32>;
#end
#if LANES == 8
alias {Side} = vec4<u32>;
#end
#end
#if PRODUCT_LANES == 1
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

alias Product = f32;
#else
@group(0) @binding(5) var<storage, read_write> product: array<vec4<f32>>;

alias Product = vec4<f32>;
#end

// Set by params.transpose_left and params.transpose_right.
const TRANSPOSE_LEFT: bool = false;
const TRANSPOSE_RIGHT: bool = false;

// A piece of a sum has a multiple of this many terms.
const PIECE_TERMS: u32 = 128u;

// Terms of a sum that are added up in registers before the sum is stored: a single sum of tens of thousands of terms would lose
// digits.
const DEPTH: u32 = 512u;

// Whether the product is stored in f16. Its sums then stay in registers until they are complete.
const HALF_PRODUCT: bool = false;

// Whether a cell follows the product, and whether its sums have more than DEPTH terms: see cell_forward.wgsl.
const CELL: bool = false;
const LONG: bool = false;

// What the texts of products read: the sizes of a group, and where the operands begin and how they are stored.
fn rows() -> u32 {
    return params.rows;
}

fn columns() -> u32 {
    return params.columns;
}

#for side in left right
fn {side}_start() -> u32 {
    return LANES * starts.{side};
}

fn {side}_stride() -> u32 {
    return params.{side}_stride;
}

fn {side}_group() -> u32 {
    return params.{side}_group;
}

#end
fn read_left(at: u32) -> Left {
    return left[at];
}

fn read_right(at: u32) -> Right {
    return right[at];
}

// Terms after which a sum is stored.
fn run_terms() -> u32 {
    return select(DEPTH, params.depth, HALF_PRODUCT);
}

// The task of a workgroup: a piece of the sums of a group, the terms first .. end, and where its product begins.
struct Task {
    group: u32,
    first: u32,
    end: u32,
    product: u32,
}

// The task of the workgroups with coordinate z in the grid.
fn task(z: u32) -> Task {
    if (params.pieces == 1u) {
        return Task(z, 0u, params.depth, PRODUCT_LANES * starts.product + z * params.product_group);
    }
    let group = z % params.groups;
    let piece = z / params.groups;
    let terms = ((params.depth + params.pieces - 1u) / params.pieces + PIECE_TERMS - 1u) / PIECE_TERMS * PIECE_TERMS;
    let at = PRODUCT_LANES * starts.product + group * params.product_group + piece * params.rows * params.product_stride;
    return Task(group, piece * terms, min((piece + 1u) * terms, params.depth), at);
}

// The bias of four columns, which is added with the first terms. Without a bias it is -0, which changes no sum.
fn bias_of(begins: bool, group: u32, columns: vec4<u32>) -> vec4<f32> {
    if (!begins || params.with_bias == 0u) {
        return vec4<f32>(-0.0);
    }
    let at = starts.bias + group * params.columns + columns;
    return vec4<f32>(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
}

// Four neighbouring columns, or the last one instead of those past the end.
fn columns_from(column: u32) -> vec4<u32> {
    return min(column + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.columns - 1u));
}

// Stores the sums of four adjacent columns of a row, or accumulates them if sums of earlier terms are already stored.
fn finish(job: Task, begins: bool, row: u32, column: u32, sum: vec4<f32>) {
    store(job.product, params.accumulate != 0u || !begins, row, column, sum);
}

// Stores or adds four adjacent columns of a row of the product that begins at `start`, except those past the end.
fn store(start: u32, add: bool, row: u32, column: u32, value: vec4<f32>) {
    if (row >= params.rows || column >= params.columns) {
        return;
    }
    let at = start + row * params.product_stride + column;
#if PRODUCT_LANES == 1
    for (var j = 0u; j < min(4u, params.columns - column); j += 1u) {
        if (add) {
            product[at + j] = Product(f32(product[at + j]) + value[j]);
        } else {
            product[at + j] = Product(value[j]);
        }
    }
#else
    if (add) {
        product[at / 4u] = Product(vec4<f32>(product[at / 4u]) + value);
    } else {
        product[at / 4u] = Product(value);
    }
#end
}
