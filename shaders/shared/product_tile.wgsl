// Shared by the forms of a product whose threads read single elements and compute 8 columns in registers.

@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

alias Product = f32;

// Terms of a sum that are added up in registers before the sum is stored.
const DEPTH: u32 = 512u;

// Whether the product is stored in f16. Its sums then stay in registers until they are complete.
const HALF_PRODUCT: bool = false;

// The operands of a task: where they begin, and the elements between rows of left, columns of right, and terms of a sum.
struct Operands {
    left: u32,
    row_step: u32,
    left_step: u32,
    right: u32,
    column_step: u32,
    right_step: u32,
}

fn operands(job: Task) -> Operands {
    let left_step = select(1u, params.left_stride, TRANSPOSE_LEFT);
    let right_step = select(params.right_stride, 1u, TRANSPOSE_RIGHT);
    return Operands(
        starts.left + job.group * params.left_group + job.first * left_step,
        select(params.left_stride, 1u, TRANSPOSE_LEFT),
        left_step,
        starts.right + job.group * params.right_group + job.first * right_step,
        select(1u, params.right_stride, TRANSPOSE_RIGHT),
        right_step,
    );
}

// The bias of four columns, which is added with the first terms. Without a bias it is -0, which changes no sum.
fn bias_of(begins: bool, group: u32, columns: vec4<u32>) -> vec4<f32> {
    if (!begins || params.with_bias == 0u) {
        return vec4<f32>(-0.0);
    }
    let at = starts.bias + group * params.columns + columns;
    return vec4<f32>(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
}

// Where the tile of a thread is stored.
struct Place {
    start: u32,
    row: u32,
    column: u32,
    add: bool,
}

// Stores or adds row i, except columns past the end.
fn store(to: Place, i: u32, first: vec4<f32>, second: vec4<f32>) {
    if (to.row + i >= params.rows || to.column >= params.columns) {
        return;
    }
    let at = to.start + (to.row + i) * params.product_stride + to.column;
    let sums = array<f32, 8>(first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w);
    for (var j = 0u; j < min(8u, params.columns - to.column); j += 1u) {
        if (to.add) {
            product[at + j] = Product(f32(product[at + j]) + sums[j]);
        } else {
            product[at + j] = Product(sums[j]);
        }
    }
}
