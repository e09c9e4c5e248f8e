//! The plan of a training step on one device in one batch.

use super::append::append_update;
use crate::config::{Config, Recipe};
use crate::graph::Graph;
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::model::language_model::{self, Part};

/// The plan of one training step: forward, backward, update.
///
/// Inputs: those of [`language_model::training`], and `control`, see [`control`](super::control()) and
/// [`crate::kernels::optimizer`]. Outputs: `loss [1]` and `norm [3]` (see [`norm`](crate::kernels::reduce::norm)), or in mixed
/// precision `norm [5]` (see [`scaled_norm`](crate::kernels::reduce::scaled_norm)). With `inspect`, gradients stay as persistent
/// tensors `gradient.NAME`, and the input of the softmax is the output `output`.
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

/// Same as [`training_plan`], in an empty graph with other settings.
pub fn training_plan_in(mut graph: Graph, config: &Config, vocabulary: usize) -> Plan {
    language_model::training(&mut graph, config, vocabulary, Part::WHOLE);
    let clips_all = config.train.recipe == Recipe::Plain;
    append_update(&mut graph, config, vocabulary, clips_all);
    Plan {
        fused: config.train.fused,
        ..graph.finish()
    }
}
