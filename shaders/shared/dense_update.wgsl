// The update of a dense parameter and in the same pass of its moving average, of its copy in f16, or of both: see
// src/kernels/optimizer/row_update.rs. The shader of an optimizer has update(i, w, g), as for row_update.wgsl.

// Elements per workgroup. A thread updates four, so that their loads are in flight together.
const ELEMENTS: u32 = 1024u;

// Whether there is a moving average, and a copy.
const AVERAGES: bool = false;
const ROUNDS: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = (group.y * groups.x + group.x) * ELEMENTS + local;
    let len = params.capacity * params.width;
    if (first >= len) {
        return;
    }
    // Elements past the end repeat the first one: equal elements are updated once.
    var i = first + vec4<u32>(0u, 256u, 512u, 768u);
    i = select(vec4<u32>(first), i, i < vec4<u32>(len));
    let g = starts.gradient + i;
    let w = starts.weight + i;
    let gradients = vec4<f32>(gradient[g.x], gradient[g.y], gradient[g.z], gradient[g.w]);
    var weights = vec4<f32>(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
    #if AVERAGES
    let a = starts.average + i;
    let before = vec4<f32>(average[a.x], average[a.y], average[a.z], average[a.w]);
    #end
    let factor = norm[starts.norm + select(2u, 1u, params.clipped != 0u)];
    // If the factor is 0, some gradient is not finite: weights and states stay as they are.
    if (factor != 0.0) {
        weights = update(i, weights, factor * gradients);
        weight[w.x] = weights.x;
        weight[w.y] = weights.y;
        weight[w.z] = weights.z;
        weight[w.w] = weights.w;
    }
    #if AVERAGES
    let decay = control[starts.control + 2u]; // EMA_DECAY
    let after = decay * before + (1.0 - decay) * weights;
    average[a.x] = after.x;
    average[a.y] = after.y;
    average[a.z] = after.z;
    average[a.w] = after.w;
    #end
    #if ROUNDS
    let r = starts.rounded + i;
    rounded[r.x] = Rounded(weights.x);
    rounded[r.y] = Rounded(weights.y);
    rounded[r.z] = Rounded(weights.z);
    rounded[r.w] = Rounded(weights.w);
    #end
}
