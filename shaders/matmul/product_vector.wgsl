// product_g = left_g right_g + bias_g, or +=, bitwise identical to product.wgsl, for sizes that are whole vectors of four. A
// workgroup computes a block of ROWS x COLUMNS, a thread 8 rows and 2 x 4 columns of it in registers. STEP terms at a time are
// staged in workgroup memory; those of the next step are loaded while this one is computed.

@group(0) @binding(2) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<vec4<f32>>;

alias Product = vec4<f32>;

// The block of a workgroup, 128 x 128 or 64 x 64.
const ROWS: u32 = 64u;
const COLUMNS: u32 = 64u;

// Terms that are staged at once.
const STEP: u32 = 16u;

const THREADS: u32 = ROWS / 8u * (COLUMNS / 8u);

// Parts of 32 threads along a row of the block.
const PARTS_ACROSS: u32 = COLUMNS / 64u;

// Terms of a sum that are added up in registers before the sum is stored.
const DEPTH: u32 = 512u;

// Whether the product is stored in f16. Its sums then stay in registers until they are complete.
const HALF_PRODUCT: bool = false;

// Staged terms: a vector holds one term of four neighbouring rows or columns. Vectors of the same term are adjacent.
const ROW_FOURS: u32 = ROWS / 4u;
const COLUMN_FOURS: u32 = COLUMNS / 4u;
const K_FOURS: u32 = STEP / 4u;
var<workgroup> tile_left: array<vec4<f32>, STEP * ROW_FOURS>;
var<workgroup> tile_right: array<vec4<f32>, STEP * COLUMN_FOURS>;

// Squares of 4 x 4 elements that are staged of left, and those that a thread stages of both operands, one or two.
const LEFT_SQUARES: u32 = ROW_FOURS * K_FOURS;
const SQUARES: u32 = (LEFT_SQUARES + COLUMN_FOURS * K_FOURS) / THREADS;

// A square in storage order: four vectors, along the terms or across them.
struct Square {
    v0: vec4<f32>,
    v1: vec4<f32>,
    v2: vec4<f32>,
    v3: vec4<f32>,
}

// Its position in the block: which four rows or columns, and which four terms.
struct Corner {
    four: u32,
    k_four: u32,
}

// Neighbouring threads read neighbouring vectors.
fn corner(i: u32, fours: u32, along_k: bool) -> Corner {
    return Corner(select(i % fours, i / K_FOURS, along_k), select(i / fours, i % K_FOURS, along_k));
}

// The vector of left at this row and term, zero past the end.
fn left_vector(job: Task, row: u32, k: u32) -> vec4<f32> {
    if (row >= params.rows || k >= job.end) {
        return vec4<f32>();
    }
    let start = starts.left + job.group * (params.left_group / 4u);
    let stride = params.left_stride / 4u;
    if (TRANSPOSE_LEFT) {
        return vec4<f32>(left[start + k * stride + row / 4u]);
    }
    return vec4<f32>(left[start + row * stride + k / 4u]);
}

// The vector of right at this term and column, zero past the end.
fn right_vector(job: Task, k: u32, column: u32) -> vec4<f32> {
    if (column >= params.columns || k >= job.end) {
        return vec4<f32>();
    }
    let start = starts.right + job.group * (params.right_group / 4u);
    let stride = params.right_stride / 4u;
    if (TRANSPOSE_RIGHT) {
        return vec4<f32>(right[start + column * stride + k / 4u]);
    }
    return vec4<f32>(right[start + k * stride + column / 4u]);
}

// Square i of the terms that begin at `first`. Those of left come first.
fn fetch(job: Task, block: vec3<u32>, i: u32, first: u32) -> Square {
    if (i < LEFT_SQUARES) {
        let at = corner(i, ROW_FOURS, !TRANSPOSE_LEFT);
        let row = block.y * ROWS + at.four * 4u;
        let k = first + at.k_four * 4u;
        if (TRANSPOSE_LEFT) {
            return Square(
                left_vector(job, row, k),
                left_vector(job, row, k + 1u),
                left_vector(job, row, k + 2u),
                left_vector(job, row, k + 3u),
            );
        }
        return Square(
            left_vector(job, row, k),
            left_vector(job, row + 1u, k),
            left_vector(job, row + 2u, k),
            left_vector(job, row + 3u, k),
        );
    }
    let at = corner(i - LEFT_SQUARES, COLUMN_FOURS, TRANSPOSE_RIGHT);
    let column = block.x * COLUMNS + at.four * 4u;
    let k = first + at.k_four * 4u;
    if (TRANSPOSE_RIGHT) {
        return Square(
            right_vector(job, k, column),
            right_vector(job, k, column + 1u),
            right_vector(job, k, column + 2u),
            right_vector(job, k, column + 3u),
        );
    }
    return Square(
        right_vector(job, k, column),
        right_vector(job, k + 1u, column),
        right_vector(job, k + 2u, column),
        right_vector(job, k + 3u, column),
    );
}

fn transposed(s: Square) -> Square {
    return Square(
        vec4<f32>(s.v0.x, s.v1.x, s.v2.x, s.v3.x),
        vec4<f32>(s.v0.y, s.v1.y, s.v2.y, s.v3.y),
        vec4<f32>(s.v0.z, s.v1.z, s.v2.z, s.v3.z),
        vec4<f32>(s.v0.w, s.v1.w, s.v2.w, s.v3.w),
    );
}

// The vectors of each four terms are permuted differently, so that threads that stage neighbouring terms write to different
// banks.
fn exchange(k_four: u32) -> u32 {
    return (k_four & 3u) * 2u;
}

// Stages square i.
fn put(i: u32, square: Square) {
    if (i < LEFT_SQUARES) {
        let at = corner(i, ROW_FOURS, !TRANSPOSE_LEFT);
        let place = at.k_four * 4u * ROW_FOURS + (at.four ^ exchange(at.k_four));
        var s = square;
        if (!TRANSPOSE_LEFT) {
            s = transposed(square);
        }
        tile_left[place] = s.v0;
        tile_left[place + ROW_FOURS] = s.v1;
        tile_left[place + 2u * ROW_FOURS] = s.v2;
        tile_left[place + 3u * ROW_FOURS] = s.v3;
        return;
    }
    let at = corner(i - LEFT_SQUARES, COLUMN_FOURS, TRANSPOSE_RIGHT);
    let place = at.k_four * 4u * COLUMN_FOURS + (at.four ^ exchange(at.k_four));
    var s = square;
    if (TRANSPOSE_RIGHT) {
        s = transposed(square);
    }
    tile_right[place] = s.v0;
    tile_right[place + COLUMN_FOURS] = s.v1;
    tile_right[place + 2u * COLUMN_FOURS] = s.v2;
    tile_right[place + 3u * COLUMN_FOURS] = s.v3;
}

// Stores or adds four columns of a row, except those past the end. The bias is added with the first terms.
fn store(add: bool, first: bool, job: Task, row: u32, column: u32, sum: vec4<f32>) {
    if (row >= params.rows || column >= params.columns) {
        return;
    }
    let at = (job.product + row * params.product_stride + column) / 4u;
    var value = sum;
    if (first && params.with_bias != 0u) {
        let own_bias = starts.bias + job.group * params.columns + column;
        value += vec4<f32>(f32(bias[own_bias]), f32(bias[own_bias + 1u]), f32(bias[own_bias + 2u]), f32(bias[own_bias + 3u]));
    }
    if (add) {
        product[at] = Product(vec4<f32>(product[at]) + value);
    } else {
        product[at] = Product(value);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // 32 threads, 4 x 8, compute 32 rows and 64 columns, so that together they read whole rows of banks of a tile.
    let part = local / 32u;
    let row_four = part / PARTS_ACROSS * 8u + local % 32u / 8u * 2u;
    let column_four = part % PARTS_ACROSS * 16u + local % 8u;
    let row = block.y * ROWS + row_four * 4u;
    let column_a = block.x * COLUMNS + column_four * 4u;
    let column_b = column_a + 32u;
    let job = task(block.z);
    // Sums are stored every DEPTH terms, as in product.wgsl.
    let run = select(DEPTH, params.depth, HALF_PRODUCT);
    var one = fetch(job, block, local, job.first);
    var two = Square();
    if (SQUARES > 1u) {
        two = fetch(job, block, local + THREADS, job.first);
    }
    for (var first = job.first; first < job.end; first += run) {
        var sum0a = vec4<f32>();
        var sum0b = vec4<f32>();
        var sum1a = vec4<f32>();
        var sum1b = vec4<f32>();
        var sum2a = vec4<f32>();
        var sum2b = vec4<f32>();
        var sum3a = vec4<f32>();
        var sum3b = vec4<f32>();
        var sum4a = vec4<f32>();
        var sum4b = vec4<f32>();
        var sum5a = vec4<f32>();
        var sum5b = vec4<f32>();
        var sum6a = vec4<f32>();
        var sum6b = vec4<f32>();
        var sum7a = vec4<f32>();
        var sum7b = vec4<f32>();
        let end = min(first + run, job.end);
        for (var k = first; k < end; k += STEP) {
            workgroupBarrier();
            put(local, one);
            if (SQUARES > 1u) {
                put(local + THREADS, two);
            }
            workgroupBarrier();
            one = fetch(job, block, local, k + STEP);
            if (SQUARES > 1u) {
                two = fetch(job, block, local + THREADS, k + STEP);
            }
            // Terms past the end are zero and change no sum.
            for (var step = 0u; step < STEP; step += 1u) {
                let moved = exchange(step / 4u);
                let at_left = step * ROW_FOURS + (row_four ^ moved);
                let at_right = step * COLUMN_FOURS + (column_four ^ moved);
                let ra = tile_right[at_right];
                let rb = tile_right[at_right ^ 8u];
                let la = tile_left[at_left];
                let lb = tile_left[at_left + 1u];
                sum0a = fused(la.x, ra, sum0a);
                sum0b = fused(la.x, rb, sum0b);
                sum1a = fused(la.y, ra, sum1a);
                sum1b = fused(la.y, rb, sum1b);
                sum2a = fused(la.z, ra, sum2a);
                sum2b = fused(la.z, rb, sum2b);
                sum3a = fused(la.w, ra, sum3a);
                sum3b = fused(la.w, rb, sum3b);
                sum4a = fused(lb.x, ra, sum4a);
                sum4b = fused(lb.x, rb, sum4b);
                sum5a = fused(lb.y, ra, sum5a);
                sum5b = fused(lb.y, rb, sum5b);
                sum6a = fused(lb.z, ra, sum6a);
                sum6b = fused(lb.z, rb, sum6b);
                sum7a = fused(lb.w, ra, sum7a);
                sum7b = fused(lb.w, rb, sum7b);
            }
        }
        let begins = first == job.first;
        let add = params.accumulate != 0u || !begins;
        store(add, begins, job, row + 0u, column_a, sum0a);
        store(add, begins, job, row + 0u, column_b, sum0b);
        store(add, begins, job, row + 1u, column_a, sum1a);
        store(add, begins, job, row + 1u, column_b, sum1b);
        store(add, begins, job, row + 2u, column_a, sum2a);
        store(add, begins, job, row + 2u, column_b, sum2b);
        store(add, begins, job, row + 3u, column_a, sum3a);
        store(add, begins, job, row + 3u, column_b, sum3b);
        store(add, begins, job, row + 4u, column_a, sum4a);
        store(add, begins, job, row + 4u, column_b, sum4b);
        store(add, begins, job, row + 5u, column_a, sum5a);
        store(add, begins, job, row + 5u, column_b, sum5b);
        store(add, begins, job, row + 6u, column_a, sum6a);
        store(add, begins, job, row + 6u, column_b, sum6b);
        store(add, begins, job, row + 7u, column_a, sum7a);
        store(add, begins, job, row + 7u, column_b, sum7b);
    }
}
