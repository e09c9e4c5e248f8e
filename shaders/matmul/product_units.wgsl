// product_g = left_g right_g + bias_g, or +=, on the matrix units of a device: operands in f16, or in f32 and split into two f16;
// sums in f32. The text of all forms of src/kernels/matmul/table.rs that multiply on units. A workgroup computes a block of
// ROWS x COLUMNS, a subgroup SUBGROUP_ROWS x SUBGROUP_COLUMNS of it. STEP terms at a time are staged in workgroup memory, with zeros
// past the end.

enable f16;
enable wgpu_cooperative_matrix;

// The block of a workgroup, and the part of it that a subgroup computes.
const ROWS: u32 = 64u;
const COLUMNS: u32 = 64u;
const SUBGROUP_ROWS: u32 = 32u;
const SUBGROUP_COLUMNS: u32 = 32u;

// Terms that are staged at once.
const STEP: u32 = 32u;

// Buffers of staged terms. With two, terms are staged while others are read, with one barrier a step instead of two.
const BUFFERS: u32 = 1u;

// Parts of an element of an operand. 1: it is f16. 2: it is f32, and the sum of h and l / LOW, which are f16.
const PARTS: u32 = 1u;
#if PARTS == 2
const LOW: f32 = 2048.0;

// Terms after which the products of the first parts are added to a total: units may round their sums towards zero.
const FLUSH: u32 = 128u;
#end

// Set by the executor: rows, columns and terms of a matrix unit, 8 or 16, and the threads of the largest subgroup.
const UNIT: u32 = 16u;
const SUBGROUP: u32 = 32u;

// Set by the executor: the largest vectors from which units read tiles of halves here, in bytes: 16, 8, or 2 for single halves.
const VECTOR_BYTES: u32 = 16u;

// Tiles of a subgroup, subgroups along a row of the block, and in all.
const DOWN: u32 = SUBGROUP_ROWS / UNIT;
const ACROSS: u32 = SUBGROUP_COLUMNS / UNIT;
const SUBGROUPS_ACROSS: u32 = COLUMNS / SUBGROUP_COLUMNS;
const SUBGROUPS: u32 = ROWS / SUBGROUP_ROWS * SUBGROUPS_ACROSS;
const THREADS: u32 = SUBGROUPS * SUBGROUP;

// Unroll factor of the loop over terms, in steps of UNIT terms.
const UNROLLED: u32 = select(1u, STEP / UNIT, UNIT == 16u);

// Whether the stored rows of an operand run along the terms.
const LEFT_ALONG: bool = !TRANSPOSE_LEFT;
const RIGHT_ALONG: bool = TRANSPOSE_RIGHT;

// Operands are staged as they are stored, in eights: vectors of eight adjacent elements of a stored row (a four has four).
// Below: the eights of a stored row, and the distance from one row to the next, with one eight of padding, so that rows begin in
// different banks.
const LEFT_WIDTH: u32 = select(ROWS, STEP, LEFT_ALONG) / 8u;
const RIGHT_WIDTH: u32 = select(COLUMNS, STEP, RIGHT_ALONG) / 8u;
const LEFT_STRIDE: u32 = LEFT_WIDTH + 1u;
const RIGHT_STRIDE: u32 = RIGHT_WIDTH + 1u;

// Eights of each operand, those that a thread stages, and the size of a buffer, long enough for an operand and its transpose.
const LEFT_EIGHTS: u32 = ROWS * STEP / 8u;
const RIGHT_EIGHTS: u32 = COLUMNS * STEP / 8u;
const LEFT_OWN: u32 = (LEFT_EIGHTS + THREADS - 1u) / THREADS;
const RIGHT_OWN: u32 = (RIGHT_EIGHTS + THREADS - 1u) / THREADS;
const LEFT_BUFFER: u32 = LEFT_EIGHTS + max(ROWS, STEP);
const RIGHT_BUFFER: u32 = RIGHT_EIGHTS + max(COLUMNS, STEP);

alias LeftTile = coop_mat{UNIT}x{UNIT}<f16, A>;
alias RightTile = coop_mat{UNIT}x{UNIT}<f16, B>;
alias SumTile = coop_mat{UNIT}x{UNIT}<f32, C>;

// Operands that are read in vectors are staged in the largest vectors, others element by element. EIGHT and FOUR: how many of
// these hold eight and four elements.
#if LANES > 1
const EIGHT: u32 = 16u / VECTOR_BYTES;
#else
const EIGHT: u32 = 8u;
#end
#if PARTS == 2
alias Eight = array<vec4<f32>, 2>;
#else
#if LANES == 8
alias Eight = vec4<u32>;
#else
alias Eight = array<vec4<f16>, 2>;
#end
#end
#if EIGHT == 1
alias Staged = vec4<u32>;
#else
#if EIGHT == 2
alias Staged = vec4<f16>;
#else
alias Staged = f16;
#end
#end
#if EIGHT < 8
alias Four = vec4<f32>;
const FOUR: u32 = 1u;
#else
alias Four = f32;
const FOUR: u32 = 4u;
#end

#for p in 0..PARTS
var<workgroup> tile_left{p}: array<Staged, EIGHT * BUFFERS * LEFT_BUFFER>;
var<workgroup> tile_right{p}: array<Staged, EIGHT * BUFFERS * RIGHT_BUFFER>;
#end
// Stages adjacent tiles of sums of each subgroup before they are stored. There is room for one more subgroup: for those past
// the last, whose sums nothing reads.
const SUM_TILES: u32 = 1u;
const TILE: u32 = UNIT * UNIT / 4u;
var<workgroup> tile_sums: array<Four, FOUR * (SUBGROUPS + 1u) * SUM_TILES * TILE>;

// Fours of a tile whose inputs a thread loads at once, if a cell follows.
const FOURS: u32 = min(max(TILE / SUBGROUP, 1u), 2u);

// An eight that a thread stages: where it is, the number of elements after the first that are in the matrix, its term, and its
// place in a buffer.
struct Source {
    at: u32,
    more: u32,
    k: u32,
    place: u32,
}

#if PARTS == 2
// The first part of four elements. The maximum changes nothing but minus infinity, and hides the rounding from compilers, which
// else take f32(f16(x)) for x.
fn high(x: vec4<f32>) -> vec4<f16> {
    return max(vec4<f16>(x), vec4<f16>(-65504.0));
}

// The second part.
fn low(x: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(LOW * (x - vec4<f32>(high(x))));
}

#end
#if EIGHT == 1
fn packed(a: vec4<f16>, b: vec4<f16>) -> vec4<u32> {
    let x = vec4<f32>(a);
    let y = vec4<f32>(b);
    return vec4<u32>(pack2x16float(x.xy), pack2x16float(x.zw), pack2x16float(y.xy), pack2x16float(y.zw));
}

#end
#for side in left right
// Eight i of an operand, of the first terms of a block whose rows or columns begin at `first`. Rows and columns past the end repeat
// the last one and are not stored.
fn {side}_source(job: Task, i: u32, first: u32, last: u32) -> Source {
    let stored = i / {SIDE}_WIDTH;
    let along = i % {SIDE}_WIDTH * 8u;
    let start = {side}_start() + job.group * {side}_group();
    let place = stored * {SIDE}_STRIDE + along / 8u;
#if {SIDE}_ALONG
    let line = min(first + stored, last);
    return Source((start + line * {side}_stride() + job.first + along) / LANES, 7u, job.first + along, place);
#else
#if LANES > 1
    let line = min(first + along, last / 8u * 8u);
#else
    let line = min(first + along, last);
#end
    return Source((start + (job.first + stored) * {side}_stride() + line) / LANES, last - line, job.first + stored, place);
#end
}

// The eight at a source, zero past the end.
fn {side}_eight(s: Source, end: u32) -> Eight {
#if LANES > 1
    if (s.k >= end) {
        return Eight();
    }
#if PARTS == 1
    return read_{side}(s.at);
#else
    return array<vec4<f32>, 2>(vec4<f32>(read_{side}(s.at)), vec4<f32>(read_{side}(s.at + 1u)));
#end
#else
    var eight = Eight();
#for c in 0..8
#if {SIDE}_ALONG
    let inside{c} = s.k + {c}u < end;
    let at{c} = s.at + {c}u;
#else
    let inside{c} = s.k < end;
    let at{c} = s.at + min({c}u, s.more);
#end
    if (inside{c}) {
#if PARTS == 1
        eight[{c/4}][{c%4}] = f16(read_{side}(at{c}));
#else
        eight[{c/4}][{c%4}] = read_{side}(at{c});
#end
    }
#end
    return eight;
#end
}

fn put_{side}(buffer: u32, i: u32, s: Source, eight: Eight) {
#if {SIDE}_OWN*THREADS > {SIDE}_EIGHTS
    if (i >= {SIDE}_EIGHTS) {
        return;
    }
#end
    let at = EIGHT * (buffer * {SIDE}_BUFFER + s.place);
#if LANES == 8 && EIGHT == 1
    tile_{side}0[at] = eight;
#else
#for f in 0..2
#if LANES == 8
    let part0_{f} = vec4<f16>(vec4<f32>(unpack2x16float(eight[{2*f}]), unpack2x16float(eight[{2*f+1}])));
#end
#if LANES < 8 && PARTS == 1
    let part0_{f} = eight[{f}];
#end
#if PARTS == 2
    let part0_{f} = high(eight[{f}]);
    let part1_{f} = low(eight[{f}]);
#end
#end
#for p in 0..PARTS
#if EIGHT == 1
    tile_{side}{p}[at] = packed(part{p}_0, part{p}_1);
#end
#if EIGHT == 2
    tile_{side}{p}[at] = part{p}_0;
    tile_{side}{p}[at + 1u] = part{p}_1;
#end
#if EIGHT == 8
#for c in 0..8
    tile_{side}{p}[at + {c}u] = part{p}_{c/4}[{c%4}];
#end
#end
#end
#end
}

#end
// Where the tiles of a subgroup begin, and the position of a thread in it.
struct Place {
    row: u32,
    column: u32,
    subgroup: u32,
    lane: u32,
    lanes: u32,
}

// Elements 4e to 4e + 3 of staged tile t of the subgroup.
fn staged(place: Place, t: u32, e: u32) -> vec4<f32> {
    let at = FOUR * ((place.subgroup * SUM_TILES + t) * TILE + e);
#if FOUR == 1
    return tile_sums[at];
#else
    return vec4<f32>(tile_sums[at], tile_sums[at + 1u], tile_sums[at + 2u], tile_sums[at + 3u]);
#end
}

// Finishes the staged sums of each subgroup, which are those of its tiles from (i, j) on.
fn finish_tiles(job: Task, place: Place, i: u32, j: u32) {
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS) {
#if CELL
        for (var e = place.lane; e < TILE; e += FOURS * place.lanes) {
#for f in 0..FOURS
            let e{f} = e + {f}u * place.lanes;
            let row{f} = place.row + i * UNIT + e{f} / (UNIT / 4u);
#for t in 0..SUM_TILES
            let column{f}_{t} = place.column + (j + {t}u) * UNIT + e{f} % (UNIT / 4u) * 4u;
            let inputs{f}_{t} = inputs_of(job, row{f}, column{f}_{t});
            let total{f}_{t} = before(job, row{f}, column{f}_{t}) + staged(place, {t}u, e{f});
#end
#end
#for f in 0..FOURS
#for t in 0..SUM_TILES
            finish_cell(job, row{f}, column{f}_{t}, total{f}_{t}, inputs{f}_{t});
#end
#end
        }
#else
        for (var e = place.lane; e < TILE; e += place.lanes) {
            let row = place.row + i * UNIT + e / (UNIT / 4u);
            let column = place.column + j * UNIT + e % (UNIT / 4u) * 4u;
            let value = staged(place, 0u, e) + bias_of(true, job.group, columns_from(column));
            finish(job, true, row, column, value);
        }
#end
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
    let own_row = own / SUBGROUPS_ACROSS * SUBGROUP_ROWS;
    let own_column = own % SUBGROUPS_ACROSS * SUBGROUP_COLUMNS;
    let job = task(block.z);
    let place = Place(block.y * ROWS + own_row, block.x * COLUMNS + own_column, subgroup, lane, lanes);
#for i in 0..DOWN
#for j in 0..ACROSS
    var sum{i}_{j} = SumTile();
#if PARTS == 2
    var total{i}_{j} = SumTile();
    var low{i}_{j} = SumTile();
#end
#end
#end
    var buffer = 0u;
    // From the terms of a step to those of the next.
    let left_step = STEP * select(left_stride(), 1u, LEFT_ALONG) / LANES;
    let right_step = STEP * select(right_stride(), 1u, RIGHT_ALONG) / LANES;
#for n in 0..LEFT_OWN
    var from_left{n} = left_source(job, local + {n}u * THREADS, block.y * ROWS, rows() - 1u);
    var left{n} = left_eight(from_left{n}, job.end);
#end
#for n in 0..RIGHT_OWN
    var from_right{n} = right_source(job, local + {n}u * THREADS, block.x * COLUMNS, columns() - 1u);
    var right{n} = right_eight(from_right{n}, job.end);
#end
#if BUFFERS == 2
#for side in left right
#for n in 0..{SIDE}_OWN
    put_{side}(buffer, local + {n}u * THREADS, from_{side}{n}, {side}{n});
#end
#end
    workgroupBarrier();
#end
    for (var first = job.first; first < job.end; first += STEP) {
#if BUFFERS == 1
        workgroupBarrier();
#for side in left right
#for n in 0..{SIDE}_OWN
        put_{side}(buffer, local + {n}u * THREADS, from_{side}{n}, {side}{n});
#end
#end
        workgroupBarrier();
#end
        // The terms of the next step are loaded while those of this one are multiplied.
#for side in left right
#for n in 0..{SIDE}_OWN
        from_{side}{n}.at += {side}_step;
        from_{side}{n}.k += STEP;
        {side}{n} = {side}_eight(from_{side}{n}, job.end);
#end
#end
        let at_left = EIGHT * buffer * LEFT_BUFFER;
        let at_right = EIGHT * buffer * RIGHT_BUFFER;
        for (var start = 0u; start < STEP; start += UNROLLED * UNIT) {
#for u in 0..UNROLLED
            let k{u} = start + {u}u * UNIT;
#for p in 0..PARTS
#for i in 0..DOWN
#if LEFT_ALONG
            let l{p}_{u}_{i} = coopLoadT<LeftTile>(&tile_left{p}[at_left + EIGHT * ((own_row + {i}u * UNIT) * LEFT_STRIDE + k{u} / 8u)], EIGHT * LEFT_STRIDE);
#else
            let l{p}_{u}_{i} = coopLoad<LeftTile>(&tile_left{p}[at_left + EIGHT * (k{u} * LEFT_STRIDE + (own_row + {i}u * UNIT) / 8u)], EIGHT * LEFT_STRIDE);
#end
#end
#for j in 0..ACROSS
#if RIGHT_ALONG
            let r{p}_{u}_{j} = coopLoad<RightTile>(&tile_right{p}[at_right + EIGHT * ((own_column + {j}u * UNIT) * RIGHT_STRIDE + k{u} / 8u)], EIGHT * RIGHT_STRIDE);
#else
            let r{p}_{u}_{j} = coopLoadT<RightTile>(&tile_right{p}[at_right + EIGHT * (k{u} * RIGHT_STRIDE + (own_column + {j}u * UNIT) / 8u)], EIGHT * RIGHT_STRIDE);
#end
#end
#end
#for i in 0..DOWN
#for j in 0..ACROSS
            sum{i}_{j} = coopMultiplyAdd(l0_{u}_{i}, r0_{u}_{j}, sum{i}_{j});
#if PARTS == 2
            low{i}_{j} = coopMultiplyAdd(l0_{u}_{i}, r1_{u}_{j}, low{i}_{j});
            low{i}_{j} = coopMultiplyAdd(l1_{u}_{i}, r0_{u}_{j}, low{i}_{j});
#end
#end
#end
#end
        }
#if PARTS == 2
        if ((first + STEP - job.first) % FLUSH == 0u) {
#for i in 0..DOWN
#for j in 0..ACROSS
            total{i}_{j} = total{i}_{j} + sum{i}_{j};
            sum{i}_{j} = SumTile();
#end
#end
        }
#end
#if BUFFERS == 2
        buffer = 1u - buffer;
#for side in left right
#for n in 0..{SIDE}_OWN
        put_{side}(buffer, local + {n}u * THREADS, from_{side}{n}, {side}{n});
#end
#end
        workgroupBarrier();
#end
    }
#for t in 0..SUM_TILES
    let sums{t} = FOUR * (min(subgroup, SUBGROUPS) * SUM_TILES + {t}u) * TILE;
#end
#if CELL
    // A loop, so that the code of a cell is not repeated for each tile.
    for (var n = 0u; n < DOWN * ACROSS; n += SUM_TILES) {
        switch n {
#for n in 0..DOWN*ACROSS/SUM_TILES
            case {n*SUM_TILES}u: {
#for t in 0..SUM_TILES
#for i in n*SUM_TILES/ACROSS..n*SUM_TILES/ACROSS+1
#for j in n*SUM_TILES%ACROSS+t..n*SUM_TILES%ACROSS+t+1
#if PARTS == 2
                sum{i}_{j} = total{i}_{j} + sum{i}_{j} + low{i}_{j} * (1.0 / LOW);
#end
                coopStoreT(sum{i}_{j}, &tile_sums[sums{t}], FOUR * UNIT / 4u);
#end
#end
#end
            }
#end
            default: {}
        }
        finish_tiles(job, place, n / ACROSS, n % ACROSS);
    }
#else
#for i in 0..DOWN
#for j in 0..ACROSS
#if PARTS == 2
    sum{i}_{j} = total{i}_{j} + sum{i}_{j} + low{i}_{j} * (1.0 / LOW);
#end
    coopStoreT(sum{i}_{j}, &tile_sums[sums0], FOUR * UNIT / 4u);
    finish_tiles(job, place, {i}u, {j}u);
#end
#end
#end
}
