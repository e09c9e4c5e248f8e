//! Names, shapes and orders of PyTorch, and the models that it has.

use std::ops::Range;

use crate::cell::Cell;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::tensor::names;

/// The positions of PyTorch's gates i, f, g, o among i, j, f, o.
pub const GATES: [usize; 4] = [0, 2, 1, 3];

/// The position of the forget gate among i, f, g, o.
pub const FORGET: usize = 1;

/// Whether a file has the names of PyTorch.
pub fn is_pytorch(file: &Checkpoint) -> bool {
    file.contains("lstm.weight_ih_l0")
}

/// Checks that `torch.nn.LSTM` supports the model.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if not.
pub fn check(config: &Config) -> Result<()> {
    check_with_help(config, "export it with --format native or --format onnx")
}

/// [`check`] with the help of its error.
pub fn check_with_help(config: &Config, help: &str) -> Result<()> {
    let model = &config.model;
    let refuse = |what: &str| Err(Error::usage(what.to_owned()).help(help));
    if !model.cells.iter().all(Cell::is_dense) {
        return refuse(
            "`torch.nn.LSTM` has no factorized and no grouped cells, and this model has some",
        );
    }
    if model.projection >= model.hidden {
        return refuse(
            "`torch.nn.LSTM` accepts only projections that are smaller than the cells, and that of this model is not",
        );
    }
    let is_residual = |layer| model.input_size(layer) == model.output_size();
    if model.residual && (0..model.layers()).any(is_residual) {
        return refuse("`torch.nn.LSTM` has no residual connections, and this model has some");
    }
    Ok(())
}

/// Names and shapes of the tensors of a model.
pub fn tensors(config: &Config, vocabulary: usize) -> Vec<(String, Vec<usize>)> {
    let model = &config.model;
    let (hidden, output) = (model.hidden, model.output_size());
    let mut tensors = vec![(
        names::EMBEDDING.to_owned(),
        vec![vocabulary, model.embedding],
    )];
    for layer in 0..model.layers() {
        let mut push =
            |name: &str, shape: &[usize]| tensors.push((name_of(name, layer), shape.to_vec()));
        push("weight_ih", &[4 * hidden, model.input_size(layer)]);
        push("weight_hh", &[4 * hidden, output]);
        push("bias_ih", &[4 * hidden]);
        push("bias_hh", &[4 * hidden]);
        if model.projection != 0 {
            push("weight_hr", &[output, hidden]);
        }
    }
    tensors.push((names::SOFTMAX_WEIGHT.to_owned(), vec![vocabulary, output]));
    tensors.push((names::SOFTMAX_BIAS.to_owned(), vec![vocabulary]));
    tensors
}

/// The name of a tensor of a layer: `lstm.weight_ih_l0`.
pub fn name_of(tensor: &str, layer: usize) -> String {
    format!("lstm.{tensor}_l{layer}")
}

/// The tensor and the layer of a name; none for a name of no layer.
pub fn parse_name(name: &str) -> Option<(&str, usize)> {
    let (tensor, layer) = name.strip_prefix("lstm.")?.rsplit_once("_l")?;
    Some((tensor, layer.parse().ok()?))
}

/// The transpose of some columns of a matrix whose rows have `width` elements.
pub fn transposed(values: &[f32], width: usize, columns: Range<usize>) -> Vec<f32> {
    /// Elements of a cache line.
    const BLOCK: usize = 16;
    let rows = values.len() / width;
    let mut out = vec![0.0; rows * columns.len()];
    for first in columns.clone().step_by(BLOCK) {
        for (k, row) in values.chunks_exact(width).enumerate() {
            for column in first..columns.end.min(first + BLOCK) {
                out[(column - columns.start) * rows + k] = row[column];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_columns_are_transposed() {
        let values: Vec<f32> = (0..3 * 40).map(|k| k as f32).collect();
        let transposed = transposed(&values, 40, 7..38);
        assert_eq!(transposed.len(), 3 * 31);
        for (at, value) in transposed.into_iter().enumerate() {
            assert_eq!(value, (at % 3 * 40 + 7 + at / 3) as f32);
        }
    }

    #[test]
    fn names_of_layers_are_parsed() {
        assert_eq!(parse_name("lstm.weight_ih_l0"), Some(("weight_ih", 0)));
        assert_eq!(parse_name("lstm.bias_hh_l12"), Some(("bias_hh", 12)));
        assert_eq!(parse_name(names::SOFTMAX_WEIGHT), None);
    }
}
