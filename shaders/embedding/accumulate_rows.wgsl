// gradient[k] = or += scale * sum of source[p - base] over the positions p of distinct row first + k that are in source, in
// ascending order. rows is a row index (src/kernels/embedding/rows.rs) of `sources` sources.

struct Params {
    sources: u32,
    width: u32,
    scale: f32,
    first: u32,
    capacity: u32,
    base: u32,
    window: u32,
    accumulate: u32,
}

struct Starts {
    source: u32,
    rows: u32,
    gradient: u32,
}

// Elements of a vector in memory: 1 or 4.
const LANES: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
#if LANES == 1
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
alias Elements = f32;
#else
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradient: array<vec4<f32>>;
alias Elements = vec4<f32>;
#end

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    let width = params.width / LANES;
    if (i >= params.capacity * width) {
        return;
    }
    let k = params.first + i / width;
    let column = i % width;
    var sum = Elements();
    if (k < rows[starts.rows]) {
        let offsets = starts.rows + 1u + params.sources;
        let positions = offsets + params.sources + 1u;
        let end = rows[offsets + k + 1u];
        for (var n = rows[offsets + k]; n < end; n += 1u) {
            let row = rows[positions + n] - params.base;
            if (row < params.window) {
                sum += Elements(source[starts.source + row * width + column]);
            }
        }
    }
    let result = params.scale * sum;
    if (params.accumulate != 0u) {
        gradient[starts.gradient + i] += result;
    } else {
        gradient[starts.gradient + i] = result;
    }
}
