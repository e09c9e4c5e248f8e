// product_g = left_g right_g + bias_g, or +=, bitwise identical to product.wgsl. A workgroup computes a block of ROWS x
// COLUMNS, a thread 8 rows and 2 x 4 columns of it in registers. STEP terms at a time are staged in workgroup memory.

@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

alias Product = f32;

// The block of a workgroup.
const ROWS: u32 = 64u;
const COLUMNS: u32 = 64u;

// Terms that are staged at once.
const STEP: u32 = 16u;

const THREADS: u32 = ROWS / 8u * (COLUMNS / 8u);

// Terms of a sum that are added up in registers before the sum is stored.
const DEPTH: u32 = 512u;

// Whether the product is stored in f16. Its sums then stay in registers until they are complete.
const HALF_PRODUCT: bool = false;

// Staged terms: a vector holds one term of four neighbouring rows or columns. Vectors of the same term are adjacent.
const ROW_FOURS: u32 = ROWS / 4u;
const COLUMN_FOURS: u32 = COLUMNS / 4u;
var<workgroup> tile_left: array<vec4<f32>, STEP * ROW_FOURS>;
var<workgroup> tile_right: array<vec4<f32>, STEP * COLUMN_FOURS>;

// Where neighbouring threads stage neighbouring terms, the vectors of each term are permuted differently, so that the threads
// write to different banks.
fn exchange(k: u32, along_k: bool) -> u32 {
    return select(0u, k & 7u, along_k);
}

// Element (row, k) of left, zero past the end.
fn left_at(job: Task, row: u32, k: u32) -> f32 {
    if (row >= params.rows || k >= job.end) {
        return 0.0;
    }
    let start = starts.left + job.group * params.left_group;
    if (TRANSPOSE_LEFT) {
        return f32(left[start + k * params.left_stride + row]);
    }
    return f32(left[start + row * params.left_stride + k]);
}

// Element (k, column) of right, zero past the end.
fn right_at(job: Task, k: u32, column: u32) -> f32 {
    if (column >= params.columns || k >= job.end) {
        return 0.0;
    }
    let start = starts.right + job.group * params.right_group;
    if (TRANSPOSE_RIGHT) {
        return f32(right[start + column * params.right_stride + k]);
    }
    return f32(right[start + k * params.right_stride + column]);
}

// Stages terms first .. first + STEP. Neighbouring threads read neighbouring elements.
fn stage(job: Task, block: vec3<u32>, local: u32, first: u32) {
    for (var i = local; i < STEP * ROW_FOURS; i += THREADS) {
        let k = select(i % STEP, i / ROW_FOURS, TRANSPOSE_LEFT);
        let four = select(i / STEP, i % ROW_FOURS, TRANSPOSE_LEFT);
        let row = block.y * ROWS + four * 4u;
        let l0 = left_at(job, row, first + k);
        let l1 = left_at(job, row + 1u, first + k);
        let l2 = left_at(job, row + 2u, first + k);
        let l3 = left_at(job, row + 3u, first + k);
        tile_left[k * ROW_FOURS + (four ^ exchange(k, !TRANSPOSE_LEFT))] = vec4<f32>(l0, l1, l2, l3);
    }
    for (var i = local; i < STEP * COLUMN_FOURS; i += THREADS) {
        let k = select(i / COLUMN_FOURS, i % STEP, TRANSPOSE_RIGHT);
        let four = select(i % COLUMN_FOURS, i / STEP, TRANSPOSE_RIGHT);
        let column = block.x * COLUMNS + four * 4u;
        let r0 = right_at(job, first + k, column);
        let r1 = right_at(job, first + k, column + 1u);
        let r2 = right_at(job, first + k, column + 2u);
        let r3 = right_at(job, first + k, column + 3u);
        tile_right[k * COLUMN_FOURS + (four ^ exchange(k, TRANSPOSE_RIGHT))] = vec4<f32>(r0, r1, r2, r3);
    }
}

// Stores or adds four columns of a row, except those past the end. The bias is added with the first terms.
fn store(add: bool, first: bool, job: Task, row: u32, column: u32, sum: vec4<f32>) {
    if (row >= params.rows) {
        return;
    }
    let at = job.product + row * params.product_stride + column;
    for (var j = 0u; j < 4u && column + j < params.columns; j += 1u) {
        var value = sum[j];
        if (first && params.with_bias != 0u) {
            value += f32(bias[starts.bias + job.group * params.columns + column + j]);
        }
        if (add) {
            product[at + j] = Product(f32(product[at + j]) + value);
        } else {
            product[at + j] = Product(value);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row_four = local / (COLUMNS / 8u) * 2u;
    let column_four = local % (COLUMNS / 8u);
    let row = block.y * ROWS + row_four * 4u;
    let column_a = block.x * COLUMNS + column_four * 4u;
    let column_b = column_a + COLUMNS / 2u;
    // Sums are stored every DEPTH terms, as in product.wgsl.
    let run = select(DEPTH, params.depth, HALF_PRODUCT);
    let job = task(block.z);
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
            stage(job, block, local, k);
            workgroupBarrier();
            for (var step = 0u; step < min(STEP, end - k); step += 1u) {
                let at_left = step * ROW_FOURS + (row_four ^ exchange(step, !TRANSPOSE_LEFT));
                let at_right = step * COLUMN_FOURS + (column_four ^ exchange(step, TRANSPOSE_RIGHT));
                let ra = tile_right[at_right];
                let rb = tile_right[at_right + COLUMN_FOURS / 2u];
                let la = tile_left[at_left];
                // The other vector of a pair.
                let lb = tile_left[at_left ^ 1u];
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
