//! The sizes that a model, its batch and its vocabulary may have.

use super::parameters::parameters;
use crate::cell::{Cell, size_keys};
use crate::config::{Config, Softmax};
use crate::error::{Error, Result};

/// The help for a tensor that is too large.
const SMALLER: &str = "make the model, the batch, the unroll or `train.accumulate` smaller";

/// The help for a size that is too large.
const SMALLER_SIZE: &str = "make it smaller";

/// The help for a vocabulary that is too large.
const FEWER_WORDS: &str = "keep fewer words: set `data.vocab_size`, or make a vocabulary file with `wlstm vocab --size` or \
                           `--min-count`";

/// The maximum number of pieces into which `device.max_binding` may split a tensor.
const MAX_PIECES: u64 = 100;

/// Every tensor must have fewer elements than this: kernels count in 32 bits.
const ELEMENT_LIMIT: u64 = 1 << 32;

/// A tensor of a step, as errors name it, with its elements.
type Tensor = (String, u64);

/// Checks that kernels can index every tensor of a step, and that devices can dispatch every kernel. `devices` compute a step
/// together.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) naming the first size that is too large, or the first tensor of 2^32 elements
/// or more.
pub fn check_sizes(config: &Config, vocabulary: usize, devices: usize) -> Result<()> {
    check_dispatches(config, vocabulary)?;
    if let Softmax::Sampled { samples } = config.softmax
        && samples > vocabulary
    {
        return Err(Error::usage(format!(
            "`softmax.samples` is {samples}, but the vocabulary has {vocabulary} words, and candidates are distinct"
        ))
        .help("set `softmax.samples` to less than the vocabulary, or `softmax.kind` to \"full\""));
    }
    if let Some(adaptive) = config.softmax.adaptive()
        && let Some(last) = adaptive.cutoffs.last()
        && *last >= vocabulary
    {
        return Err(Error::usage(format!(
            "`softmax.cutoffs` ends with {last}, but the vocabulary has {vocabulary} words, and the last cluster needs a word"
        ))
        .help("choose cutoffs below the size of the vocabulary, or `[]`"));
    }
    let tensors = tensors(config, vocabulary, devices);
    if let Some((name, len)) = tensors.iter().find(|(_, len)| *len >= ELEMENT_LIMIT) {
        return Err(Error::usage(format!(
            "{name} would have {len} elements, and no tensor may have 2^32 or more"
        ))
        .help(SMALLER));
    }
    check_pieces(config.device.max_binding, tensors)
}

/// A dispatch has at most 65,535 workgroups per dimension. A workgroup computes at least 64 rows or columns of a product, 8
/// streams or 32 units of a cell, and one group.
fn check_dispatches(config: &Config, vocabulary: usize) -> Result<()> {
    let (model, train) = (&config.model, &config.train);
    let cells = size_keys().map(|key| {
        let sizes = model.cells.iter().filter_map(|cell| cell.size_of(key));
        let size = sizes.max().unwrap_or(0);
        (key.key, size, key.dispatch_limit, SMALLER_SIZE)
    });
    let others = [
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
            train.batch.saturating_mul(train.unroll),
            1 << 21,
            "choose fewer streams or steps",
        ),
        ("the vocabulary", vocabulary, 1 << 21, FEWER_WORDS),
    ];
    for (name, size, limit, help) in cells.chain(others) {
        if size >= limit {
            return Err(
                Error::usage(format!("{name} is {size}, and must be below {limit}")).help(help),
            );
        }
    }
    Ok(())
}

/// The tensors of a step that may be too large, those of the batch first.
fn tensors(config: &Config, vocabulary: usize, devices: usize) -> Vec<Tensor> {
    let (model, train) = (&config.model, &config.train);
    let rows = product([train.batch as u64, train.unroll as u64]);
    let (hidden, output) = (model.hidden as u64, model.output_size() as u64);
    let width = output.max(model.embedding as u64);
    let mut tensors = vec![
        (
            "the gates of a batch, batch * unroll * 4 * hidden".to_owned(),
            product([rows, 4, hidden]),
        ),
        (
            "the outputs of a batch, batch * (unroll + 1) * projection".to_owned(),
            product([rows.saturating_add(train.batch as u64), width]),
        ),
    ];
    if model.cells.iter().any(Cell::joins_inputs) {
        let name = "the joined inputs of a grouped layer, batch * unroll * (input + projection)";
        tensors.push((name.to_owned(), product([rows, 2, width])));
    }
    if let Softmax::Sampled { samples } = config.softmax {
        let samples = samples as u64;
        let name = "the logits of a batch, batch * unroll * samples";
        tensors.push((name.to_owned(), product([rows, samples])));
        // The micro-batches of a device share its candidates.
        let devices = devices as u64;
        let tables = 1 + u64::from(model.tied);
        let tokens = product([devices, train.accumulate as u64, rows, tables]);
        let name = "the rows of the softmax's gradient, (samples + accumulate * batch * unroll) * projection, of all devices";
        let drawn = product([devices, samples]).saturating_add(tokens);
        tensors.push((name.to_owned(), product([drawn, width])));
    }
    let table = parameters(config, vocabulary).into_iter();
    tensors.extend(table.map(|line| {
        let len = line.shape.len() as u64;
        (line.name, len)
    }));
    tensors
}

/// A product that is `u64::MAX` if it is larger, as the factors come from a configuration.
fn product<const N: usize>(factors: [u64; N]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}

/// A step on a large tensor is split into as many steps as the tensor has pieces. For a step on two such tensors, the numbers
/// of pieces multiply.
fn check_pieces(max_binding: u64, tensors: Vec<Tensor>) -> Result<()> {
    match tensors.into_iter().max_by_key(|(_, len)| *len) {
        Some((name, len))
            if max_binding > 0 && 4 * len > MAX_PIECES.saturating_mul(max_binding) =>
        {
            let least = (4 * len).div_ceil(MAX_PIECES);
            Err(Error::usage(format!(
                "`device.max_binding` is {max_binding}, and would split {name} into more than {MAX_PIECES} pieces"
            ))
            .help(format!("set it to at least {least}, or to 0 for what the device allows")))
        }
        _ => Ok(()),
    }
}
