// The loop over rows that all optimizers share: see src/kernels/optimizer/row_update.rs. The shader of an optimizer declares
// Params, whose constants follow the fields used here; the bindings weight, its states, gradient, rows, control and norm; and
// update(i, g), which updates element i of the weight and of the states by the gradient g.

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
    let factor = norm[starts.norm + select(2u, 1u, params.clipped != 0u)];
    // Some gradient is not finite: nothing is updated.
    if (factor == 0.0) {
        return;
    }
    var at = i;
    if (params.sparse != 0u) {
        let k = params.first + i / params.width;
        if (k >= rows[starts.rows]) {
            return;
        }
        let row = rows[starts.rows + 1u + k] - params.base;
        if (row >= params.window) {
            return;
        }
        at = row * params.width + i % params.width;
    }
    update(at, factor * gradient[starts.gradient + i]);
}
