//! The costs of a model, from its configuration alone: parameters, FLOPs of a trained word, bytes of persistent tensors.

use super::clusters::Clusters;
use super::parameters::{Group, ParameterSpec, parameters};
use crate::config::{Config, Softmax};

/// The costs of a model.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Every parameter.
    pub table: Vec<ParameterSpec>,
    /// The number of parameters.
    pub parameters: u64,
    /// The number of parameters of the recurrent layers.
    pub recurrent: u64,
    /// FLOPs of one trained word, forward and backward: six for each element of a recurrent matrix and for each element of the
    /// softmax weights that a step uses (sampled: `S * P`; full: `V * P`; adaptive: the head, and each cluster times its share of
    /// the targets).
    pub flops_per_word: u64,
    /// The part of `flops_per_word` in the softmax.
    pub softmax_flops_per_word: u64,
    /// FLOPs of one evaluated target: two for each element of a recurrent matrix and of the weights of the full or adaptive softmax.
    pub flops_per_target: u64,
    /// Bytes of the parameters in `f32`.
    pub parameter_bytes: u64,
    /// Bytes of the optimizer state.
    pub optimizer_bytes: u64,
    /// Bytes of the moving average.
    pub average_bytes: u64,
}

/// The costs of the model of `config` with `vocabulary` words. For an adaptive softmax, each cluster has the share of targets of a
/// log-uniform distribution.
pub fn cost(config: &Config, vocabulary: usize) -> Cost {
    cost_with(config, vocabulary, Clusters::expected_shares)
}

/// The costs of the model of `config` for a text with these counts of words.
pub fn cost_of_text(config: &Config, counts: &[u64]) -> Cost {
    cost_with(config, counts.len(), |clusters| clusters.shares(counts))
}

fn cost_with(config: &Config, vocabulary: usize, shares: impl Fn(&Clusters) -> Vec<f64>) -> Cost {
    let table = parameters(config, vocabulary);
    let sum = |keep: &dyn Fn(&ParameterSpec) -> bool| -> u64 {
        table
            .iter()
            .filter(|line| keep(line))
            .map(|line| line.shape.len() as u64)
            .sum()
    };
    let all = sum(&|_| true);
    let recurrent = sum(&|line| line.group == Group::Recurrent);
    let matrices = sum(&|line| line.group == Group::Recurrent && line.shape.0.len() > 1);
    let depth = config.model.output_size();
    let clusters = Clusters::of(config, vocabulary);
    let exact = clusters.map_or((vocabulary * depth) as u64, |clusters| {
        clusters.multiply_adds(depth, &shares(&clusters)).round() as u64
    });
    let softmax = match config.softmax {
        Softmax::Full | Softmax::Adaptive(_) => exact,
        Softmax::Sampled { samples } => (samples * depth) as u64,
    };
    let state = |line: &ParameterSpec| {
        (line.group.optimizer(config).states.len() * line.shape.len()) as u64
    };
    let states: u64 = table.iter().map(state).sum();
    Cost {
        parameters: all,
        recurrent,
        flops_per_word: 6 * (matrices + softmax),
        softmax_flops_per_word: 6 * softmax,
        flops_per_target: 2 * (matrices + exact),
        parameter_bytes: 4 * all,
        optimizer_bytes: 4 * states,
        average_bytes: if config.train.ema > 0.0 {
            4 * recurrent
        } else {
            0
        },
        table,
    }
}
