// The interface of the forms of a product: see src/kernels/matmul/product.rs.

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
}

struct Starts {
    left: u32,
    right: u32,
    bias: u32,
    product: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

// Set from params.transpose_left and params.transpose_right.
const TRANSPOSE_LEFT: bool = false;
const TRANSPOSE_RIGHT: bool = false;
