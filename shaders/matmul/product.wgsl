// product_g = left_g right_g + bias_g, or +=. A thread computes a tile of 8 rows and 8 columns in registers, a
// workgroup of 8 x 8 threads a block of 64 x 64. The third dimension of the grid is the group.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = block.y * 64u + (local / 8u) * 8u;
    let column = block.x * 64u + (local % 8u) * 8u;
    if (row >= params.rows || column >= params.columns) {
        return;
    }
    // Rows and columns past the end repeat the last one and are not stored.
    let last_row = params.rows - 1u;
    let columns_a = min(column + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.columns - 1u));
    let columns_b = min(column + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(params.columns - 1u));
    let job = task(block.z);
    let reads = operands(job);
    let row0 = reads.left + min(row + 0u, last_row) * reads.row_step;
    let row1 = reads.left + min(row + 1u, last_row) * reads.row_step;
    let row2 = reads.left + min(row + 2u, last_row) * reads.row_step;
    let row3 = reads.left + min(row + 3u, last_row) * reads.row_step;
    let row4 = reads.left + min(row + 4u, last_row) * reads.row_step;
    let row5 = reads.left + min(row + 5u, last_row) * reads.row_step;
    let row6 = reads.left + min(row + 6u, last_row) * reads.row_step;
    let row7 = reads.left + min(row + 7u, last_row) * reads.row_step;
    let right_a = reads.right + columns_a * reads.column_step;
    let right_b = reads.right + columns_b * reads.column_step;
    var at_left = 0u;
    var at_right = 0u;
    // Sums are stored every DEPTH terms: a single sum of tens of thousands of terms would lose digits.
    let run = select(DEPTH, params.depth, HALF_PRODUCT);
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
        // Unrolled by hand, because WGSL compilers do not.
        for (var k = first; k < min(first + run, job.end); k += 1u) {
            let a = right_a + at_right;
            let b = right_b + at_right;
            let ra = vec4<f32>(f32(right[a.x]), f32(right[a.y]), f32(right[a.z]), f32(right[a.w]));
            let rb = vec4<f32>(f32(right[b.x]), f32(right[b.y]), f32(right[b.z]), f32(right[b.w]));
            let l0 = f32(left[row0 + at_left]);
            let l1 = f32(left[row1 + at_left]);
            let l2 = f32(left[row2 + at_left]);
            let l3 = f32(left[row3 + at_left]);
            let l4 = f32(left[row4 + at_left]);
            let l5 = f32(left[row5 + at_left]);
            let l6 = f32(left[row6 + at_left]);
            let l7 = f32(left[row7 + at_left]);
            sum0a = fused(l0, ra, sum0a);
            sum0b = fused(l0, rb, sum0b);
            sum1a = fused(l1, ra, sum1a);
            sum1b = fused(l1, rb, sum1b);
            sum2a = fused(l2, ra, sum2a);
            sum2b = fused(l2, rb, sum2b);
            sum3a = fused(l3, ra, sum3a);
            sum3b = fused(l3, rb, sum3b);
            sum4a = fused(l4, ra, sum4a);
            sum4b = fused(l4, rb, sum4b);
            sum5a = fused(l5, ra, sum5a);
            sum5b = fused(l5, rb, sum5b);
            sum6a = fused(l6, ra, sum6a);
            sum6b = fused(l6, rb, sum6b);
            sum7a = fused(l7, ra, sum7a);
            sum7b = fused(l7, rb, sum7b);
            at_left += reads.left_step;
            at_right += reads.right_step;
        }
        let begins = first == job.first;
        let bias_a = bias_of(begins, job.group, columns_a);
        let bias_b = bias_of(begins, job.group, columns_b);
        let to = Place(job.product, row, column, params.accumulate != 0u || !begins);
        store(to, 0u, sum0a + bias_a, sum0b + bias_b);
        store(to, 1u, sum1a + bias_a, sum1b + bias_b);
        store(to, 2u, sum2a + bias_a, sum2b + bias_b);
        store(to, 3u, sum3a + bias_a, sum3b + bias_b);
        store(to, 4u, sum4a + bias_a, sum4b + bias_b);
        store(to, 5u, sum5a + bias_a, sum5b + bias_b);
        store(to, 6u, sum6a + bias_a, sum6b + bias_b);
        store(to, 7u, sum7a + bias_a, sum7b + bias_b);
    }
}
