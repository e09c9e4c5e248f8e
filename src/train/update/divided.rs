//! The plans of a training step that is divided between devices (data parallelism), into micro-batches (gradient
//! accumulation), or both.
//!
//! Each device runs the plan of each of its micro-batches, which adds its gradients to those of the previous one, and then the
//! plan of the update. Between the two, the host reduces the gradients of several devices: see [`PendingGradient`].

use std::sync::Arc;

use super::append::append_update;
use super::parameter::group_of;
use crate::config::{Config, Recipe};
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Role, Step};
use crate::graph::{Gradient, Graph, Parameter};
use crate::kernels::embedding::accumulate_rows;
use crate::kernels::embedding::rows::row_index_len;
use crate::model::language_model::{self, Division, Part, declare};
use crate::model::parameters::{Group, parameters};
use crate::tensor::names;

/// The plans of a divided step, for one device.
pub struct DividedPlans {
    /// Forward and backward of each micro-batch. They leave their gradients in the tensors of `gradients`.
    pub micro_batches: Vec<Arc<Plan>>,
    /// From the gradients of all micro-batches and devices to new parameters.
    pub update: Arc<Plan>,
    /// The gradients, in the order in which the last micro-batch completes them.
    pub gradients: Vec<PendingGradient>,
}

/// A gradient that the micro-batches of a device leave in a persistent tensor, for the update or for reduction over devices.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingGradient {
    /// The name of the parameter.
    pub parameter: String,
    /// The tensor; in mixed precision with several devices an `f16` copy.
    pub tensor: String,
    /// The number of its elements.
    pub len: usize,
    /// The step of the last micro-batch's plan that completes it.
    pub completed_by: usize,
    /// Whether it consists of rows, which the update sums by id. A dense gradient has every element of the
    /// parameter, summed over the micro-batches.
    pub sparse: bool,
    /// The tensor that the update of several devices reads: the mean or sum of a dense gradient, or the concatenated rows of all
    /// devices.
    pub joined: String,
    /// Whether the recipe clips it on each device, before the mean.
    pub clipped: bool,
    /// Whether the recipe sums it over devices instead of taking the mean: `paper`, all but the recurrent parameters.
    pub summed: bool,
}

/// A gradient as the graph of the last micro-batch has it.
struct Found {
    name: String,
    rows: usize,
    width: usize,
    sparse: Option<Sparse>,
    /// Whether the parameter has a copy in `f16` that the update writes.
    rounded: bool,
}

/// Where the rows of a sparse gradient come from.
#[derive(Clone, Copy)]
struct Sparse {
    /// The input with the row index.
    index: &'static str,
    /// The maximum number of rows that a device touches.
    capacity: usize,
    scale: f32,
}

impl Found {
    /// The tensor of the gradient; with `halves` an `f16` copy.
    fn tensor(&self, halves: bool) -> String {
        if halves {
            names::half_gradient(&self.name)
        } else {
            names::gradient(&self.name)
        }
    }

    /// The tensor that the update reads: see [`PendingGradient::joined`].
    fn joined(&self, halves: bool, division: Division) -> String {
        if self.sparse.is_some() && division.devices > 1 {
            names::joined_gradient(&self.name)
        } else {
            self.tensor(halves)
        }
    }

    /// The rows that the tensor of the gradient has room for.
    fn capacity(&self) -> usize {
        self.sparse.map_or(self.rows, |sparse| sparse.capacity)
    }
}

/// The plans of device `device` for a divided step.
///
/// With one device the update clips as that of [`training_plan`](super::training_plan) does. With several devices and the recipe
/// `paper` the host clips before it reduces; the update clips only with `plain`. Inputs of the update: `control`, and the row
/// indices over all parts, under the names that they have in an undivided step.
pub fn divided_plans(
    config: &Config,
    vocabulary: usize,
    limits: &Limits,
    division: Division,
    device: usize,
) -> DividedPlans {
    let (micro_batches, found) = micro_batch_plans(config, vocabulary, limits, division, device);
    let last = micro_batches.last().expect("at least one micro-batch");
    let gradients = pending_gradients(config, vocabulary, division, last, &found);
    let update = update_plan(config, vocabulary, limits, division, &found);
    DividedPlans {
        micro_batches,
        update: Arc::new(update),
        gradients,
    }
}

/// Whether devices exchange gradients in `f16`.
fn exchanges_half(config: &Config, division: Division) -> bool {
    division.devices > 1 && config.train.precision.stores_halves()
}

fn finish(graph: Graph, config: &Config) -> Plan {
    Plan {
        fused: config.train.fused,
        ..graph.finish()
    }
}

fn micro_batch_plans(
    config: &Config,
    vocabulary: usize,
    limits: &Limits,
    division: Division,
    device: usize,
) -> (Vec<Arc<Plan>>, Vec<Found>) {
    let mut plans = Vec::new();
    let mut gradients = Vec::new();
    for micro_batch in 0..division.micro_batches {
        let mut graph = Graph::new("gradients", limits);
        graph.add_gradients(micro_batch, division.micro_batches);
        let part = Part {
            device,
            micro_batch,
            division,
        };
        language_model::training(&mut graph, config, vocabulary, part);
        gradients = graph
            .gradients()
            .map(|(parameter, name, gradient)| found(&graph, parameter, name, gradient))
            .collect();
        if micro_batch + 1 == division.micro_batches && exchanges_half(config, division) {
            for found in &gradients {
                let name = &found.name;
                let (rows, width) = (found.capacity(), found.width);
                graph.narrow(
                    &names::gradient(name),
                    &names::half_gradient(name),
                    rows,
                    width,
                );
            }
        }
        plans.push(Arc::new(finish(graph, config)));
    }
    (plans, gradients)
}

fn found(graph: &Graph, parameter: Parameter, name: &str, gradient: Gradient) -> Found {
    let (rows, width) = graph.extents(parameter);
    Found {
        name: name.to_owned(),
        rows,
        width,
        rounded: graph.rounded(parameter).is_some(),
        sparse: match gradient {
            Gradient::Dense(_) => None,
            Gradient::Sources {
                index,
                capacity,
                scale,
            } => Some(Sparse {
                index,
                capacity,
                scale,
            }),
            Gradient::Rows { .. } => panic!("the rows of `{name}` are summed in the update"),
        },
    }
}

fn pending_gradients(
    config: &Config,
    vocabulary: usize,
    division: Division,
    last: &Plan,
    found: &[Found],
) -> Vec<PendingGradient> {
    let table = parameters(config, vocabulary);
    let is_recurrent = |name: &str| group_of(&table, name) == Group::Recurrent;
    let halves = exchanges_half(config, division);
    let is_paper = config.train.recipe == Recipe::Paper;
    let pending = |found: &Found| {
        let name = &found.name;
        let tensor = found.tensor(halves);
        let id = last.find(&tensor).expect("a plan in parts keeps gradients");
        let writes = |step: &Step| step.slices.iter().any(|slice| slice.tensor == id);
        let completed_by = last.steps.iter().rposition(writes);
        PendingGradient {
            parameter: name.clone(),
            len: found.capacity() * found.width,
            completed_by: completed_by.expect("a step writes each gradient"),
            sparse: found.sparse.is_some(),
            joined: found.joined(halves, division),
            clipped: is_paper && is_recurrent(name),
            summed: is_paper && !is_recurrent(name),
            tensor,
        }
    };
    let mut pending: Vec<PendingGradient> = found.iter().map(pending).collect();
    pending.sort_by_key(|gradient| gradient.completed_by);
    pending
}

fn update_plan(
    config: &Config,
    vocabulary: usize,
    limits: &Limits,
    division: Division,
    found: &[Found],
) -> Plan {
    let precision = config.train.precision;
    let halves = exchanges_half(config, division);
    let clips_all = config.train.recipe == Recipe::Plain;
    let mut graph = Graph::new("update", limits);
    if precision.stores_halves() {
        graph.builder.mix_precision();
        graph.keep_rounded();
    }
    if precision.multiplies_halves() {
        graph.builder.scale_loss();
    }
    let part = Part {
        device: 0,
        micro_batch: 0,
        division,
    };
    let declared = declare(&mut graph, config, vocabulary, part);
    for found in found {
        let name = &found.name;
        let parameter = declared.iter().find(|(declared, _)| declared == name);
        let (_, parameter) = *parameter.expect("every parameter is declared");
        if found.rounded {
            graph.operand(parameter);
        }
        let joined = &found.joined(halves, division);
        let width = found.width;
        let gradient = match found.sparse {
            None => {
                let name = names::gradient(name);
                let shape = [found.rows, width];
                let whole = graph.builder.persistent(Role::Gradient, &name, shape);
                if halves {
                    graph.widen(joined, whole, found.rows, width);
                }
                Gradient::Dense(whole)
            }
            Some(sparse) => {
                let all = division.devices * sparse.capacity;
                let source = if halves {
                    graph
                        .builder
                        .persistent_half(Role::Gradient, joined, [all, width])
                } else {
                    graph
                        .builder
                        .persistent(Role::Gradient, joined, [all, width])
                };
                // The loss of `plain` is a mean over all tokens, so its gradient is a mean over devices.
                let mean = if clips_all {
                    1.0 / division.devices as f32
                } else {
                    1.0
                };
                let builder = &mut graph.builder;
                let rows = builder.index_input(sparse.index, [row_index_len(all)]);
                let values = builder.activation(&format!("rows.{name}"), [all, width]);
                let params = accumulate_rows::Params::whole(all, width, sparse.scale * mean);
                let slices = [source, rows, values];
                let label = format!("join {name}");
                builder.step(label, &accumulate_rows::KERNEL, &params, &slices);
                Gradient::Rows {
                    rows,
                    values,
                    capacity: all,
                }
            }
        };
        graph.set_gradient(parameter, gradient);
    }
    if precision.multiplies_halves() {
        graph.declare_loss_scale();
    }
    append_update(&mut graph, config, vocabulary, clips_all);
    finish(graph, config)
}
