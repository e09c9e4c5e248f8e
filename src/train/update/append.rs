//! The end of a training graph: norm, clipping, optimizer, moving average.

use super::control::TABLE_CONTROL;
use super::norm::append_norm;
use super::optimizer::append_optimizer;
use super::parameter::{ParameterUpdate, group_of};
use crate::config::Config;
use crate::graph::Graph;
use crate::kernels::optimizer::control;
use crate::model::parameters::{Group, parameters};

/// Appends the update of every parameter. Gradients are clipped by one norm over all parameters with
/// `clips_all`, otherwise by the norm over the recurrent ones, which alone are clipped.
pub(super) fn append_update(
    graph: &mut Graph,
    config: &Config,
    vocabulary: usize,
    clips_all: bool,
) {
    let updates = parameter_updates(graph, config, vocabulary, clips_all);
    let control = graph.builder.real_input("control", [control::LEN]);
    let of_tables = if config.train.has_own_table_update() {
        graph.builder.real_input(TABLE_CONTROL, [control::LEN])
    } else {
        control
    };
    let norm = append_norm(graph, &updates, control);
    for update in &updates {
        let optimizer = update.group.optimizer(config);
        let values = match update.group {
            Group::Recurrent => control,
            Group::Embedding | Group::Softmax => of_tables,
        };
        let averages = config.train.ema > 0.0 && update.group == Group::Recurrent;
        append_optimizer(graph, optimizer, update, [values, norm], averages);
    }
}

/// Every parameter with its gradient, in the order in which the gradients were computed.
fn parameter_updates(
    graph: &Graph,
    config: &Config,
    vocabulary: usize,
    clips_all: bool,
) -> Vec<ParameterUpdate> {
    let table = parameters(config, vocabulary);
    let updates: Vec<ParameterUpdate> = graph
        .gradients()
        .map(|(parameter, name, gradient)| {
            let group = group_of(&table, name);
            ParameterUpdate {
                weight: graph.weight(parameter),
                rounded: graph.rounded(parameter),
                width: graph.extents(parameter).1,
                gradient,
                group,
                clipped: clips_all || group == Group::Recurrent,
                name: name.to_owned(),
            }
        })
        .collect();
    assert_eq!(updates.len(), table.len(), "every parameter has a gradient");
    updates
}
