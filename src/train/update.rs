//! What is done with the gradients: joint norm, clipping, optimizer, moving average, appended to a training graph.
//!
//! `paper`: the recurrent parameters are clipped by their joint norm, the tables are not. `plain`: one norm over all.

use crate::config::{Config, Optimizer, Precision, Recipe};
use crate::graph::plan::{Plan, Role, Slice, Step};
use crate::graph::{CONTROL, Gradient, Graph, memory::Limits};
use crate::kernels::embedding::accumulate_rows;
use crate::kernels::embedding::rows::row_index_len;
use crate::kernels::optimizer::{adagrad, adam, momentum, moving_average, sgd};
use crate::kernels::reduce::{norm, scaled_norm, sum_squares};
use crate::model::cost::optimizer_states;
use crate::model::language_model::{self, Part, declare};
use crate::model::parameters::{Group, parameters};
use crate::tensor::names;

/// The momentum of `optimizer = "momentum"`.
const MOMENTUM: f32 = 0.9;
/// Adam's decay of the first moment (Kingma and Ba 2015).
const ADAM_BETA1: f64 = 0.9;
/// Adam's decay of the second moment.
const ADAM_BETA2: f64 = 0.999;
/// Adam's guard against division by zero.
const ADAM_EPSILON: f32 = 1e-8;

/// The loss scale of the first step of mixed precision.
pub const FIRST_LOSS_SCALE: f32 = 65_536.0;
/// The lowest loss scale: a gradient that is not finite at this one is no matter of `f16` any more.
pub const LOWEST_LOSS_SCALE: f32 = 1.0 / 16_384.0;
/// The highest loss scale.
const HIGHEST_LOSS_SCALE: f32 = 16_777_216.0;
/// Steps without overflow before the loss scale doubles.
const LOSS_SCALE_PATIENCE: u32 = 2000;

/// The start of a state tensor of an optimizer: Adagrad's accumulators are 1, all others 0, as in the paper's code.
pub fn initial_state(optimizer: Optimizer) -> f32 {
    if optimizer == Optimizer::Adagrad {
        1.0
    } else {
        0.0
    }
}

/// What the input `control` of a training plan holds at optimizer step `step`, counted from 0.
///
/// `whole` is the positions of the batch divided by those that are no padding: with the recipe `plain`, whose gradients are
/// of the mean over the latter, they are scaled by it. The gradients of `paper` are of `T * mean(l)`, a sum over time.
pub fn control(config: &Config, step: u64, learning_rate: f64, whole: f64) -> Vec<f64> {
    let correction = |beta: f64| 1.0 - beta.powf(step as f64 + 1.0);
    let scale = match config.train.recipe {
        Recipe::Paper => 1.0,
        Recipe::Plain => whole,
    };
    vec![
        learning_rate,
        config.train.clip_norm,
        config.train.ema,
        correction(ADAM_BETA1),
        correction(ADAM_BETA2),
        scale,
        1.0,
    ]
}

/// What the output `norm` of a training step says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The joint norm of the clipped gradients, before clipping.
    pub value: f64,
    /// What the loss was multiplied by: 1 but in mixed precision.
    pub loss_scale: f64,
    /// Mixed precision: some gradient was not finite, so that nothing was updated.
    pub unchanged: bool,
}

impl Norm {
    /// From `[3]`, or in mixed precision `[5]`.
    pub fn of(output: &[f64]) -> Norm {
        let (loss_scale, unchanged) = match *output {
            [_, _, _, scale, flag] => (scale, flag != 0.0),
            _ => (1.0, false),
        };
        Norm {
            value: output[0],
            loss_scale,
            unchanged,
        }
    }

    /// Whether the next step can do better, at a lower loss scale. At the lowest the model has diverged.
    pub fn is_skip(&self) -> bool {
        self.unchanged && self.loss_scale > LOWEST_LOSS_SCALE.into()
    }
}

/// The plan of one training step: forward, backward, update.
///
/// Beside the inputs of [`language_model::training`] it has what [`control`] gives, see
/// [`crate::kernels::optimizer`]. Outputs: `loss [1]`, `norm [3]` (see [`norm`]) or in mixed precision `norm [5]` (see
/// [`scaled_norm`]). With `inspect`, gradients stay as persistent tensors `gradient.NAME`, and what the softmax sees is the
/// output `output`.
pub fn training_plan(config: &Config, vocabulary: usize, limits: &Limits, inspect: bool) -> Plan {
    let mut graph = Graph::new("train", limits);
    if config.train.histogram_every > 0 {
        graph.keep_gradients();
    }
    if inspect {
        graph.keep_gradients();
        graph.builder.publish("output");
    }
    training_plan_in(graph, config, vocabulary)
}

/// The same in a graph that is empty, but has settings of its own.
pub fn training_plan_in(mut graph: Graph, config: &Config, vocabulary: usize) -> Plan {
    language_model::training(&mut graph, config, vocabulary, Part::WHOLE);
    append_update(
        &mut graph,
        config,
        vocabulary,
        config.train.recipe == Recipe::Plain,
    );
    Plan {
        fused: config.train.fused,
        ..graph.finish()
    }
}

/// The plans of a training step in parts: on a device, the goes one after the other, then the update.
pub struct InParts {
    /// Forward and backward of each micro-batch. What they leave are the tensors of `left`.
    pub micro_batches: Vec<Plan>,
    /// From the gradients of all micro-batches, or of all devices, to new parameters.
    pub update: Plan,
    /// The gradients that the micro-batches leave, in the order in which the last one has them done.
    pub left: Vec<PendingGradient>,
}

/// A gradient that the micro-batches of a device leave as a persistent tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingGradient {
    /// The name of the parameter.
    pub parameter: String,
    /// The tensor; in mixed precision with several devices a copy in half the width.
    pub tensor: String,
    /// Its elements.
    pub len: usize,
    /// The step of the last micro-batch's plan after which it is done.
    pub after: usize,
    /// Whether it has rows, which the update adds up by id; else every element of the parameter, added up over the micro-batches.
    pub rows: bool,
    /// Where the update of several devices finds it: the mean of a whole gradient or its sum, or the rows of all devices one behind
    /// the other.
    pub joined: String,
    /// Whether the recipe clips it on each device, before the mean.
    pub clipped: bool,
    /// Whether the recipe takes the sum over devices, not the mean: `paper`, of all but the recurrent parameters.
    pub summed: bool,
}

/// The plans for a step whose batch is computed in parts: by several devices, in several micro-batches, or both; for device
/// `part.device`.
///
/// The gradients of the micro-batches are added up on the device. With one device the update clips as [`training_plan`] does. With several
/// the host joins the gradients, see [`PendingGradient`], and clips by the recipe `paper` before; then the update only clips by `plain`.
/// Inputs of the update: `control`, and the row indices of all parts together under the names that they have in one part.
pub fn plans_in_parts(config: &Config, vocabulary: usize, limits: &Limits, part: Part) -> InParts {
    let (several, micro_batches) = (part.division.devices > 1, part.division.micro_batches);
    let mixed = config.train.precision == Precision::Mixed;
    let finish = |graph: Graph| Plan {
        fused: config.train.fused,
        ..graph.finish()
    };
    let mut plans = Vec::new();
    let mut gradients = Vec::new();
    for micro_batch in 0..micro_batches {
        let mut graph = Graph::new("gradients", limits);
        graph.add_gradients(micro_batch, micro_batches);
        let part = Part {
            micro_batch,
            ..part
        };
        language_model::training(&mut graph, config, vocabulary, part);
        gradients = graph
            .gradients()
            .map(|(parameter, name, gradient)| {
                let (rows, width) = graph.extents(parameter);
                let found = match gradient {
                    Gradient::Dense(_) => None,
                    Gradient::Sources {
                        index,
                        capacity,
                        scale,
                    } => Some((index, capacity, scale)),
                    Gradient::Rows { .. } => panic!("`{name}` is summed up in the update"),
                };
                (name.to_owned(), rows, width, found)
            })
            .collect();
        if micro_batch + 1 == micro_batches && several && mixed {
            for (name, rows, width, found) in &gradients {
                let rows = found.map_or(*rows, |(_, capacity, _)| capacity);
                graph.narrow(
                    &names::gradient(name),
                    &names::half_gradient(name),
                    rows,
                    *width,
                );
            }
        }
        plans.push(finish(graph));
    }
    let last = plans.last().expect("at least one micro-batch");
    let table = parameters(config, vocabulary);
    let group = |name: &str| {
        let line = table.iter().find(|line| line.name == name);
        line.expect("in the table").group
    };
    let mut left: Vec<PendingGradient> = gradients
        .iter()
        .map(|(name, rows, width, found)| {
            let tensor = match several && mixed {
                true => names::half_gradient(name),
                false => names::gradient(name),
            };
            let id = last.find(&tensor).expect("the gradients are kept");
            let writes = |step: &Step| step.slices.iter().any(|slice| slice.tensor == id);
            let rows = found.map_or(*rows, |(_, capacity, _)| capacity);
            PendingGradient {
                parameter: name.clone(),
                len: rows * width,
                after: last.steps.iter().rposition(writes).expect("it is written"),
                rows: found.is_some(),
                joined: match (several, mixed, found.is_some()) {
                    (false, ..) => tensor.clone(),
                    (true, false, false) => names::gradient(name),
                    (true, true, false) => names::half_gradient(name),
                    (true, ..) => names::joined_gradient(name),
                },
                clipped: config.train.recipe == Recipe::Paper && group(name) == Group::Recurrent,
                summed: config.train.recipe == Recipe::Paper && group(name) != Group::Recurrent,
                tensor,
            }
        })
        .collect();
    left.sort_by_key(|left| left.after);

    let mut graph = Graph::new("update", limits);
    if mixed {
        graph.builder.mix_precision();
    }
    let declared = declare(&mut graph, config, vocabulary, part);
    let (devices, clips) = (part.division.devices, config.train.recipe == Recipe::Plain);
    for (name, rows, width, found) in &gradients {
        let (_, parameter) = *declared
            .iter()
            .find(|(declared, _)| declared == name)
            .expect("declared");
        let left = left
            .iter()
            .find(|left| left.parameter == *name)
            .expect("left");
        let gradient = match found {
            None => {
                let whole = graph.builder.persistent(
                    Role::Gradient,
                    &names::gradient(name),
                    [*rows, *width],
                );
                if several && mixed {
                    graph.widen(&left.joined, whole, *rows, *width);
                }
                Gradient::Dense(whole)
            }
            Some((index, capacity, scale)) => {
                let all = devices * capacity;
                let source = match several && mixed {
                    true => {
                        graph
                            .builder
                            .persistent_half(Role::Gradient, &left.joined, [all, *width])
                    }
                    false => graph
                        .builder
                        .persistent(Role::Gradient, &left.joined, [all, *width]),
                };
                let rows = graph.builder.index_input(index, [row_index_len(all)]);
                // A mean over devices, where the recipe takes the mean of the loss over all tokens.
                let scale = scale * if clips { 1.0 / devices as f32 } else { 1.0 };
                let values = graph
                    .builder
                    .activation(&format!("rows.{name}"), [all, *width]);
                let params = accumulate_rows::Params::whole(all, *width, scale);
                let slices = [source, rows, values];
                graph.builder.step(
                    format!("join {name}"),
                    &accumulate_rows::KERNEL,
                    &params,
                    &slices,
                );
                Gradient::Rows {
                    rows,
                    values,
                    capacity: all,
                }
            }
        };
        graph.set_gradient(parameter, gradient);
    }
    if mixed {
        graph.scale_loss();
    }
    append_update(&mut graph, config, vocabulary, clips);
    InParts {
        micro_batches: plans,
        update: finish(graph),
        left,
    }
}

struct Update {
    name: String,
    weight: Slice,
    width: usize,
    gradient: Gradient,
    group: Group,
    clipped: bool,
}

/// Appends norm, clipping, optimizer and moving average. All gradients are clipped together, or those of the recurrent parameters.
fn append_update(graph: &mut Graph, config: &Config, vocabulary: usize, all: bool) {
    let train = &config.train;
    let table = parameters(config, vocabulary);
    let gradients: Vec<_> = graph
        .gradients()
        .map(|(p, name, gradient)| (p, name.to_owned(), gradient))
        .collect();
    assert_eq!(
        gradients.len(),
        table.len(),
        "every parameter has a gradient"
    );
    let updates: Vec<Update> = gradients
        .into_iter()
        .map(|(parameter, name, gradient)| {
            let group = table
                .iter()
                .find(|line| line.name == name)
                .expect("in the table")
                .group;
            Update {
                weight: graph.weight(parameter),
                width: graph.extents(parameter).1,
                gradient,
                group,
                clipped: all || group == Group::Recurrent,
                name,
            }
        })
        .collect();
    let control = graph.builder.real_input("control", [CONTROL]);
    let norm = append_norm(graph, &updates, control);
    for update in &updates {
        append_optimizer(graph, train.optimizer, update, control, norm);
        if train.ema > 0.0 && update.group == Group::Recurrent {
            let average = graph.builder.persistent(
                Role::MovingAverage,
                &names::moving_average(&update.name),
                [update.weight.len / update.width, update.width],
            );
            let params = moving_average::Params {
                len: update.weight.len as u32,
            };
            let slices = [update.weight, control, average];
            graph
                .builder
                .step("moving average", &moving_average::KERNEL, &params, &slices);
        }
    }
}

/// The joint norm of the clipped gradients and the factors of all: the output `norm`; gives its first three elements. In mixed
/// precision the others are looked at too.
fn append_norm(graph: &mut Graph, updates: &[Update], control: Slice) -> Slice {
    let values = |update: &Update| match update.gradient {
        Gradient::Dense(slice) => slice,
        Gradient::Rows { values, .. } => values,
        Gradient::Sources { .. } => panic!("`{}` is not summed up", update.name),
    };
    // Shares of about 16 Ki elements, at most 256 a tensor, but each to be bound alone.
    let most = graph.builder.limits().slice;
    let parts = |len: usize| len.div_ceil(1 << 14).min(256).max(len.div_ceil(most));
    let dynamic = graph.dynamic_loss_scale();
    let of = |clipped: bool| {
        let chosen = updates
            .iter()
            .filter(move |update| update.clipped == clipped);
        chosen.map(values)
    };
    let pieces = |slice| graph.builder.pieces(slice);
    let mut summed: Vec<Slice> = of(true).flat_map(pieces).collect();
    let clipped: usize = summed.iter().map(|slice| parts(slice.len)).sum();
    if dynamic.is_some() {
        summed.extend(of(false).flat_map(pieces));
    }
    let total: usize = summed.iter().map(|slice| parts(slice.len)).sum();
    let partials = graph.builder.activation("norm.partials", [total]);
    let mut next = 0;
    for slice in summed {
        let parts = parts(slice.len);
        let params = sum_squares::Params {
            len: slice.len as u32,
            parts: parts as u32,
            share: slice.len.div_ceil(parts) as u32,
        };
        graph.builder.step(
            "norm",
            &sum_squares::KERNEL,
            &params,
            &[slice, partials.part(next, parts)],
        );
        next += parts;
    }
    let builder = &mut graph.builder;
    if let Some(scale) = dynamic {
        let norm = builder.output("norm", [5]);
        let params = scaled_norm::Params {
            len: total as u32,
            clipped: clipped as u32,
            patience: LOSS_SCALE_PATIENCE,
            lowest: LOWEST_LOSS_SCALE,
            highest: HIGHEST_LOSS_SCALE,
        };
        let slices = [partials, control, scale, norm];
        builder.step("norm", &scaled_norm::KERNEL, &params, &slices);
        return norm.part(0, 3);
    }
    let norm = builder.output("norm", [3]);
    let params = norm::Params { len: total as u32 };
    builder.step("norm", &norm::KERNEL, &params, &[partials, control, norm]);
    norm
}

fn append_optimizer(
    graph: &mut Graph,
    optimizer: Optimizer,
    update: &Update,
    control: Slice,
    norm: Slice,
) {
    let width = update.width as u32;
    let window = update.weight.len as u32 / width;
    let (gradient, capacity, sparse, rows) = match update.gradient {
        // A dense update reads no row index; any input stands in its place.
        Gradient::Dense(slice) => {
            let any = graph.builder.any_index().unwrap_or_else(|| {
                // An update without sparse gradients.
                graph.builder.index_input("none", [1])
            });
            (slice, update.weight.len as u32 / width, 0, any)
        }
        Gradient::Rows {
            rows,
            values,
            capacity,
        } => (values, capacity as u32, 1, rows),
        Gradient::Sources { .. } => panic!("`{}` is not summed up", update.name),
    };
    let clipped = update.clipped.into();
    let state: Vec<Slice> = optimizer_states(optimizer)
        .iter()
        .map(|state| {
            let name = names::optimizer_state(&update.name, state);
            let rows = update.weight.len / update.width;
            graph
                .builder
                .persistent(Role::OptimizerState, &name, [rows, update.width])
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
