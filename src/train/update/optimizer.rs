//! The optimizers of a training plan: their state, its start values, their steps.

use super::parameter::ParameterUpdate;
use crate::config::Optimizer;
use crate::graph::plan::{Role, Slice};
use crate::graph::{Gradient, Graph};
use crate::kernels::optimizer::{adagrad, adam, momentum, sgd};
use crate::model::cost::optimizer_states;
use crate::tensor::names;

/// The momentum of `optimizer = "momentum"`.
const MOMENTUM: f32 = 0.9;
/// Adam's decay of the first moment (Kingma and Ba 2015).
pub(super) const ADAM_BETA1: f64 = 0.9;
/// Adam's decay of the second moment.
pub(super) const ADAM_BETA2: f64 = 0.999;
/// Adam's guard against division by zero.
const ADAM_EPSILON: f32 = 1e-8;

/// The start value of an optimizer's state: 1 for Adagrad's accumulators, as in the paper's code, 0 for all others.
pub fn initial_state(optimizer: Optimizer) -> f32 {
    if optimizer == Optimizer::Adagrad {
        1.0
    } else {
        0.0
    }
}

/// Appends the step that updates one parameter and its optimizer state.
pub(super) fn append_optimizer(
    graph: &mut Graph,
    optimizer: Optimizer,
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
    let state: Vec<Slice> = optimizer_states(optimizer)
        .iter()
        .map(|state| {
            let name = names::optimizer_state(&update.name, state);
            let shape = [update.rows(), update.width];
            graph.builder.persistent(Role::OptimizerState, &name, shape)
        })
        .collect();
    let mut slices = vec![update.weight];
    slices.extend(&state);
    slices.extend([gradient, rows, control, norm]);
    let builder = &mut graph.builder;
    let label = format!("update {}", update.name);
    match optimizer {
        Optimizer::Adagrad => {
            let params = adagrad::Params {
                capacity,
                width,
                sparse,
                first: 0,
                base: 0,
                window,
                clipped,
            };
            builder.step(label, &adagrad::KERNEL, &params, &slices);
        }
        Optimizer::Sgd => {
            let params = sgd::Params {
                capacity,
                width,
                sparse,
                first: 0,
                base: 0,
                window,
                clipped,
            };
            builder.step(label, &sgd::KERNEL, &params, &slices);
        }
        Optimizer::Momentum => {
            let params = momentum::Params {
                capacity,
                width,
                sparse,
                first: 0,
                base: 0,
                window,
                clipped,
                momentum: MOMENTUM,
            };
            builder.step(label, &momentum::KERNEL, &params, &slices);
        }
        Optimizer::Adam => {
            let params = adam::Params {
                capacity,
                width,
                sparse,
                first: 0,
                base: 0,
                window,
                clipped,
                beta1: ADAM_BETA1 as f32,
                beta2: ADAM_BETA2 as f32,
                epsilon: ADAM_EPSILON,
            };
            builder.step(label, &adam::KERNEL, &params, &slices);
        }
    }
}
