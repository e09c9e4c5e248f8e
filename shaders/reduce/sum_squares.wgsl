// partials[p] = sum of x[i]^2 over share p of x: `share` consecutive elements, or fewer at the end. One workgroup for
// each share.

struct Params {
    len: u32,
    parts: u32,
    share: u32,
}

struct Starts {
    x: u32,
    partials: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let part = group.y * groups.x + group.x;
    if (part >= params.parts) {
        return;
    }
    let begin = min(part * params.share, params.len);
    let end = min(begin + params.share, params.len);
    var sum = 0.0;
    var i = begin + local;
    // Eight at a time, in the same order, so that their loads are under way at once.
    for (; i + 1792u < end; i += 2048u) {
        let at = starts.x + i + vec4<u32>(0u, 256u, 512u, 768u);
        let to = at + 1024u;
        let a = vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
        let b = vec4<f32>(x[to.x], x[to.y], x[to.z], x[to.w]);
        let c = a * a;
        let d = b * b;
        sum += c.x;
        sum += c.y;
        sum += c.z;
        sum += c.w;
        sum += d.x;
        sum += d.y;
        sum += d.z;
        sum += d.w;
    }
    for (; i < end; i += 256u) {
        let value = x[starts.x + i];
        sum += value * value;
    }
    let total = sum_of_group(local, sum);
    if (local == 0u) {
        partials[starts.partials + part] = total;
    }
}
