//! The inputs of an adaptive softmax, and its logits.

use crate::device::{Data, Inputs, Outputs};
use crate::model::clusters::{Clusters, Sections};
use crate::tensor::names;

/// The inputs for these targets `[T*B]`.
pub(super) fn cluster_inputs(clusters: &Clusters, targets: &[u32], sections: &Sections) -> Inputs {
    let divided = clusters.divide(targets, sections);
    let mut inputs = vec![(names::TARGETS_HEAD, Data::Index(divided.head))];
    if !divided.sources.is_empty() {
        inputs.extend([
            (names::CLUSTER_SOURCES, Data::Index(divided.sources)),
            (names::CLUSTER_POSITIONS, Data::Index(divided.positions)),
            (names::CLUSTER_TARGETS, Data::Index(divided.targets)),
        ]);
    }
    inputs
}

/// The inputs of a plan with the exact losses of these targets `[T*B]`: by cluster with an adaptive softmax, else `targets`.
pub(super) fn target_inputs(clusters: Option<&Clusters>, targets: Vec<u32>) -> Inputs {
    match clusters {
        Some(clusters) => {
            let sections = clusters.sections(targets.len());
            cluster_inputs(clusters, &targets, &sections)
        }
        None => vec![("targets", Data::Index(targets))],
    }
}

/// The logits `[B, V]` in the outputs of a plan of generation: see
/// [`logits`](crate::model::language_model::logits).
pub(super) fn joined_logits(clusters: &Clusters, outputs: &Outputs) -> Vec<f64> {
    let of = |name: &str| {
        let found = outputs.iter().find(|(output, _)| output == name);
        found.map_or(&[][..], |(_, values)| values)
    };
    let tails: Vec<&[f64]> = (0..clusters.tails.len())
        .map(|k| of(&names::cluster_logits(k)))
        .collect();
    clusters.join(of(names::HEAD_LOGITS), &tails)
}
