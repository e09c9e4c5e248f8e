// y = x, element by element.

struct Params {
    len: u32,
}

struct Starts {
    x: u32,
    y: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

alias Y = f32;

// Elements per workgroup. A thread copies four, so that their loads are in flight together.
const ELEMENTS: u32 = 1024u;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = (group.y * groups.x + group.x) * ELEMENTS + local;
    if (first >= params.len) {
        return;
    }
    // Elements past the end repeat the first one.
    var i = first + vec4<u32>(0u, 256u, 512u, 768u);
    i = select(vec4<u32>(first), i, i < vec4<u32>(params.len));
    let source = starts.x + i;
    let to = starts.y + i;
    let values = vec4<f32>(f32(x[source.x]), f32(x[source.y]), f32(x[source.z]), f32(x[source.w]));
    y[to.x] = Y(values.x);
    y[to.y] = Y(values.y);
    y[to.z] = Y(values.z);
    y[to.w] = Y(values.w);
}
