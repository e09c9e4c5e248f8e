// norm[0] = scale * sqrt(sum of partials), norm[1] = scale times the factor that reduces norm[0] to the limit.
// Limit and scale are elements of control. One workgroup.

struct Params {
    len: u32,
}

struct Starts {
    partials: u32,
    control: u32,
    norm: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    var i = local;
    // Eight at a time, in the same order, so that their loads are in flight together.
    for (; i + 1792u < params.len; i += 2048u) {
        #for k in 0..8
        let x{k} = partials[starts.partials + i + {256*k}u];
        #end
        #for k in 0..8
        sum += x{k};
        #end
    }
    for (; i < params.len; i += 256u) {
        sum += partials[starts.partials + i];
    }
    let scale = control[starts.control + 5u]; // CLIPPED_SCALE
    let total = scale * sqrt(sum_of_group(local, sum));
    if (local == 0u) {
        let limit = control[starts.control + 1u]; // CLIP_NORM
        var factor = scale;
        if (limit > 0.0 && total > limit) {
            factor = scale * (limit / total);
        }
        norm[starts.norm] = total;
        norm[starts.norm + 1u] = factor;
        norm[starts.norm + 2u] = 1.0;
    }
}
