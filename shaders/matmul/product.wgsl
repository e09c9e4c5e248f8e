// product_g = left_g right_g + bias_g, or +=. A thread makes a tile of 4 rows and 4 columns in registers, a workgroup of
// 8 x 8 threads a block of 32 x 32, the third dimension of the grid is the group.

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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = block.y * 32u + (local / 8u) * 4u;
    let column = block.x * 32u + (local % 8u) * 4u;
    if (row >= params.rows || column >= params.columns) {
        return;
    }
    // Rows and columns past the end repeat the last one, and are not stored.
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.rows - 1u));
    let columns = min(vec4<u32>(column, column + 1u, column + 2u, column + 3u), vec4<u32>(params.columns - 1u));
    var at_left = vec4<u32>(starts.left + block.z * params.left_group);
    var left_step = 1u;
    if (TRANSPOSE_LEFT) {
        at_left += rows;
        left_step = params.left_stride;
    } else {
        at_left += rows * params.left_stride;
    }
    var at_right = vec4<u32>(starts.right + block.z * params.right_group);
    var right_step = params.right_stride;
    if (TRANSPOSE_RIGHT) {
        at_right += columns * params.right_stride;
        right_step = 1u;
    } else {
        at_right += columns;
    }
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var k = 0u; k < params.depth; k += 1u) {
        let r = vec4<f32>(right[at_right.x], right[at_right.y], right[at_right.z], right[at_right.w]);
        sum0 += left[at_left.x] * r;
        sum1 += left[at_left.y] * r;
        sum2 += left[at_left.z] * r;
        sum3 += left[at_left.w] * r;
        at_left += left_step;
        at_right += right_step;
    }
    if (params.with_bias != 0u) {
        let at = starts.bias + block.z * params.columns + columns;
        let b = vec4<f32>(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
        sum0 += b;
        sum1 += b;
        sum2 += b;
        sum3 += b;
    }
    let sums = array<vec4<f32>, 4>(sum0, sum1, sum2, sum3);
    let first = starts.product + block.z * params.product_group + column;
    for (var i = 0u; i < min(4u, params.rows - row); i += 1u) {
        let at = first + (row + i) * params.product_stride;
        for (var j = 0u; j < min(4u, params.columns - column); j += 1u) {
            if (params.accumulate != 0u) {
                product[at + j] += sums[i][j];
            } else {
                product[at + j] = sums[i][j];
            }
        }
    }
}
