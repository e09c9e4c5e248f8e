// The norm and factors of gradients that were multiplied by loss_scale[0], and the scale of the next step. The partials
// past the first `clipped` are only checked for overflow. One workgroup.

struct Params {
    len: u32,
    clipped: u32,
    patience: u32,
    lowest: f32,
    highest: f32,
}

struct Starts {
    partials: u32,
    control: u32,
    loss_scale: u32,
    norm: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss_scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    var other = 0.0;
    var i = local;
    // Eight at a time, in the same order, so that their loads are in flight together.
    for (; i + 1792u < params.len; i += 2048u) {
        #for k in 0..8
        let x{k} = partials[starts.partials + i + {256*k}u];
        #end
        #for k in 0..8
        if (i + {256*k}u < params.clipped) {
            sum += x{k};
        } else {
            other += x{k};
        }
        #end
    }
    for (; i < params.len; i += 256u) {
        let partial = partials[starts.partials + i];
        if (i < params.clipped) {
            sum += partial;
        } else {
            other += partial;
        }
    }
    let clipped = sum_of_group(local, sum);
    let watched = sum_of_group(local, other);
    if (local != 0u) {
        return;
    }
    let current = loss_scale[starts.loss_scale];
    // WGSL compilers may assume that there is no NaN and no infinity, so this tests the bits.
    let bits = vec2<u32>(bitcast<u32>(clipped), bitcast<u32>(watched)) & vec2<u32>(0x7f800000u);
    let finite = all(bits != vec2<u32>(0x7f800000u));
    let scale = control[starts.control + 5u] / current; // CLIPPED_SCALE
    let total = scale * sqrt(clipped);
    let limit = control[starts.control + 1u]; // CLIP_NORM
    var factor = scale;
    if (limit > 0.0 && total > limit) {
        factor = scale * (limit / total);
    }
    norm[starts.norm] = total;
    norm[starts.norm + 1u] = select(0.0, factor, finite);
    norm[starts.norm + 2u] = select(0.0, 1.0 / current, finite);
    norm[starts.norm + 3u] = current;
    norm[starts.norm + 4u] = select(1.0, 0.0, finite);
    if (finite) {
        let steps = loss_scale[starts.loss_scale + 1u] + 1.0;
        let grows = steps >= f32(params.patience);
        loss_scale[starts.loss_scale] = select(current, min(2.0 * current, params.highest), grows);
        loss_scale[starts.loss_scale + 1u] = select(steps, 0.0, grows);
    } else {
        loss_scale[starts.loss_scale] = max(0.5 * current, params.lowest);
        loss_scale[starts.loss_scale + 1u] = 0.0;
    }
}
