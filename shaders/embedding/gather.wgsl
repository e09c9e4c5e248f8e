// y[row] = table[ids[row] - base]: the embeddings of a batch, for the ids in the table.

struct Params {
    rows: u32,
    width: u32,
    base: u32,
    window: u32,
}

struct Starts {
    table: u32,
    ids: u32,
    y: u32,
}

// Elements of a vector in memory: 1 or 4.
const LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
#if LANES == 1
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
alias Y = f32;
alias Wide = f32;
#else
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
alias Y = vec4<f32>;
alias Wide = vec4<f32>;
#end

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    let width = params.width / LANES;
    if (i >= params.rows * width) {
        return;
    }
    let at = ids[starts.ids + i / width] - params.base;
    if (at < params.window) {
        y[starts.y + i] = Y(Wide(table[starts.table + at * width + i % width]));
    }
}
