//! The costs of a model, from its configuration alone: parameters, FLOPs of a trained word, bytes of persistent tensors.

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
    /// softmax weights that a step uses (`S * P`, or `V * P` for a full softmax).
    pub flops_per_word: u64,
    /// FLOPs of one evaluated target: two for each element of a recurrent matrix and of the weights of the full softmax.
    pub flops_per_target: u64,
    /// Bytes of the parameters in `f32`.
    pub parameter_bytes: u64,
    /// Bytes of the optimizer state.
    pub optimizer_bytes: u64,
    /// Bytes of the moving average.
    pub average_bytes: u64,
}

/// The costs of the model of `config` with `vocabulary` words.
pub fn cost(config: &Config, vocabulary: usize) -> Cost {
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
    let classes = match config.softmax {
        Softmax::Full => vocabulary,
        Softmax::Sampled { samples } => samples,
    };
    let softmax = (classes * config.model.output_size()) as u64;
    let state = |line: &ParameterSpec| {
        (line.group.optimizer(config).states.len() * line.shape.len()) as u64
    };
    let states: u64 = table.iter().map(state).sum();
    Cost {
        parameters: all,
        recurrent,
        flops_per_word: 6 * (matrices + softmax),
        flops_per_target: 2 * (matrices + (vocabulary * config.model.output_size()) as u64),
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
