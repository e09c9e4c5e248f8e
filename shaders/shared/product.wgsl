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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;

// Set by params.transpose_left and params.transpose_right.
const TRANSPOSE_LEFT: bool = false;
const TRANSPOSE_RIGHT: bool = false;

// A piece of a sum has a multiple of this many terms.
const PIECE_TERMS: u32 = 128u;

// Elements of a vector of the binding `product`.
const PRODUCT_LANES: u32 = 1u;

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
