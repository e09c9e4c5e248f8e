// product_g = left_g right_g + bias_g, or +=, with the bits of product.wgsl, where a subgroup has LANES threads. It is a workgroup,
// and makes a block of 32 rows and 64 columns, a thread 8 columns of all rows in registers. Elements of left are read once by
// the subgroup, each thread four of them, and go from register to register: a load costs GPUs in software much more than that.

@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

alias Product = f32;

// The threads of a subgroup.
const LANES: u32 = 8u;

// Terms of a sum that are added up in registers.
const DEPTH: u32 = 512u;

// Whether the product is stored in f16: then its sums stay in registers to the end.
const HALF_PRODUCT: bool = false;

// The bias of four columns, zero where there is none.
fn bias_of(group: u32, columns: vec4<u32>) -> vec4<f32> {
    if (params.with_bias == 0u) {
        return vec4<f32>();
    }
    let at = starts.bias + group * params.columns + columns;
    return vec4<f32>(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
}

// Where what a thread makes goes to.
struct Place {
    start: u32,
    row: u32,
    column: u32,
    add: bool,
}

// Stores or adds row i, but what lies past the end.
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

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let row = block.y * 32u;
    let column = block.x * 8u * LANES + lane * 8u;
    // Rows and columns past the end repeat the last one, and are not stored.
    let last_row = params.rows - 1u;
    let columns_a = min(column + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.columns - 1u));
    let columns_b = min(column + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(params.columns - 1u));
    // Between the rows of left, and between the terms of a sum.
    let row_step = select(params.left_stride, 1u, TRANSPOSE_LEFT);
    let left_step = select(1u, params.left_stride, TRANSPOSE_LEFT);
    let column_step = select(1u, params.right_stride, TRANSPOSE_RIGHT);
    let right_step = select(params.right_stride, 1u, TRANSPOSE_RIGHT);
    let job = task(block.z);
    let left_start = starts.left + job.group * params.left_group + job.first * left_step;
    let right_start = starts.right + job.group * params.right_group + job.first * right_step;
    let row0 = left_start + min(row + lane, last_row) * row_step;
    let row1 = left_start + min(row + 8u + lane, last_row) * row_step;
    let row2 = left_start + min(row + 16u + lane, last_row) * row_step;
    let row3 = left_start + min(row + 24u + lane, last_row) * row_step;
    let right_a = right_start + columns_a * column_step;
    let right_b = right_start + columns_b * column_step;
    var at_left = 0u;
    var at_right = 0u;
    // The sums go to memory every DEPTH terms, as in product.wgsl.
    let piece = select(DEPTH, params.depth, HALF_PRODUCT);
    for (var first = job.first; first < job.end; first += piece) {
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
        var sum8a = vec4<f32>();
        var sum8b = vec4<f32>();
        var sum9a = vec4<f32>();
        var sum9b = vec4<f32>();
        var sum10a = vec4<f32>();
        var sum10b = vec4<f32>();
        var sum11a = vec4<f32>();
        var sum11b = vec4<f32>();
        var sum12a = vec4<f32>();
        var sum12b = vec4<f32>();
        var sum13a = vec4<f32>();
        var sum13b = vec4<f32>();
        var sum14a = vec4<f32>();
        var sum14b = vec4<f32>();
        var sum15a = vec4<f32>();
        var sum15b = vec4<f32>();
        var sum16a = vec4<f32>();
        var sum16b = vec4<f32>();
        var sum17a = vec4<f32>();
        var sum17b = vec4<f32>();
        var sum18a = vec4<f32>();
        var sum18b = vec4<f32>();
        var sum19a = vec4<f32>();
        var sum19b = vec4<f32>();
        var sum20a = vec4<f32>();
        var sum20b = vec4<f32>();
        var sum21a = vec4<f32>();
        var sum21b = vec4<f32>();
        var sum22a = vec4<f32>();
        var sum22b = vec4<f32>();
        var sum23a = vec4<f32>();
        var sum23b = vec4<f32>();
        var sum24a = vec4<f32>();
        var sum24b = vec4<f32>();
        var sum25a = vec4<f32>();
        var sum25b = vec4<f32>();
        var sum26a = vec4<f32>();
        var sum26b = vec4<f32>();
        var sum27a = vec4<f32>();
        var sum27b = vec4<f32>();
        var sum28a = vec4<f32>();
        var sum28b = vec4<f32>();
        var sum29a = vec4<f32>();
        var sum29b = vec4<f32>();
        var sum30a = vec4<f32>();
        var sum30b = vec4<f32>();
        var sum31a = vec4<f32>();
        var sum31b = vec4<f32>();
        for (var k = first; k < min(first + piece, job.end); k += 1u) {
            let a = right_a + at_right;
            let b = right_b + at_right;
            let ra = vec4<f32>(f32(right[a.x]), f32(right[a.y]), f32(right[a.z]), f32(right[a.w]));
            let rb = vec4<f32>(f32(right[b.x]), f32(right[b.y]), f32(right[b.z]), f32(right[b.w]));
            let l0 = f32(left[row0 + at_left]);
            let l1 = f32(left[row1 + at_left]);
            let l2 = f32(left[row2 + at_left]);
            let l3 = f32(left[row3 + at_left]);
            // By hand, as compilers of WGSL do not unroll.
            let s0 = subgroupBroadcast(l0, 0u);
            sum0a = fused(s0, ra, sum0a);
            sum0b = fused(s0, rb, sum0b);
            let s1 = subgroupBroadcast(l0, 1u);
            sum1a = fused(s1, ra, sum1a);
            sum1b = fused(s1, rb, sum1b);
            let s2 = subgroupBroadcast(l0, 2u);
            sum2a = fused(s2, ra, sum2a);
            sum2b = fused(s2, rb, sum2b);
            let s3 = subgroupBroadcast(l0, 3u);
            sum3a = fused(s3, ra, sum3a);
            sum3b = fused(s3, rb, sum3b);
            let s4 = subgroupBroadcast(l0, 4u);
            sum4a = fused(s4, ra, sum4a);
            sum4b = fused(s4, rb, sum4b);
            let s5 = subgroupBroadcast(l0, 5u);
            sum5a = fused(s5, ra, sum5a);
            sum5b = fused(s5, rb, sum5b);
            let s6 = subgroupBroadcast(l0, 6u);
            sum6a = fused(s6, ra, sum6a);
            sum6b = fused(s6, rb, sum6b);
            let s7 = subgroupBroadcast(l0, 7u);
            sum7a = fused(s7, ra, sum7a);
            sum7b = fused(s7, rb, sum7b);
            let s8 = subgroupBroadcast(l1, 0u);
            sum8a = fused(s8, ra, sum8a);
            sum8b = fused(s8, rb, sum8b);
            let s9 = subgroupBroadcast(l1, 1u);
            sum9a = fused(s9, ra, sum9a);
            sum9b = fused(s9, rb, sum9b);
            let s10 = subgroupBroadcast(l1, 2u);
            sum10a = fused(s10, ra, sum10a);
            sum10b = fused(s10, rb, sum10b);
            let s11 = subgroupBroadcast(l1, 3u);
            sum11a = fused(s11, ra, sum11a);
            sum11b = fused(s11, rb, sum11b);
            let s12 = subgroupBroadcast(l1, 4u);
            sum12a = fused(s12, ra, sum12a);
            sum12b = fused(s12, rb, sum12b);
            let s13 = subgroupBroadcast(l1, 5u);
            sum13a = fused(s13, ra, sum13a);
            sum13b = fused(s13, rb, sum13b);
            let s14 = subgroupBroadcast(l1, 6u);
            sum14a = fused(s14, ra, sum14a);
            sum14b = fused(s14, rb, sum14b);
            let s15 = subgroupBroadcast(l1, 7u);
            sum15a = fused(s15, ra, sum15a);
            sum15b = fused(s15, rb, sum15b);
            let s16 = subgroupBroadcast(l2, 0u);
            sum16a = fused(s16, ra, sum16a);
            sum16b = fused(s16, rb, sum16b);
            let s17 = subgroupBroadcast(l2, 1u);
            sum17a = fused(s17, ra, sum17a);
            sum17b = fused(s17, rb, sum17b);
            let s18 = subgroupBroadcast(l2, 2u);
            sum18a = fused(s18, ra, sum18a);
            sum18b = fused(s18, rb, sum18b);
            let s19 = subgroupBroadcast(l2, 3u);
            sum19a = fused(s19, ra, sum19a);
            sum19b = fused(s19, rb, sum19b);
            let s20 = subgroupBroadcast(l2, 4u);
            sum20a = fused(s20, ra, sum20a);
            sum20b = fused(s20, rb, sum20b);
            let s21 = subgroupBroadcast(l2, 5u);
            sum21a = fused(s21, ra, sum21a);
            sum21b = fused(s21, rb, sum21b);
            let s22 = subgroupBroadcast(l2, 6u);
            sum22a = fused(s22, ra, sum22a);
            sum22b = fused(s22, rb, sum22b);
            let s23 = subgroupBroadcast(l2, 7u);
            sum23a = fused(s23, ra, sum23a);
            sum23b = fused(s23, rb, sum23b);
            let s24 = subgroupBroadcast(l3, 0u);
            sum24a = fused(s24, ra, sum24a);
            sum24b = fused(s24, rb, sum24b);
            let s25 = subgroupBroadcast(l3, 1u);
            sum25a = fused(s25, ra, sum25a);
            sum25b = fused(s25, rb, sum25b);
            let s26 = subgroupBroadcast(l3, 2u);
            sum26a = fused(s26, ra, sum26a);
            sum26b = fused(s26, rb, sum26b);
            let s27 = subgroupBroadcast(l3, 3u);
            sum27a = fused(s27, ra, sum27a);
            sum27b = fused(s27, rb, sum27b);
            let s28 = subgroupBroadcast(l3, 4u);
            sum28a = fused(s28, ra, sum28a);
            sum28b = fused(s28, rb, sum28b);
            let s29 = subgroupBroadcast(l3, 5u);
            sum29a = fused(s29, ra, sum29a);
            sum29b = fused(s29, rb, sum29b);
            let s30 = subgroupBroadcast(l3, 6u);
            sum30a = fused(s30, ra, sum30a);
            sum30b = fused(s30, rb, sum30b);
            let s31 = subgroupBroadcast(l3, 7u);
            sum31a = fused(s31, ra, sum31a);
            sum31b = fused(s31, rb, sum31b);
            at_left += left_step;
            at_right += right_step;
        }
        let begins = first == job.first;
        var bias_a = vec4<f32>();
        var bias_b = vec4<f32>();
        if (begins) {
            bias_a = bias_of(job.group, columns_a);
            bias_b = bias_of(job.group, columns_b);
        }
        let to = Place(job.product, row, column, params.accumulate != 0u || !begins);
        store(to, 0u, sum0a + bias_a, sum0b + bias_b);
        store(to, 1u, sum1a + bias_a, sum1b + bias_b);
        store(to, 2u, sum2a + bias_a, sum2b + bias_b);
        store(to, 3u, sum3a + bias_a, sum3b + bias_b);
        store(to, 4u, sum4a + bias_a, sum4b + bias_b);
        store(to, 5u, sum5a + bias_a, sum5b + bias_b);
        store(to, 6u, sum6a + bias_a, sum6b + bias_b);
        store(to, 7u, sum7a + bias_a, sum7b + bias_b);
        store(to, 8u, sum8a + bias_a, sum8b + bias_b);
        store(to, 9u, sum9a + bias_a, sum9b + bias_b);
        store(to, 10u, sum10a + bias_a, sum10b + bias_b);
        store(to, 11u, sum11a + bias_a, sum11b + bias_b);
        store(to, 12u, sum12a + bias_a, sum12b + bias_b);
        store(to, 13u, sum13a + bias_a, sum13b + bias_b);
        store(to, 14u, sum14a + bias_a, sum14b + bias_b);
        store(to, 15u, sum15a + bias_a, sum15b + bias_b);
        store(to, 16u, sum16a + bias_a, sum16b + bias_b);
        store(to, 17u, sum17a + bias_a, sum17b + bias_b);
        store(to, 18u, sum18a + bias_a, sum18b + bias_b);
        store(to, 19u, sum19a + bias_a, sum19b + bias_b);
        store(to, 20u, sum20a + bias_a, sum20b + bias_b);
        store(to, 21u, sum21a + bias_a, sum21b + bias_b);
        store(to, 22u, sum22a + bias_a, sum22b + bias_b);
        store(to, 23u, sum23a + bias_a, sum23b + bias_b);
        store(to, 24u, sum24a + bias_a, sum24b + bias_b);
        store(to, 25u, sum25a + bias_a, sum25b + bias_b);
        store(to, 26u, sum26a + bias_a, sum26b + bias_b);
        store(to, 27u, sum27a + bias_a, sum27b + bias_b);
        store(to, 28u, sum28a + bias_a, sum28b + bias_b);
        store(to, 29u, sum29a + bias_a, sum29b + bias_b);
        store(to, 30u, sum30a + bias_a, sum30b + bias_b);
        store(to, 31u, sum31a + bias_a, sum31b + bias_b);
    }
}
