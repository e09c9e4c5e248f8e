// product_g = left_g right_g + bias_g, or +=, on the matrix units of a device, bitwise identical to product_units.wgsl, for sizes
// that are whole vectors. A workgroup computes a block of ROWS x COLUMNS, a subgroup 2 x 2 tiles of UNIT x UNIT of it. STEP
// terms at a time are staged in workgroup memory; those of the next step are loaded while this one is computed.

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(2) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<vec4<f32>>;

alias Product = vec4<f32>;

// The block of a workgroup.
const ROWS: u32 = 64u;
const COLUMNS: u32 = 64u;

// Set by the executor: rows, columns and terms of a matrix unit, and the threads of the largest subgroup.
const UNIT: u32 = 16u;
const SUBGROUP: u32 = 32u;

// Terms that are staged at once.
const STEP: u32 = 32u;

// Subgroups along a row of the block, and in all.
const ACROSS: u32 = COLUMNS / (2u * UNIT);
const SUBGROUPS: u32 = ROWS / (2u * UNIT) * ACROSS;
const THREADS: u32 = SUBGROUPS * SUBGROUP;

// Operands are staged as they are stored, in vectors of eight: the vectors of a stored row, and from one row to the next, with
// one vector of padding, so that rows begin in different banks.
const LEFT_WIDTH: u32 = select(STEP, ROWS, TRANSPOSE_LEFT) / 8u;
const LEFT_STRIDE: u32 = LEFT_WIDTH + 1u;
const RIGHT_WIDTH: u32 = select(COLUMNS, STEP, TRANSPOSE_RIGHT) / 8u;
const RIGHT_STRIDE: u32 = RIGHT_WIDTH + 1u;

// Vectors of eight of each operand.
const LEFT_EIGHTS: u32 = ROWS * STEP / 8u;
const RIGHT_EIGHTS: u32 = COLUMNS * STEP / 8u;

alias Four = vec4<f16>;

struct Eight {
    low: Four,
    high: Four,
}

// The executor replaces these types by coop_mat8x8 where UNIT is 8.
alias LeftTile = coop_mat16x16<f16, A>;
alias RightTile = coop_mat16x16<f16, B>;
alias SumTile = coop_mat16x16<f32, C>;

// Long enough for an operand and its transpose. A vector of eight is two vectors of four.
var<workgroup> tile_left: array<vec4<f16>, 2u * (LEFT_EIGHTS + max(ROWS, STEP))>;
var<workgroup> tile_right: array<vec4<f16>, 2u * (RIGHT_EIGHTS + max(COLUMNS, STEP))>;
// Stages a tile of sums of each subgroup before it is stored. One more tile for the subgroups past the last, which nothing reads.
const TILE: u32 = UNIT * UNIT / 4u;
var<workgroup> tile_sums: array<vec4<f32>, (SUBGROUPS + 1u) * TILE>;

// A vector of eight that a thread stages: where it is, its term, and whether its row or column is in the matrix.
struct Source {
    at: u32,
    k: u32,
    inside: bool,
}

fn left_source(job: Task, block: vec3<u32>, i: u32) -> Source {
    let stored = i / LEFT_WIDTH;
    let along = i % LEFT_WIDTH * 8u;
    let row = block.y * ROWS + select(stored, along, TRANSPOSE_LEFT);
    let k = job.first + select(along, stored, TRANSPOSE_LEFT);
    let stride = params.left_stride / 4u;
    let start = starts.left + job.group * (params.left_group / 4u);
    let at = start + select(row * stride + k / 4u, k * stride + row / 4u, TRANSPOSE_LEFT);
    return Source(at, k, row < params.rows);
}

fn right_source(job: Task, block: vec3<u32>, i: u32) -> Source {
    let stored = i / RIGHT_WIDTH;
    let along = i % RIGHT_WIDTH * 8u;
    let column = block.x * COLUMNS + select(along, stored, TRANSPOSE_RIGHT);
    let k = job.first + select(stored, along, TRANSPOSE_RIGHT);
    let stride = params.right_stride / 4u;
    let start = starts.right + job.group * (params.right_group / 4u);
    let at = start + select(k * stride + column / 4u, column * stride + k / 4u, TRANSPOSE_RIGHT);
    return Source(at, k, column < params.columns);
}

// The vector at a source, zero past the end.
fn left_eight(job: Task, source: Source) -> Eight {
    if (!source.inside || source.k >= job.end) {
        return Eight();
    }
    return Eight(Four(left[source.at]), Four(left[source.at + 1u]));
}

fn right_eight(job: Task, source: Source) -> Eight {
    if (!source.inside || source.k >= job.end) {
        return Eight();
    }
    return Eight(Four(right[source.at]), Four(right[source.at + 1u]));
}

// The source STEP terms later, which is `vectors` vectors away.
fn next(source: Source, vectors: u32) -> Source {
    return Source(source.at + vectors, source.k + STEP, source.inside);
}

fn put_left(i: u32, eight: Eight) {
    let at = 2u * (i / LEFT_WIDTH * LEFT_STRIDE + i % LEFT_WIDTH);
    tile_left[at] = eight.low;
    tile_left[at + 1u] = eight.high;
}

fn put_right(i: u32, eight: Eight) {
    let at = 2u * (i / RIGHT_WIDTH * RIGHT_STRIDE + i % RIGHT_WIDTH);
    tile_right[at] = eight.low;
    tile_right[at + 1u] = eight.high;
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
        for (var e = place.lane; e < TILE; e += place.lanes) {
            let row = place.row + i * UNIT + e / (UNIT / 4u);
            let column = place.column + j * UNIT + e % (UNIT / 4u) * 4u;
            if (row < params.rows && column < params.columns) {
                var value = tile_sums[place.subgroup * TILE + e];
                if (params.with_bias != 0u) {
                    let own_bias = starts.bias + place.group * params.columns + column;
                    value += vec4<f32>(f32(bias[own_bias]), f32(bias[own_bias + 1u]), f32(bias[own_bias + 2u]), f32(bias[own_bias + 3u]));
                }
                let at = (place.product + row * params.product_stride + column) / 4u;
                if (params.accumulate != 0u) {
                    value += vec4<f32>(product[at]);
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
    let own_row = own / ACROSS * 2u * UNIT;
    let own_column = own % ACROSS * 2u * UNIT;
    let job = task(block.z);
    let place = Place(
        job.group,
        job.product,
        block.y * ROWS + own_row,
        block.x * COLUMNS + own_column,
        subgroup,
        lane,
        lanes,
    );
    var sum00 = SumTile();
    var sum01 = SumTile();
    var sum10 = SumTile();
    var sum11 = SumTile();
    // A thread stages at most two vectors of left and of right.
    let left_step = select(STEP / 4u, STEP * (params.left_stride / 4u), TRANSPOSE_LEFT);
    let right_step = select(STEP * (params.right_stride / 4u), STEP / 4u, TRANSPOSE_RIGHT);
    var from_left0 = left_source(job, block, local);
    var from_left1 = left_source(job, block, local + THREADS);
    var from_right0 = right_source(job, block, local);
    var from_right1 = right_source(job, block, local + THREADS);
    var left0 = left_eight(job, from_left0);
    var left1 = Eight();
    if (LEFT_EIGHTS > THREADS) {
        left1 = left_eight(job, from_left1);
    }
    var right0 = right_eight(job, from_right0);
    var right1 = Eight();
    if (RIGHT_EIGHTS > THREADS) {
        right1 = right_eight(job, from_right1);
    }
    for (var first = job.first; first < job.end; first += STEP) {
        workgroupBarrier();
        put_left(local, left0);
        if (LEFT_EIGHTS > THREADS) {
            put_left(local + THREADS, left1);
        }
        put_right(local, right0);
        if (RIGHT_EIGHTS > THREADS) {
            put_right(local + THREADS, right1);
        }
        workgroupBarrier();
        from_left0 = next(from_left0, left_step);
        left0 = left_eight(job, from_left0);
        if (LEFT_EIGHTS > THREADS) {
            from_left1 = next(from_left1, left_step);
            left1 = left_eight(job, from_left1);
        }
        from_right0 = next(from_right0, right_step);
        right0 = right_eight(job, from_right0);
        if (RIGHT_EIGHTS > THREADS) {
            from_right1 = next(from_right1, right_step);
            right1 = right_eight(job, from_right1);
        }
        // Unrolled by hand, because WGSL compilers do not: STEP is two units.
        {
            var l0 = LeftTile();
            var l1 = LeftTile();
            var r0 = RightTile();
            var r1 = RightTile();
            if (TRANSPOSE_LEFT) {
                let at = 0u * UNIT * LEFT_STRIDE + own_row / 8u;
                l0 = coopLoad<LeftTile>(&tile_left[2u * at], 2u * LEFT_STRIDE);
                l1 = coopLoad<LeftTile>(&tile_left[2u * (at + UNIT / 8u)], 2u * LEFT_STRIDE);
            } else {
                let at = own_row * LEFT_STRIDE + 0u * UNIT / 8u;
                l0 = coopLoadT<LeftTile>(&tile_left[2u * at], 2u * LEFT_STRIDE);
                l1 = coopLoadT<LeftTile>(&tile_left[2u * (at + UNIT * LEFT_STRIDE)], 2u * LEFT_STRIDE);
            }
            if (TRANSPOSE_RIGHT) {
                let at = own_column * RIGHT_STRIDE + 0u * UNIT / 8u;
                r0 = coopLoad<RightTile>(&tile_right[2u * at], 2u * RIGHT_STRIDE);
                r1 = coopLoad<RightTile>(&tile_right[2u * (at + UNIT * RIGHT_STRIDE)], 2u * RIGHT_STRIDE);
            } else {
                let at = 0u * UNIT * RIGHT_STRIDE + own_column / 8u;
                r0 = coopLoadT<RightTile>(&tile_right[2u * at], 2u * RIGHT_STRIDE);
                r1 = coopLoadT<RightTile>(&tile_right[2u * (at + UNIT / 8u)], 2u * RIGHT_STRIDE);
            }
            sum00 = coopMultiplyAdd(l0, r0, sum00);
            sum01 = coopMultiplyAdd(l0, r1, sum01);
            sum10 = coopMultiplyAdd(l1, r0, sum10);
            sum11 = coopMultiplyAdd(l1, r1, sum11);
        }
        {
            var l0 = LeftTile();
            var l1 = LeftTile();
            var r0 = RightTile();
            var r1 = RightTile();
            if (TRANSPOSE_LEFT) {
                let at = 1u * UNIT * LEFT_STRIDE + own_row / 8u;
                l0 = coopLoad<LeftTile>(&tile_left[2u * at], 2u * LEFT_STRIDE);
                l1 = coopLoad<LeftTile>(&tile_left[2u * (at + UNIT / 8u)], 2u * LEFT_STRIDE);
            } else {
                let at = own_row * LEFT_STRIDE + 1u * UNIT / 8u;
                l0 = coopLoadT<LeftTile>(&tile_left[2u * at], 2u * LEFT_STRIDE);
                l1 = coopLoadT<LeftTile>(&tile_left[2u * (at + UNIT * LEFT_STRIDE)], 2u * LEFT_STRIDE);
            }
            if (TRANSPOSE_RIGHT) {
                let at = own_column * RIGHT_STRIDE + 1u * UNIT / 8u;
                r0 = coopLoad<RightTile>(&tile_right[2u * at], 2u * RIGHT_STRIDE);
                r1 = coopLoad<RightTile>(&tile_right[2u * (at + UNIT * RIGHT_STRIDE)], 2u * RIGHT_STRIDE);
            } else {
                let at = 1u * UNIT * RIGHT_STRIDE + own_column / 8u;
                r0 = coopLoadT<RightTile>(&tile_right[2u * at], 2u * RIGHT_STRIDE);
                r1 = coopLoadT<RightTile>(&tile_right[2u * (at + UNIT / 8u)], 2u * RIGHT_STRIDE);
            }
            sum00 = coopMultiplyAdd(l0, r0, sum00);
            sum01 = coopMultiplyAdd(l0, r1, sum01);
            sum10 = coopMultiplyAdd(l1, r0, sum10);
            sum11 = coopMultiplyAdd(l1, r1, sum11);
        }
    }
    let sums = min(subgroup, SUBGROUPS) * TILE;
    coopStoreT(sum00, &tile_sums[sums], UNIT / 4u);
    store(place, 0u, 0u);
    coopStoreT(sum01, &tile_sums[sums], UNIT / 4u);
    store(place, 0u, 1u);
    coopStoreT(sum10, &tile_sums[sums], UNIT / 4u);
    store(place, 1u, 0u);
    coopStoreT(sum11, &tile_sums[sums], UNIT / 4u);
    store(place, 1u, 1u);
}
