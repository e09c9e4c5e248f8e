// product_b = rounds (left right) for each block b, on the matrix units of a device, from registers. A subgroup keeps a block of
// 32 x 32 sums and its operands in registers.

enable f16;
enable wgpu_cooperative_matrix;

struct Params {
    blocks: u32,
    rounds: u32,
}

struct Starts {
    left: u32,
    right: u32,
    product: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read_write> product: array<f32>;

// Set by the executor: rows, columns and terms of a matrix unit, 8 or 16, and the threads of the largest subgroup.
const UNIT: u32 = 16u;
const SUBGROUP: u32 = 32u;

// Set, too, but not used: tiles are staged once.
const VECTOR_BYTES: u32 = 16u;

// Rows and columns of a block, and terms of its sums.
const SIDE: u32 = 32u;
const DEPTH: u32 = 16u;

// Subgroups, each with its own block.
const SUBGROUPS: u32 = 4u;
const THREADS: u32 = SUBGROUPS * SUBGROUP;

alias LeftTile = coop_mat{UNIT}x{UNIT}<f16, A>;
alias RightTile = coop_mat{UNIT}x{UNIT}<f16, B>;
alias SumTile = coop_mat{UNIT}x{UNIT}<f32, C>;

var<workgroup> tile_left: array<f16, SIDE * DEPTH>;
var<workgroup> tile_right: array<f16, DEPTH * SIDE>;
// Stages a tile of sums of each subgroup before it is stored. One more tile for the subgroups past the last, which nothing reads.
var<workgroup> tile_sums: array<f32, (SUBGROUPS + 1u) * UNIT * UNIT>;

// The block of a subgroup, and the position of a thread in it.
struct Place {
    block: u32,
    subgroup: u32,
    lane: u32,
    lanes: u32,
}

// Stores the staged sums of each subgroup as tile (i, j) of its block.
fn store(place: Place, i: u32, j: u32) {
    workgroupBarrier();
    if (place.subgroup < SUBGROUPS && place.block < params.blocks) {
        for (var e = place.lane; e < UNIT * UNIT; e += place.lanes) {
            let row = i * UNIT + e / UNIT;
            let column = j * UNIT + e % UNIT;
            product[starts.product + (place.block * SIDE + row) * SIDE + column] = tile_sums[place.subgroup * UNIT * UNIT + e];
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
) {
    for (var i = local; i < SIDE * DEPTH; i += THREADS) {
        tile_left[i] = f16(left[starts.left + i]);
        tile_right[i] = f16(right[starts.right + i]);
    }
    workgroupBarrier();
    // If subgroups are smaller than the largest, there are more than SUBGROUPS. The others repeat the work of the last one, and
    // nothing reads their results.
    let block = (group.y * groups.x + group.x) * SUBGROUPS + min(subgroup, SUBGROUPS - 1u);
    let place = Place(block, subgroup, lane, lanes);
    let sums = min(subgroup, SUBGROUPS) * UNIT * UNIT;
    // 2 x 2 tiles at a time: all tiles of units of 16, a quarter of those of units of 8.
    for (var i = 0u; i < SIDE / UNIT; i += 2u) {
        for (var j = 0u; j < SIDE / UNIT; j += 2u) {
            var sum00 = SumTile();
            var sum01 = SumTile();
            var sum10 = SumTile();
            var sum11 = SumTile();
            for (var k = 0u; k < DEPTH; k += UNIT) {
                let l0 = coopLoadT<LeftTile>(&tile_left[i * UNIT * DEPTH + k], DEPTH);
                let l1 = coopLoadT<LeftTile>(&tile_left[(i + 1u) * UNIT * DEPTH + k], DEPTH);
                let r0 = coopLoadT<RightTile>(&tile_right[k * SIDE + j * UNIT], SIDE);
                let r1 = coopLoadT<RightTile>(&tile_right[k * SIDE + (j + 1u) * UNIT], SIDE);
                for (var round = 0u; round < params.rounds; round += 1u) {
                    sum00 = coopMultiplyAdd(l0, r0, sum00);
                    sum01 = coopMultiplyAdd(l0, r1, sum01);
                    sum10 = coopMultiplyAdd(l1, r0, sum10);
                    sum11 = coopMultiplyAdd(l1, r1, sum11);
                }
            }
            coopStoreT(sum00, &tile_sums[sums], UNIT);
            store(place, i, j);
            coopStoreT(sum01, &tile_sums[sums], UNIT);
            store(place, i, j + 1u);
            coopStoreT(sum10, &tile_sums[sums], UNIT);
            store(place, i + 1u, j);
            coopStoreT(sum11, &tile_sums[sums], UNIT);
            store(place, i + 1u, j + 1u);
        }
    }
}
