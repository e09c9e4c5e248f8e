// y[column] = scale * sum of x[row, column] over the rows, added to y if accumulate is not 0.
// A workgroup sums COLUMNS neighbouring columns, each with 256 / COLUMNS lanes of rows.

struct Params {
    rows: u32,
    width: u32,
    accumulate: u32,
    scale: f32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const COLUMNS: u32 = 32u;
const LANES: u32 = 256u / COLUMNS;

// The rows that a thread reads at a time, in the same order, so that their loads are in flight together.
const AT_ONCE: u32 = 1u;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = (group.y * groups.x + group.x) * COLUMNS + local % COLUMNS;
    let lane = local / COLUMNS;
    var sum = 0.0;
    if (column < params.width) {
        var row = lane;
        #if AT_ONCE > 1
        for (; row + {AT_ONCE-1}u * LANES < params.rows; row += AT_ONCE * LANES) {
            #for k in 0..AT_ONCE
            let x{k} = f32(x[starts.x + (row + {k}u * LANES) * params.width + column]);
            #end
            #for k in 0..AT_ONCE
            sum += x{k};
            #end
        }
        #end
        for (; row < params.rows; row += LANES) {
            sum += f32(x[starts.x + row * params.width + column]);
        }
    }
    partial[local] = sum;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
        if (lane < stride) {
            partial[local] += partial[local + stride * COLUMNS];
        }
        workgroupBarrier();
    }
    if (lane == 0u && column < params.width) {
        let total = params.scale * partial[local];
        if (params.accumulate != 0u) {
            y[starts.y + column] += total;
        } else {
            y[starts.y + column] = total;
        }
    }
}
