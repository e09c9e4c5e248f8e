// The update of rows, dense or sparse, that all optimizers share: see src/kernels/optimizer/row_update.rs. The shader of an
// optimizer has update(i, w, g), which updates the states of the elements i with the weights w by the gradients g and returns
// the new weights.

// Elements per workgroup. A thread updates four, so that their loads are in flight together.
const ELEMENTS: u32 = 1024u;

const NOWHERE: u32 = 0xffffffffu;

// Where element i of a sparse gradient belongs.
fn place(i: u32) -> u32 {
    let k = params.first + i / params.width;
    if (k >= rows[starts.rows]) {
        return NOWHERE;
    }
    let row = rows[starts.rows + 1u + k] - params.base;
    if (row >= params.window) {
        return NOWHERE;
    }
    return row * params.width + i % params.width;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let factor = norm[starts.norm + select(2u, 1u, params.clipped != 0u)];
    let first = (group.y * groups.x + group.x) * ELEMENTS + local;
    let len = params.capacity * params.width;
    // If the factor is 0, some gradient is not finite: nothing is updated.
    if (factor == 0.0 || first >= len) {
        return;
    }
    var i = first + vec4<u32>(0u, 256u, 512u, 768u);
    i = select(vec4<u32>(first), i, i < vec4<u32>(len));
    var at = i;
    if (params.sparse != 0u) {
        at = vec4<u32>(place(i.x), place(i.y), place(i.z), place(i.w));
        // Elements that belong nowhere repeat another element: equal elements are updated once.
        let somewhere = at != vec4<u32>(NOWHERE);
        if (!any(somewhere)) {
            return;
        }
        var one = vec2<u32>(i.w, at.w);
        one = select(one, vec2<u32>(i.z, at.z), somewhere.z);
        one = select(one, vec2<u32>(i.y, at.y), somewhere.y);
        one = select(one, vec2<u32>(i.x, at.x), somewhere.x);
        i = select(vec4<u32>(one.x), i, somewhere);
        at = select(vec4<u32>(one.y), at, somewhere);
    }
    let g = starts.gradient + i;
    let w = starts.weight + at;
    let gradients = vec4<f32>(gradient[g.x], gradient[g.y], gradient[g.z], gradient[g.w]);
    let before = vec4<f32>(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
    let after = update(at, before, factor * gradients);
    weight[w.x] = after.x;
    weight[w.y] = after.y;
    weight[w.z] = after.z;
    weight[w.w] = after.w;
}
