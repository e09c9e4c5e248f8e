//! The step that updates a parameter.

use super::parameter::ParameterUpdate;
use crate::graph::plan::{Role, Slice};
use crate::graph::{Gradient, Graph};
use crate::kernels::optimizer::{Optimizer, row_update};
use crate::tensor::names;

/// Appends the step that updates one parameter and its optimizer state.
pub(super) fn append_optimizer(
    graph: &mut Graph,
    optimizer: &Optimizer,
    update: &ParameterUpdate,
    control: Slice,
    norm: Slice,
) {
    let width = update.width as u32;
    let window = update.rows() as u32;
    let (gradient, capacity, sparse, rows) = match update.gradient {
        Gradient::Dense(slice) => {
            // A dense update reads no row index, but must bind one: any that the plan has, or an empty input.
            let any = graph.builder.any_index();
            let any = any.unwrap_or_else(|| graph.builder.index_input("none", [1]));
            (slice, window, 0, any)
        }
        Gradient::Rows {
            rows,
            values,
            capacity,
        } => (values, capacity as u32, 1, rows),
        Gradient::Sources { .. } => panic!("`{}` is not summed", update.name),
    };
    let clipped = update.clipped.into();
    let state: Vec<Slice> = optimizer
        .states
        .iter()
        .map(|state| {
            let name = names::optimizer_state(&update.name, state.name);
            let shape = [update.rows(), update.width];
            graph.builder.persistent(Role::OptimizerState, &name, shape)
        })
        .collect();
    let mut slices = vec![update.weight];
    slices.extend(&state);
    slices.extend([gradient, rows, control, norm]);
    let builder = &mut graph.builder;
    let label = format!("update {}", update.name);
    let params = optimizer.params(row_update::Params {
        capacity,
        width,
        sparse,
        first: 0,
        base: 0,
        window,
        clipped,
    });
    builder.raw_step(label, optimizer.kernel, params, &slices);
}
