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
    for (var i = begin + local; i < end; i += 256u) {
        let value = x[starts.x + i];
        sum += value * value;
    }
    let total = sum_of_group(local, sum);
    if (local == 0u) {
        partials[starts.partials + part] = total;
    }
}
