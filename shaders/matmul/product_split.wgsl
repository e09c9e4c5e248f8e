// product_g = left_g right_g + bias_g, or +=, bitwise identical to product.wgsl, for few rows or columns and many terms. A
// workgroup computes a block of 32 x 32. Each quarter of its threads adds up DEPTH terms, all quarters in parallel.

// Rows and columns of the block.
const BLOCK: u32 = 32u;

// Parts of the workgroup, each with its own terms, and the threads of a part. A thread computes 4 x 4 sums.
const PARTS: u32 = 4u;
const THREADS: u32 = 64u;

// Terms that a part stages at once.
const STEP: u32 = 8u;

var<workgroup> tile_left: array<f32, PARTS * STEP * BLOCK>;
var<workgroup> tile_right: array<f32, PARTS * STEP * BLOCK>;
var<workgroup> sums: array<f32, BLOCK * BLOCK>;

// Element (row, k) of left. Rows past the end repeat the last one.
fn left_at(group: u32, row: u32, k: u32) -> f32 {
    let start = starts.left + group * params.left_group;
    let at = min(row, params.rows - 1u);
    if (TRANSPOSE_LEFT) {
        return f32(left[start + k * params.left_stride + at]);
    }
    return f32(left[start + at * params.left_stride + k]);
}

// Element (k, column) of right. Columns past the end repeat the last one.
fn right_at(group: u32, k: u32, column: u32) -> f32 {
    let start = starts.right + group * params.right_group;
    let at = min(column, params.columns - 1u);
    if (TRANSPOSE_RIGHT) {
        return f32(right[start + at * params.right_stride + k]);
    }
    return f32(right[start + k * params.right_stride + at]);
}

// Stages the terms first .. first + STEP that are before `end`, for one part. Neighbouring threads read neighbouring elements.
fn stage(block: vec3<u32>, group: u32, part: u32, thread: u32, first: u32, end: u32) {
    let base = part * STEP * BLOCK;
    for (var i = thread; i < STEP * BLOCK; i += THREADS) {
        let k = select(i % STEP, i / BLOCK, TRANSPOSE_LEFT);
        let row = select(i / STEP, i % BLOCK, TRANSPOSE_LEFT);
        if (first + k < end) {
            tile_left[base + k * BLOCK + row] = left_at(group, block.y * BLOCK + row, first + k);
        }
    }
    for (var i = thread; i < STEP * BLOCK; i += THREADS) {
        let k = select(i / BLOCK, i % STEP, TRANSPOSE_RIGHT);
        let column = select(i % BLOCK, i / STEP, TRANSPOSE_RIGHT);
        if (first + k < end) {
            tile_right[base + k * BLOCK + column] = right_at(group, first + k, block.x * BLOCK + column);
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let part = local / THREADS;
    let thread = local % THREADS;
    let tile_row = thread / 8u * 4u;
    let tile_column = thread % 8u * 4u;
    // At the end each thread of the workgroup adds up and stores four adjacent elements of the block.
    let row = block.y * BLOCK + local / 8u;
    let column = block.x * BLOCK + local % 8u * 4u;
    let job = task(block.z);
    let columns = columns_from(column);
    var total = vec4<f32>();
    if (params.accumulate != 0u && row < params.rows) {
        let at = job.product + row * params.product_stride + columns;
        total = vec4<f32>(product[at.x], product[at.y], product[at.z], product[at.w]);
    }
    for (var round = job.first; round < job.end; round += PARTS * DEPTH) {
        let first = min(round + part * DEPTH, job.end);
        let end = min(first + DEPTH, job.end);
#for i in 0..4
        var sum{i} = vec4<f32>();
#end
        for (var done = 0u; done < min(DEPTH, job.end - round); done += STEP) {
            workgroupBarrier();
            stage(block, job.group, part, thread, first + done, end);
            workgroupBarrier();
            let base = part * STEP * BLOCK;
            for (var k = 0u; k < STEP && first + done + k < end; k += 1u) {
                let at_left = base + k * BLOCK + tile_row;
                let at_right = base + k * BLOCK + tile_column;
                let r = vec4<f32>(tile_right[at_right], tile_right[at_right + 1u], tile_right[at_right + 2u], tile_right[at_right + 3u]);
#for i in 0..4
                sum{i} = fused(tile_left[at_left + {i}u], r, sum{i});
#end
            }
        }
        // The parts in order, which is the order of the terms.
        for (var turn = 0u; turn < PARTS && round + turn * DEPTH < job.end; turn += 1u) {
            workgroupBarrier();
            if (part == turn) {
                let start = tile_row * BLOCK + tile_column;
#for i in 0..4
#for j in 0..4
                sums[start + {i}u * BLOCK + {j}u] = sum{i}[{j}];
#end
#end
            }
            workgroupBarrier();
            let own = local * 4u;
            let begins = round == job.first && turn == 0u;
            let sum = vec4<f32>(sums[own], sums[own + 1u], sums[own + 2u], sums[own + 3u]);
            let next = sum + bias_of(begins, job.group, columns);
            if (begins && params.accumulate == 0u) {
                total = next;
            } else {
                total += next;
            }
        }
    }
    store(job.product, false, row, column, total);
}
