//! The steps that update a parameter.

use super::parameter::ParameterUpdate;
use crate::graph::plan::{Role, Slice};
use crate::graph::{Gradient, Graph};
use crate::kernels::optimizer::{Optimizer, moving_average, row_update};
use crate::tensor::names;

/// Appends the step that updates one parameter and its optimizer state, and its moving average and its copy in `f16` if it has
/// them.
pub(super) fn append_optimizer(
    graph: &mut Graph,
    optimizer: &Optimizer,
    update: &ParameterUpdate,
    [control, norm]: [Slice; 2],
    averages: bool,
) {
    let shape = [update.rows(), update.width];
    let state: Vec<Slice> = optimizer
        .states
        .iter()
        .map(|state| {
            let name = names::optimizer_state(&update.name, state.name);
            graph.builder.persistent(Role::OptimizerState, &name, shape)
        })
        .collect();
    let mut slices = vec![update.weight];
    slices.extend(&state);
    let window = update.rows() as u32;
    let params = |capacity, sparse| {
        optimizer.params(row_update::Params {
            capacity,
            width: update.width as u32,
            sparse,
            first: 0,
            base: 0,
            window,
            clipped: update.clipped.into(),
        })
    };
    let label = format!("update {}", update.name);
    let average = averages.then(|| {
        let name = names::moving_average(&update.name);
        graph.builder.persistent(Role::MovingAverage, &name, shape)
    });
    let builder = &mut graph.builder;
    if let Gradient::Dense(gradient) = update.gradient
        && builder.limits().updates_in_one_pass()
        && let Some(kernel) = optimizer.dense_kernel(average.is_some(), update.rounded.is_some())
    {
        slices.extend([gradient, control, norm]);
        slices.extend(average.into_iter().chain(update.rounded));
        return builder.raw_step(label, kernel, params(window, 0), &slices);
    }
    assert!(
        update.rounded.is_none(),
        "products read rows of `{}`",
        update.name
    );
    match update.gradient {
        Gradient::Dense(gradient) => {
            // A dense update reads no row index, but must bind one: any that the plan has, or an empty input.
            let any = builder.any_index();
            let any = any.unwrap_or_else(|| builder.index_input("none", [1]));
            slices.extend([gradient, any, control, norm]);
            builder.raw_step(label, optimizer.kernel, params(window, 0), &slices);
        }
        Gradient::Rows {
            rows,
            values,
            capacity,
        } => {
            slices.extend([values, rows, control, norm]);
            builder.raw_step(label, optimizer.kernel, params(capacity as u32, 1), &slices);
        }
        Gradient::Sources { .. } => panic!("`{}` is not summed", update.name),
    }
    if let Some(average) = average {
        let params = moving_average::Params {
            len: update.weight.len as u32,
        };
        let slices = [update.weight, control, average];
        builder.step("moving average", &moving_average::KERNEL, &params, &slices);
    }
}
