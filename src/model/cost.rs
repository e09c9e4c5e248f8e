//! What a model costs, from its configuration alone: parameters, FLOPs of a trained word, bytes that stay on the device.

use super::parameters::{Group, Parameter, parameters};
use crate::cell::{Cell, size_keys};
use crate::config::{Config, Softmax};
use crate::error::{Error, Result};

/// The costs of a model.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Every parameter.
    pub table: Vec<Parameter>,
    /// All parameters.
    pub parameters: u64,
    /// Those of the recurrent layers.
    pub recurrent: u64,
    /// FLOPs of one trained word, forward and backward: six for each element of a recurrent matrix and for each element
    /// of the softmax's weights that takes part (`S * P`, or `V * P` for a full softmax).
    pub flops_per_word: u64,
    /// Bytes of the parameters in `f32`.
    pub parameter_bytes: u64,
    /// Bytes of the optimizer's state.
    pub optimizer_bytes: u64,
    /// Bytes of the moving average.
    pub average_bytes: u64,
}

/// What to do about a tensor that is too large.
const SMALLER: &str = "make the model, the batch, the unroll or `train.accumulate` smaller";

/// What to do about a size that is too large.
const SMALLER_SIZE: &str = "make it smaller";

/// What to do about a vocabulary that is too large.
const FEWER_WORDS: &str = "keep fewer words: set `data.vocab_size`, or make a vocabulary file with `wlstm vocab --size` or \
                           `--min-count`";

/// The most pieces of a tensor where `device.max_binding` cuts it.
const MOST_PIECES: u64 = 100;

/// Checks that every tensor of a step can be indexed, and every dispatch made: kernels count elements in 32 bits, and devices
/// take 65,535 workgroups a side. A step is computed by so many devices.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) naming the first size that is too large, or the first tensor of 2^32 elements
/// or more.
pub fn check_sizes(config: &Config, vocabulary: usize, devices: usize) -> Result<()> {
    let (model, train) = (&config.model, &config.train);
    let rows = (train.batch * train.unroll) as u64;
    let (hidden, output) = (model.hidden as u64, model.output_size() as u64);
    let width = output.max(model.embedding as u64);
    // A workgroup computes at least 64 rows or columns of a product, 8 streams or 32 units of a cell, and one group.
    let cells = size_keys().map(|key| {
        let sizes = model.cells.iter().filter_map(|cell| cell.size_of(key));
        (
            key.key,
            sizes.max().unwrap_or(0),
            key.dispatch_limit,
            SMALLER_SIZE,
        )
    });
    let sides = [
        ("model.hidden", model.hidden, 1 << 19, SMALLER_SIZE),
        ("model.embedding", model.embedding, 1 << 21, SMALLER_SIZE),
        (
            "model.projection",
            model.output_size(),
            1 << 21,
            SMALLER_SIZE,
        ),
        ("train.batch", train.batch, 1 << 18, "choose fewer streams"),
        (
            "train.batch * train.unroll",
            train.batch * train.unroll,
            1 << 21,
            "choose fewer streams or steps",
        ),
        ("the vocabulary", vocabulary, 1 << 21, FEWER_WORDS),
    ];
    for (name, size, limit, help) in cells.chain(sides) {
        if size >= limit {
            return Err(
                Error::usage(format!("{name} is {size}, and must be below {limit}")).help(help),
            );
        }
    }
    if let Softmax::Sampled { samples } = config.softmax
        && samples > vocabulary
    {
        return Err(Error::usage(format!(
            "`softmax.samples` is {samples}, but the vocabulary has {vocabulary} words, and candidates are distinct"
        ))
        .help("set `softmax.samples` to less than the vocabulary, or `softmax.kind` to \"full\""));
    }
    let mut sizes = vec![
        (
            "the gates of a batch, batch * unroll * 4 * hidden",
            rows * 4 * hidden,
        ),
        (
            "the outputs of a batch, batch * (unroll + 1) * projection",
            (rows + train.batch as u64) * width,
        ),
    ];
    if model.cells.iter().any(Cell::joins_inputs) {
        sizes.push((
            "the joined inputs of a grouped layer, batch * unroll * (input + projection)",
            rows * 2 * width,
        ));
    }
    if let Softmax::Sampled { samples } = config.softmax {
        let samples = samples as u64;
        sizes.push((
            "the logits of a batch, batch * unroll * samples",
            rows * samples,
        ));
        // The micro-batches of a device share its candidates.
        let devices = devices as u64;
        let tokens = devices * train.accumulate as u64 * rows * (1 + u64::from(model.tied));
        sizes.push((
            "the rows of the softmax's gradient, (samples + accumulate * batch * unroll) * projection, of all devices",
            (devices * samples + tokens) * width,
        ));
    }
    let table = parameters(config, vocabulary);
    sizes.extend(
        table
            .iter()
            .map(|line| (line.name.as_str(), line.shape.len() as u64)),
    );
    if let Some((name, size)) = sizes.iter().find(|(_, size)| *size >= 1 << 32) {
        return Err(Error::usage(format!(
            "{name} would have {size} elements, and no tensor may have 2^32 or more"
        ))
        .help(SMALLER));
    }
    // A step of a large tensor becomes as many as it has pieces, and those of two the product.
    let binding = config.device.max_binding;
    match sizes.into_iter().max_by_key(|(_, size)| *size) {
        Some((name, size)) if binding > 0 && 4 * size > MOST_PIECES * binding => {
            let least = (4 * size).div_ceil(MOST_PIECES);
            Err(Error::usage(format!(
                "`device.max_binding` is {binding}, and {name} would be cut into more than {MOST_PIECES} pieces of so many bytes"
            ))
            .help(format!("set it to at least {least}, or to 0 for what the device allows")))
        }
        _ => Ok(()),
    }
}

/// The costs of the model of `config` with `vocabulary` words.
pub fn cost(config: &Config, vocabulary: usize) -> Cost {
    let table = parameters(config, vocabulary);
    let sum = |keep: &dyn Fn(&Parameter) -> bool| -> u64 {
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
    let states = config.train.optimizer.states.len() as u64;
    Cost {
        parameters: all,
        recurrent,
        flops_per_word: 6 * (matrices + softmax),
        parameter_bytes: 4 * all,
        optimizer_bytes: 4 * all * states,
        average_bytes: if config.train.ema > 0.0 {
            4 * recurrent
        } else {
            0
        },
        table,
    }
}
