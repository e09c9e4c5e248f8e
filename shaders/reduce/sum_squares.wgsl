// partials = for each of TENSORS tensors, one after another, the sums of its squares over shares of `share` consecutive elements,
// or fewer at the end. One workgroup for each share.

// The number of tensors.
const TENSORS: u32 = 1u;

// What one of 256 lanes adds up for a partial sum.
fn sum_of_lane(index: u32, local: u32) -> f32 {
    var part = index;
    #for k in 0..TENSORS
    if (part < params.parts{k}) {
        let begin = min(part * params.share{k}, params.len{k});
        let end = min(begin + params.share{k}, params.len{k});
        var sum = 0.0;
        var i = begin + local;
        // Eight at a time, in the same order, so that their loads are in flight together.
        for (; i + 1792u < end; i += 2048u) {
            let at = starts.x{k} + i + vec4<u32>(0u, 256u, 512u, 768u);
            let to = at + 1024u;
            let a = vec4<f32>(x{k}[at.x], x{k}[at.y], x{k}[at.z], x{k}[at.w]);
            let b = vec4<f32>(x{k}[to.x], x{k}[to.y], x{k}[to.z], x{k}[to.w]);
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
            let value = x{k}[starts.x{k} + i];
            sum += value * value;
        }
        return sum;
    }
    part -= params.parts{k};
    #end
    return 0.0;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = group.y * groups.x + group.x;
    let total = sum_of_group(local, sum_of_lane(index, local));
    var parts = 0u;
    #for k in 0..TENSORS
    parts += params.parts{k};
    #end
    if (local == 0u && index < parts) {
        partials[starts.partials + index] = total;
    }
}
