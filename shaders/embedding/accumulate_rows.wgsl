// gradient[k] = scale * sum of source[p] over the positions p of distinct row k, in ascending order.
// rows is a row index (src/kernels/embedding/rows.rs) of `capacity` sources.

struct Params {
    capacity: u32,
    width: u32,
    scale: f32,
}

struct Starts {
    source: u32,
    rows: u32,
    gradient: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.capacity * params.width) {
        return;
    }
    let k = i / params.width;
    let column = i % params.width;
    var sum = 0.0;
    if (k < rows[starts.rows]) {
        let offsets = starts.rows + 1u + params.capacity;
        let positions = offsets + params.capacity + 1u;
        let end = rows[offsets + k + 1u];
        for (var n = rows[offsets + k]; n < end; n += 1u) {
            sum += f32(source[starts.source + rows[positions + n] * params.width + column]);
        }
    }
    gradient[starts.gradient + i] = params.scale * sum;
}
