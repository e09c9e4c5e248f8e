// product_g = left_g right_g + bias_g, or +=: the text of all forms that multiply in registers. src/kernels/matmul/table.rs has
// the table of forms. A workgroup computes a block of ROWS x COLUMNS, a thread TILE_ROWS rows and two times four columns, a and b.

// The block of a workgroup.
const ROWS: u32 = 64u;
const COLUMNS: u32 = 64u;

// Terms that are staged in workgroup memory at once. 0: threads read the operands where they need them.
const STEP: u32 = 0u;

// Buffers of staged terms. With two, terms are staged while others are read, with one barrier a step instead of two.
const BUFFERS: u32 = 1u;

// Whether a workgroup is a subgroup that reads each element of left once and exchanges them between registers. On software GPUs
// that is much cheaper than a load.
const EXCHANGES: bool = false;

const TILE_ROWS: u32 = select(8u, ROWS, EXCHANGES);
const THREADS: u32 = ROWS / TILE_ROWS * (COLUMNS / 8u);

// Elements of left that a thread reads for each term, without staging.
const READS: u32 = select(TILE_ROWS, TILE_ROWS / THREADS, EXCHANGES);

#if EXCHANGES
// The threads of a subgroup.
const SUBGROUP_LANES: u32 = THREADS;

#end
#if STEP > 0
// Staged terms: a vector holds one term of four neighbouring rows or columns. Vectors of the same term are adjacent.
const LEFT_FOURS: u32 = ROWS / 4u;
const RIGHT_FOURS: u32 = COLUMNS / 4u;
const K_FOURS: u32 = STEP / 4u;
var<workgroup> tile_left: array<vec4<f32>, BUFFERS * STEP * LEFT_FOURS>;
var<workgroup> tile_right: array<vec4<f32>, BUFFERS * STEP * RIGHT_FOURS>;

// Squares of 4 x 4 elements that are staged of each operand, and those of a thread.
const LEFT_SQUARES: u32 = LEFT_FOURS * K_FOURS;
const RIGHT_SQUARES: u32 = RIGHT_FOURS * K_FOURS;
const SQUARES: u32 = (LEFT_SQUARES + RIGHT_SQUARES + THREADS - 1u) / THREADS;

// Unroll factor of the loop over terms. 1 where a multiply-add is not one instruction: compilation would take too long.
const UNROLLED: u32 = select(1u, 4u, FUSES);

// Whether the stored rows of an operand run along the terms.
const LEFT_ALONG: bool = !TRANSPOSE_LEFT;
const RIGHT_ALONG: bool = TRANSPOSE_RIGHT;

// What is staged instead of terms past the end. Their products are -0, which changes no sum.
const LEFT_PAST: f32 = -0.0;
const RIGHT_PAST: f32 = 0.0;

// A square of 4 x 4 elements: the positions of its four stored vectors, the offsets of the elements in each, its first term, and
// its position in the staged tile.
struct Square {
    at: vec4<u32>,
    across: vec4<u32>,
    k: u32,
    place: u32,
}

// The vectors of each four terms are permuted differently, so that threads that stage neighbouring terms write to different
// banks.
fn exchange(k_four: u32) -> u32 {
    return (k_four & 3u) * 2u;
}

#for side in left right
// Square i of an operand, of the first terms of a block whose rows or columns begin at `first`. Neighbouring threads read
// neighbouring vectors. Rows and columns past the end repeat the last one and are not stored.
fn {side}_square(job: Task, i: u32, first: u32, last: u32) -> Square {
    let start = {side}_start() + job.group * {side}_group();
    let stride = {side}_stride();
    let each = vec4<u32>(0u, 1u, 2u, 3u);
#if {SIDE}_ALONG
    let four = i / K_FOURS;
    let k_four = i % K_FOURS;
    let k = job.first + k_four * 4u;
    let at = start + min(first + four * 4u + each, vec4<u32>(last)) * stride + k;
    let across = each;
#else
    let four = i % {SIDE}_FOURS;
    let k_four = i / {SIDE}_FOURS;
    let k = job.first + k_four * 4u;
#if LANES == 4
    let at = start + (k + each) * stride + min(first + four * 4u, last / 4u * 4u);
    let across = each;
#else
    let at = start + (k + each) * stride;
    let across = min(first + four * 4u + each, vec4<u32>(last));
#end
#end
    return Square(at / LANES, across, k, k_four * 4u * {SIDE}_FOURS + (four ^ exchange(k_four)));
}

#if LANES == 4
fn {side}_vector(at: u32, inside: bool) -> vec4<f32> {
    if (!inside) {
        return vec4<f32>({SIDE}_PAST);
    }
    return vec4<f32>(read_{side}(at));
}
#else
fn {side}_element(at: u32, inside: bool) -> f32 {
    if (!inside) {
        return {SIDE}_PAST;
    }
    return f32(read_{side}(at));
}
#end

// The stored vectors of a square.
fn fetch_{side}(s: Square, end: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
#for j in 0..4
#if LANES == 4
#if {SIDE}_ALONG
        {side}_vector(s.at[{j}], s.k < end),
#else
        {side}_vector(s.at[{j}], s.k + {j}u < end),
#end
#else
#for c in 0..4
#if {SIDE}_ALONG
        {side}_element(s.at[{j}] + s.across[{c}], s.k + {c}u < end),
#else
        {side}_element(s.at[{j}] + s.across[{c}], s.k + {j}u < end),
#end
#end
#end
#end
    );
}

fn put_{side}(buffer: u32, s: Square, vectors: mat4x4<f32>) {
    let at = buffer * STEP * {SIDE}_FOURS + s.place;
#if {SIDE}_ALONG
    let staged = transpose(vectors);
#else
    let staged = vectors;
#end
#for j in 0..4
    tile_{side}[at + {j}u * {SIDE}_FOURS] = staged[{j}];
#end
}

#end
// Square i of a block. Those of left come first.
fn square(job: Task, block: vec3<u32>, i: u32) -> Square {
    if (i < LEFT_SQUARES) {
        return left_square(job, i, block.y * ROWS, rows() - 1u);
    }
    return right_square(job, i - LEFT_SQUARES, block.x * COLUMNS, columns() - 1u);
}

fn fetch(i: u32, s: Square, end: u32) -> mat4x4<f32> {
    if (i < LEFT_SQUARES) {
        return fetch_left(s, end);
    }
    if (i < LEFT_SQUARES + RIGHT_SQUARES) {
        return fetch_right(s, end);
    }
    return mat4x4<f32>();
}

fn put(buffer: u32, i: u32, s: Square, vectors: mat4x4<f32>) {
    if (i < LEFT_SQUARES) {
        put_left(buffer, s, vectors);
    } else if (i < LEFT_SQUARES + RIGHT_SQUARES) {
        put_right(buffer, s, vectors);
    }
}

#end
@compute @workgroup_size(THREADS)
#if EXCHANGES
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(subgroup_invocation_id) local: u32) {
#else
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
#end
    let job = task(block.z);
    let left_step = select(1u, left_stride(), TRANSPOSE_LEFT);
    let right_step = select(right_stride(), 1u, TRANSPOSE_RIGHT);
#if STEP > 0
    // 32 threads, 4 x 8, compute 32 rows and 64 columns, so that together they read whole rows of banks of a tile.
    let row_four = local / 32u / (COLUMNS / 64u) * 8u + local % 32u / 8u * 2u;
    let column_four = local / 32u % (COLUMNS / 64u) * 16u + local % 8u;
    let row = block.y * ROWS + row_four * 4u;
    let column_a = block.x * COLUMNS + column_four * 4u;
    let column_b = column_a + 32u;
    var buffer = 0u;
#for n in 0..SQUARES
    let i{n} = local + {n}u * THREADS;
    var square{n} = square(job, block, i{n});
    let step{n} = STEP * select(right_step, left_step, i{n} < LEFT_SQUARES) / LANES;
    var vectors{n} = fetch(i{n}, square{n}, job.end);
#if BUFFERS == 2
    put(buffer, i{n}, square{n}, vectors{n});
#end
#end
#if BUFFERS == 2
    workgroupBarrier();
#end
#else
    let row = block.y * ROWS + local / (COLUMNS / 8u) * TILE_ROWS;
    let column_a = block.x * COLUMNS + local % (COLUMNS / 8u) * 8u;
    let column_b = column_a + 4u;
#if !EXCHANGES
    if (row >= rows() || column_a >= columns()) {
        return;
    }
#end
#end
    let columns_a = columns_from(column_a);
    let columns_b = columns_from(column_b);
#if STEP == 0
    // Rows and columns past the end repeat the last one and are not stored.
    let start_left = left_start() + job.group * left_group() + job.first * left_step;
    let start_right = right_start() + job.group * right_group() + job.first * right_step;
    let row_step = select(left_stride(), 1u, TRANSPOSE_LEFT);
    let column_step = select(1u, right_stride(), TRANSPOSE_RIGHT);
    let right_a = start_right + columns_a * column_step;
    let right_b = start_right + columns_b * column_step;
#for n in 0..READS
#if EXCHANGES
    let row{n} = start_left + min(row + {n}u * THREADS + local, rows() - 1u) * row_step;
#else
    let row{n} = start_left + min(row + {n}u, rows() - 1u) * row_step;
#end
#end
    var at_left = 0u;
    var at_right = 0u;
#end
#if CELL && LONG
#for i in 0..TILE_ROWS
    var total{i}a = before(job, row + {i}u, column_a);
    var total{i}b = before(job, row + {i}u, column_b);
#end
#end
#if CELL && !LONG
#for i in 0..TILE_ROWS
    var sum{i}a = vec4<f32>();
    var sum{i}b = vec4<f32>();
#end
#end
    // Sums are stored every DEPTH terms; those of a cell are added up in registers.
    let run = run_terms();
    for (var first = job.first; first < job.end; first += run) {
#if !CELL || LONG
#for i in 0..TILE_ROWS
        var sum{i}a = vec4<f32>();
        var sum{i}b = vec4<f32>();
#end
#end
        let end = min(first + run, job.end);
#if STEP == 0
        for (var k = first; k < end; k += 1u) {
            let a = right_a + at_right;
            let b = right_b + at_right;
            let ra = vec4<f32>(f32(read_right(a.x)), f32(read_right(a.y)), f32(read_right(a.z)), f32(read_right(a.w)));
            let rb = vec4<f32>(f32(read_right(b.x)), f32(read_right(b.y)), f32(read_right(b.z)), f32(read_right(b.w)));
#for n in 0..READS
            let from{n} = f32(read_left(row{n} + at_left));
#end
#for i in 0..TILE_ROWS
#if EXCHANGES
            let l{i} = subgroupBroadcast(from{i/THREADS}, {i%THREADS}u);
#else
            let l{i} = from{i};
#end
            sum{i}a = fused(l{i}, ra, sum{i}a);
            sum{i}b = fused(l{i}, rb, sum{i}b);
#end
            at_left += left_step;
            at_right += right_step;
        }
#else
        for (var k = first; k < end; k += STEP) {
#if BUFFERS == 1
            workgroupBarrier();
#for n in 0..SQUARES
            put(buffer, i{n}, square{n}, vectors{n});
#end
            workgroupBarrier();
#end
            // The terms of the next step are loaded while those of this one are multiplied.
#for n in 0..SQUARES
            square{n}.at += step{n};
            square{n}.k += STEP;
            vectors{n} = fetch(i{n}, square{n}, job.end);
#end
            for (var term = 0u; term < STEP; term += UNROLLED) {
                let moved = exchange(term / 4u);
                let at_left = (buffer * STEP + term) * LEFT_FOURS + (row_four ^ moved);
                let at_right = (buffer * STEP + term) * RIGHT_FOURS + (column_four ^ moved);
#for t in 0..UNROLLED
                let ra{t} = tile_right[at_right + {t}u * RIGHT_FOURS];
                let rb{t} = tile_right[(at_right ^ 8u) + {t}u * RIGHT_FOURS];
                let la{t} = tile_left[at_left + {t}u * LEFT_FOURS];
                let lb{t} = tile_left[at_left + {t}u * LEFT_FOURS + 1u];
#for i in 0..4
                sum{i}a = fused(la{t}[{i}], ra{t}, sum{i}a);
                sum{i}b = fused(la{t}[{i}], rb{t}, sum{i}b);
#end
#for i in 4..8
                sum{i}a = fused(lb{t}[{i-4}], ra{t}, sum{i}a);
                sum{i}b = fused(lb{t}[{i-4}], rb{t}, sum{i}b);
#end
#end
            }
#if BUFFERS == 2
            buffer = 1u - buffer;
#for n in 0..SQUARES
            put(buffer, i{n}, square{n}, vectors{n});
#end
            workgroupBarrier();
#end
        }
#end
#if CELL
#if LONG
#for i in 0..TILE_ROWS
        total{i}a += sum{i}a;
        total{i}b += sum{i}b;
#end
#end
#else
        let begins = first == job.first;
        let bias_a = bias_of(begins, job.group, columns_a);
        let bias_b = bias_of(begins, job.group, columns_b);
#for i in 0..TILE_ROWS
        finish(job, begins, row + {i}u, column_a, sum{i}a + bias_a);
        finish(job, begins, row + {i}u, column_b, sum{i}b + bias_b);
#end
#end
    }
#if CELL
    // A loop over some rows at a time, so that the code of a cell is not repeated for each.
    for (var n = 0u; n < TILE_ROWS / AT_ONCE; n += 1u) {
#for r in 0..AT_ONCE
        var sums{r}a = vec4<f32>();
        var sums{r}b = vec4<f32>();
#end
        switch n {
#for n in 0..TILE_ROWS/AT_ONCE
            case {n}u: {
#for r in 0..AT_ONCE
#for half in a b
#if LONG
                sums{r}{half} = total{n*AT_ONCE+r}{half};
#else
                sums{r}{half} = sum{n*AT_ONCE+r}{half};
#end
#end
#end
            }
#end
            default: {}
        }
#for r in 0..AT_ONCE
#for half in a b
        let row{r}{half} = row + n * AT_ONCE + {r}u;
        let inputs{r}{half} = inputs_of(job, row{r}{half}, column_{half});
#if LONG
        let total{r}{half} = sums{r}{half};
#else
        let total{r}{half} = before(job, row{r}{half}, column_{half}) + sums{r}{half};
#end
#end
#end
#for r in 0..AT_ONCE
#for half in a b
        finish_cell(job, row{r}{half}, column_{half}, total{r}{half}, inputs{r}{half});
#end
#end
    }
#end
}
