// product_g = left_g right_g + bias_g, or +=, on the matrix units of a device: operands in f16, sums in f32. A workgroup
// computes a block of BLOCK x BLOCK, a subgroup SIDE x SIDE tiles of UNIT x UNIT of it. STEP terms at a time are staged in
// workgroup memory, with zeros past the end.

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

alias Product = f32;

// Rows and columns of the block of a workgroup, 64 or 128.
const BLOCK: u32 = 64u;

// Set by the executor: rows, columns and terms of a matrix unit, 8 or 16, and the threads of the largest subgroup.
const UNIT: u32 = 16u;
const SUBGROUP: u32 = 32u;

// Whether a subgroup has 4 x 4 tiles, not 2 x 2.
const WIDE: bool = BLOCK / UNIT > 4u;
const SIDE: u32 = select(2u, 4u, WIDE);

// Subgroups along a side of the block, and in all.
const ACROSS: u32 = BLOCK / (SIDE * UNIT);
const SUBGROUPS: u32 = ACROSS * ACROSS;
const THREADS: u32 = SUBGROUPS * SUBGROUP;

// Terms that are staged at once: few enough for 16 KiB of workgroup memory.
const STEP: u32 = select(32u, 16u, BLOCK > 64u);

// Elements between staged rows, with padding so that rows begin in different banks.
const LEFT_STRIDE: u32 = STEP + 8u;
const RIGHT_STRIDE: u32 = BLOCK + 8u;

// The executor replaces these types by coop_mat8x8 where UNIT is 8.
alias LeftTile = coop_mat16x16<f16, A>;
alias RightTile = coop_mat16x16<f16, B>;
alias SumTile = coop_mat16x16<f32, C>;

var<workgroup> tile_left: array<f16, BLOCK * LEFT_STRIDE>;
var<workgroup> tile_right: array<f16, STEP * RIGHT_STRIDE>;
// Stages a tile of sums of each subgroup before it is stored. One more tile for the subgroups past the last, which nothing reads.
var<workgroup> tile_sums: array<f32, (SUBGROUPS + 1u) * UNIT * UNIT>;

// Element (row, k) of left, zero past the end.
fn left_at(job: Task, row: u32, k: u32) -> f16 {
    if (row >= params.rows || k >= job.end) {
        return f16(0.0);
    }
    let start = starts.left + job.group * params.left_group;
    if (TRANSPOSE_LEFT) {
        return f16(left[start + k * params.left_stride + row]);
    }
    return f16(left[start + row * params.left_stride + k]);
}

// Element (k, column) of right, zero past the end.
fn right_at(job: Task, k: u32, column: u32) -> f16 {
    if (column >= params.columns || k >= job.end) {
        return f16(0.0);
    }
    let start = starts.right + job.group * params.right_group;
    if (TRANSPOSE_RIGHT) {
        return f16(right[start + column * params.right_stride + k]);
    }
    return f16(right[start + k * params.right_stride + column]);
}

// Stages terms first .. first + STEP. Neighbouring threads read neighbouring elements.
fn stage(job: Task, block: vec3<u32>, local: u32, first: u32) {
    for (var i = local; i < STEP * BLOCK; i += THREADS) {
        let k = select(i % STEP, i / BLOCK, TRANSPOSE_LEFT);
        let row = select(i / STEP, i % BLOCK, TRANSPOSE_LEFT);
        tile_left[row * LEFT_STRIDE + k] = left_at(job, block.y * BLOCK + row, first + k);
    }
    for (var i = local; i < STEP * BLOCK; i += THREADS) {
        let k = select(i / BLOCK, i % STEP, TRANSPOSE_RIGHT);
        let column = select(i % BLOCK, i / STEP, TRANSPOSE_RIGHT);
        tile_right[k * RIGHT_STRIDE + column] = right_at(job, first + k, block.x * BLOCK + column);
    }
}

// Where the tiles of a subgroup begin, and the position of a thread in it.
struct Place {
    group: u32,
    product: u32,
    row: u32,
    column: u32,
    subgroup: u32,
    lane: u32,
    lanes: u32,
}

// Stores the staged sums of each subgroup as its tile (i, j), except those past the end.
fn store(place: Place, i: u32, j: u32) {
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS) {
        for (var e = place.lane; e < UNIT * UNIT; e += place.lanes) {
            let row = place.row + i * UNIT + e / UNIT;
            let column = place.column + j * UNIT + e % UNIT;
            if (row < params.rows && column < params.columns) {
                var value = tile_sums[place.subgroup * UNIT * UNIT + e];
                if (params.with_bias != 0u) {
                    value += f32(bias[starts.bias + place.group * params.columns + column]);
                }
                let at = place.product + row * params.product_stride + column;
                if (params.accumulate != 0u) {
                    value += f32(product[at]);
                }
                product[at] = Product(value);
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
) {
    // If subgroups are smaller than the largest, there are more than SUBGROUPS. The others repeat the work of the last one, and
    // nothing reads their results.
    let own = min(subgroup, SUBGROUPS - 1u);
    let own_row = own / ACROSS * SIDE * UNIT;
    let own_column = own % ACROSS * SIDE * UNIT;
    let job = task(block.z);
    let place = Place(
        job.group,
        job.product,
        block.y * BLOCK + own_row,
        block.x * BLOCK + own_column,
        subgroup,
        lane,
        lanes,
    );
    var sum00 = SumTile();
    var sum01 = SumTile();
    var sum02 = SumTile();
    var sum03 = SumTile();
    var sum10 = SumTile();
    var sum11 = SumTile();
    var sum12 = SumTile();
    var sum13 = SumTile();
    var sum20 = SumTile();
    var sum21 = SumTile();
    var sum22 = SumTile();
    var sum23 = SumTile();
    var sum30 = SumTile();
    var sum31 = SumTile();
    var sum32 = SumTile();
    var sum33 = SumTile();
    for (var first = job.first; first < job.end; first += STEP) {
        workgroupBarrier();
        stage(job, block, local, first);
        workgroupBarrier();
        for (var k = 0u; k < STEP; k += UNIT) {
            let l0 = coopLoadT<LeftTile>(&tile_left[(own_row + 0u * UNIT) * LEFT_STRIDE + k], LEFT_STRIDE);
            let l1 = coopLoadT<LeftTile>(&tile_left[(own_row + 1u * UNIT) * LEFT_STRIDE + k], LEFT_STRIDE);
            let r0 = coopLoadT<RightTile>(&tile_right[k * RIGHT_STRIDE + own_column + 0u * UNIT], RIGHT_STRIDE);
            let r1 = coopLoadT<RightTile>(&tile_right[k * RIGHT_STRIDE + own_column + 1u * UNIT], RIGHT_STRIDE);
            sum00 = coopMultiplyAdd(l0, r0, sum00);
            sum01 = coopMultiplyAdd(l0, r1, sum01);
            sum10 = coopMultiplyAdd(l1, r0, sum10);
            sum11 = coopMultiplyAdd(l1, r1, sum11);
            if (WIDE) {
                let l2 = coopLoadT<LeftTile>(&tile_left[(own_row + 2u * UNIT) * LEFT_STRIDE + k], LEFT_STRIDE);
                let l3 = coopLoadT<LeftTile>(&tile_left[(own_row + 3u * UNIT) * LEFT_STRIDE + k], LEFT_STRIDE);
                let r2 = coopLoadT<RightTile>(&tile_right[k * RIGHT_STRIDE + own_column + 2u * UNIT], RIGHT_STRIDE);
                let r3 = coopLoadT<RightTile>(&tile_right[k * RIGHT_STRIDE + own_column + 3u * UNIT], RIGHT_STRIDE);
                sum02 = coopMultiplyAdd(l0, r2, sum02);
                sum03 = coopMultiplyAdd(l0, r3, sum03);
                sum12 = coopMultiplyAdd(l1, r2, sum12);
                sum13 = coopMultiplyAdd(l1, r3, sum13);
                sum20 = coopMultiplyAdd(l2, r0, sum20);
                sum21 = coopMultiplyAdd(l2, r1, sum21);
                sum22 = coopMultiplyAdd(l2, r2, sum22);
                sum23 = coopMultiplyAdd(l2, r3, sum23);
                sum30 = coopMultiplyAdd(l3, r0, sum30);
                sum31 = coopMultiplyAdd(l3, r1, sum31);
                sum32 = coopMultiplyAdd(l3, r2, sum32);
                sum33 = coopMultiplyAdd(l3, r3, sum33);
            }
        }
    }
    let sums = min(subgroup, SUBGROUPS) * UNIT * UNIT;
    coopStoreT(sum00, &tile_sums[sums], UNIT);
    store(place, 0u, 0u);
    coopStoreT(sum01, &tile_sums[sums], UNIT);
    store(place, 0u, 1u);
    coopStoreT(sum10, &tile_sums[sums], UNIT);
    store(place, 1u, 0u);
    coopStoreT(sum11, &tile_sums[sums], UNIT);
    store(place, 1u, 1u);
    if (WIDE) {
        coopStoreT(sum02, &tile_sums[sums], UNIT);
        store(place, 0u, 2u);
        coopStoreT(sum03, &tile_sums[sums], UNIT);
        store(place, 0u, 3u);
        coopStoreT(sum12, &tile_sums[sums], UNIT);
        store(place, 1u, 2u);
        coopStoreT(sum13, &tile_sums[sums], UNIT);
        store(place, 1u, 3u);
        coopStoreT(sum20, &tile_sums[sums], UNIT);
        store(place, 2u, 0u);
        coopStoreT(sum21, &tile_sums[sums], UNIT);
        store(place, 2u, 1u);
        coopStoreT(sum22, &tile_sums[sums], UNIT);
        store(place, 2u, 2u);
        coopStoreT(sum23, &tile_sums[sums], UNIT);
        store(place, 2u, 3u);
        coopStoreT(sum30, &tile_sums[sums], UNIT);
        store(place, 3u, 0u);
        coopStoreT(sum31, &tile_sums[sums], UNIT);
        store(place, 3u, 1u);
        coopStoreT(sum32, &tile_sums[sums], UNIT);
        store(place, 3u, 2u);
        coopStoreT(sum33, &tile_sums[sums], UNIT);
        store(place, 3u, 3u);
    }
}
