//! The cost of the softmax: of the configured kind and of the other kinds.

use serde::Serialize;

use super::vocabulary::VocabularySize;
use crate::config::{Adaptive, Config, Softmax};
use crate::model::clusters::{Cluster, Clusters};
use crate::model::cost::{Cost, cost, cost_of_text};
use crate::model::parameters::Group;

/// The number of candidates of a sampled softmax if the configuration has another kind. Limited by the size of the vocabulary.
const SAMPLES: usize = 8192;

/// A kind of softmax.
#[derive(Serialize)]
pub(super) struct SoftmaxChoice {
    pub kind: &'static str,
    /// Sampled softmax: the number of candidates.
    pub samples: Option<usize>,
    /// Adaptive softmax: the first id of each cluster.
    pub cutoffs: Option<Vec<usize>>,
    /// Parameters of the softmax.
    pub parameters: u64,
    /// FLOPs per trained word: of the softmax, and of the whole model.
    pub flops_per_word: u64,
    pub flops_of_model: u64,
    /// Adaptive softmax: the head, then the clusters.
    pub clusters: Vec<ClusterCost>,
}

/// The head of an adaptive softmax, or a cluster.
#[derive(Serialize)]
pub(super) struct ClusterCost {
    pub first_id: usize,
    pub words: usize,
    pub width: usize,
    /// The share of the targets that are in it.
    pub share: f64,
    /// Whether the share is from word counts, not from a log-uniform distribution.
    pub counted: bool,
    /// FLOPs per trained word, on average.
    pub flops_per_word: u64,
}

/// The cost of a configuration.
pub(super) fn cost_in(config: &Config, vocabulary: &VocabularySize) -> Cost {
    match &vocabulary.counts {
        Some(counts) => cost_of_text(config, counts),
        None => cost(config, vocabulary.words),
    }
}

/// The configured softmax, then the other kinds.
pub(super) fn choices(config: &Config, vocabulary: &VocabularySize) -> Vec<SoftmaxChoice> {
    let others = [
        Softmax::Full,
        Softmax::Sampled {
            samples: SAMPLES.min(vocabulary.words),
        },
        Softmax::Adaptive(Adaptive::DEFAULT),
    ];
    let is_other = |softmax: &Softmax| softmax.name() != config.softmax.name();
    let is_possible = |softmax: &Softmax| softmax.adaptive().is_none() || !config.model.tied;
    let others = others.into_iter().filter(is_other).filter(is_possible);
    std::iter::once(config.softmax.clone())
        .chain(others)
        .map(|softmax| choice(config, softmax, vocabulary))
        .collect()
}

fn choice(config: &Config, softmax: Softmax, vocabulary: &VocabularySize) -> SoftmaxChoice {
    let config = Config {
        softmax,
        ..config.clone()
    };
    let cost = cost_in(&config, vocabulary);
    let of_softmax = cost
        .table
        .iter()
        .filter(|line| line.group == Group::Softmax);
    let clusters = Clusters::of(&config, vocabulary.words);
    SoftmaxChoice {
        kind: config.softmax.name(),
        samples: match config.softmax {
            Softmax::Sampled { samples } => Some(samples),
            _ => None,
        },
        cutoffs: clusters.as_ref().map(Clusters::cutoffs),
        parameters: of_softmax.map(|line| line.shape.len() as u64).sum(),
        flops_per_word: cost.softmax_flops_per_word,
        flops_of_model: cost.flops_per_word,
        clusters: clusters.map_or_else(Vec::new, |clusters| {
            costs_of(&clusters, config.model.output_size(), vocabulary)
        }),
    }
}

fn costs_of(clusters: &Clusters, depth: usize, vocabulary: &VocabularySize) -> Vec<ClusterCost> {
    let shares = match &vocabulary.counts {
        Some(counts) => clusters.shares(counts),
        None => clusters.expected_shares(),
    };
    let cost = |(cluster, share): (&Cluster, f64)| ClusterCost {
        first_id: cluster.ids.start,
        words: cluster.ids.len(),
        width: cluster.width,
        share,
        counted: vocabulary.counts.is_some(),
        flops_per_word: (6.0 * share * cluster.multiply_adds(depth) as f64).round() as u64,
    };
    let head = ClusterCost {
        first_id: 0,
        words: clusters.head,
        width: depth,
        share: 1.0 - shares.iter().sum::<f64>(),
        counted: vocabulary.counts.is_some(),
        flops_per_word: 6 * (clusters.entries() * depth) as u64,
    };
    let tails = clusters.tails.iter().zip(shares).map(cost);
    std::iter::once(head).chain(tails).collect()
}
