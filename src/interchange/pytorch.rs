//! The names and conventions of PyTorch: a safetensors file whose tensors `torch.nn.Embedding` (`embedding`), `torch.nn.LSTM`
//! (`lstm`) and `torch.nn.Linear` (`softmax`) load by name.
//!
//! | here | there |
//! |---|---|
//! | `embedding.weight [V, E]` | `embedding.weight [V, E]` |
//! | `layers.K.gates.weight [I+P, 4H]`, gates i, j, f, o | `lstm.weight_ih_lK [4H, I]`, `lstm.weight_hh_lK [4H, P]`, gates i, f, g, o, where g is j |
//! | `layers.K.gates.bias [4H]`, the forget bias not in it | `lstm.bias_ih_lK [4H]`, the forget bias in it; `lstm.bias_hh_lK [4H]` |
//! | `layers.K.projection.weight [H, P]` | `lstm.weight_hr_lK [P, H]` |
//! | `softmax.weight [V, P]`, `softmax.bias [V]` | the same; of a tied model `softmax.weight` is the embedding |
//!
//! PyTorch adds both biases. `bias_hh` holds what rounding has left of a bias and the forget bias in `bias_ih`, so that a file that
//! comes back gives every bit; it is 0 elsewhere.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use super::{Source, WORDS};
use crate::checkpoint::{self, Checkpoint, Dtype, Entry};
use crate::config::Config;
use crate::error::{Error, Result};

/// The place of PyTorch's gates i, f, g, o among i, j, f, o.
const GATES: [usize; 4] = [0, 2, 1, 3];

/// The forget gate in the order of PyTorch.
const FORGET: usize = 1;

/// Whether a file has the names of PyTorch.
pub fn is_pytorch(file: &Checkpoint) -> bool {
    file.contains("lstm.weight_ih_l0")
}

/// Checks that `torch.nn.LSTM` has such a model.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if not.
pub fn check(config: &Config) -> Result<()> {
    check_with(config, "export it with --format native or --format onnx")
}

/// [`check`], with what else to do.
fn check_with(config: &Config, other: &str) -> Result<()> {
    let model = &config.model;
    let refuse = |what: &str| Err(Error::usage(what.to_owned()).help(other));
    if model.cells.iter().any(|cell| !cell.is_dense()) {
        return refuse(
            "`torch.nn.LSTM` has no factorized and no grouped cells, and this model has some",
        );
    }
    if model.projection >= model.hidden {
        return refuse(
            "`torch.nn.LSTM` takes only projections that are smaller than the cells, and this model's is not",
        );
    }
    let adds = |layer| model.input_size(layer) == model.output_size();
    if model.residual && (0..model.layers()).any(adds) {
        return refuse("`torch.nn.LSTM` has no residual connections, and this model has some");
    }
    Ok(())
}

/// Names and shapes of the tensors of a model.
fn tensors(config: &Config, vocabulary: usize) -> Vec<(String, Vec<usize>)> {
    let model = &config.model;
    let (hidden, output) = (model.hidden, model.output_size());
    let mut tensors = vec![(
        "embedding.weight".to_owned(),
        vec![vocabulary, model.embedding],
    )];
    for k in 0..model.layers() {
        let of = |name: &str, shape: &[usize]| (format!("lstm.{name}_l{k}"), shape.to_vec());
        tensors.push(of("weight_ih", &[4 * hidden, model.input_size(k)]));
        tensors.push(of("weight_hh", &[4 * hidden, output]));
        tensors.push(of("bias_ih", &[4 * hidden]));
        tensors.push(of("bias_hh", &[4 * hidden]));
        if model.projection != 0 {
            tensors.push(of("weight_hr", &[output, hidden]));
        }
    }
    tensors.push(("softmax.weight".to_owned(), vec![vocabulary, output]));
    tensors.push(("softmax.bias".to_owned(), vec![vocabulary]));
    tensors
}

/// The part of a name in `lstm.PART_lK`, and K.
fn of_layer(name: &str) -> Option<(&str, usize)> {
    let (part, layer) = name.strip_prefix("lstm.")?.rsplit_once("_l")?;
    Some((part, layer.parse().ok()?))
}

/// The transpose of some columns of a matrix with rows of `width`.
fn turned(values: &[f32], width: usize, columns: Range<usize>) -> Vec<f32> {
    /// Numbers of a line of the cache.
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

/// Writes the file.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if PyTorch has no such model,
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter, or the file cannot be written.
pub fn export(source: &Source<'_>, path: &Path) -> Result<()> {
    check(source.config)?;
    let model = &source.config.model;
    let hidden = model.hidden;
    let entries: Vec<Entry> = tensors(source.config, source.vocabulary.len())
        .into_iter()
        .map(|(name, shape)| Entry::new(name, Dtype::F32, shape))
        .collect();
    // Readers take files of this format for those of PyTorch.
    let metadata = source.metadata("pt");
    checkpoint::write(path, &entries, &metadata, |name, sink| {
        let Some((part, layer)) = of_layer(name) else {
            let name = match name {
                "softmax.weight" => source.softmax(),
                other => other,
            };
            return sink.write_f32(&source.table(name)?);
        };
        let input = model.input_size(layer);
        let gates = |name: &str| source.recurrent(&format!("layers.{layer}.gates.{name}"));
        match part {
            "weight_ih" | "weight_hh" => {
                let weight = gates("weight")?;
                let rows = match part {
                    "weight_ih" => 0..input,
                    _ => input..input + model.output_size(),
                };
                let rows = &weight[rows.start * 4 * hidden..rows.end * 4 * hidden];
                GATES.into_iter().try_for_each(|gate| {
                    let columns = gate * hidden..(gate + 1) * hidden;
                    sink.write_f32(&turned(rows, 4 * hidden, columns))
                })
            }
            "weight_hr" => {
                let name = format!("layers.{layer}.projection.weight");
                let weight = source.recurrent(&name)?;
                let width = model.projection;
                sink.write_f32(&turned(&weight, width, 0..width))
            }
            _ => {
                let bias = gates("bias")?;
                for (k, gate) in GATES.into_iter().enumerate() {
                    let forget = if k == FORGET { model.forget_bias } else { 0.0 };
                    let values = bias[gate * hidden..][..hidden].iter().map(|&bias| {
                        let sum = (f64::from(bias) + forget) as f32;
                        match part {
                            "bias_ih" => sum,
                            _ => (f64::from(bias) + forget - f64::from(sum)) as f32,
                        }
                    });
                    sink.write_f32(&values.collect::<Vec<f32>>())?;
                }
                Ok(())
            }
        }
    })
}

/// A file of PyTorch, read as the parameters of a model.
pub struct Imported<'a> {
    file: &'a Checkpoint,
    config: &'a Config,
}

impl<'a> Imported<'a> {
    /// Checks that the file has the parameters of the model.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if PyTorch has no such model,
    /// [`Kind::Data`](crate::error::Kind::Data) naming each tensor that is missing, unknown or misshapen.
    pub fn new(
        file: &'a Checkpoint,
        config: &'a Config,
        vocabulary: usize,
    ) -> Result<Imported<'a>> {
        check_with(
            config,
            "name a configuration of `lstmp` cells, such as one with --set model.cell=lstmp",
        )?;
        let expected = tensors(config, vocabulary);
        file.check_parameters(&expected, &[]).map_err(|error| {
            error.help(
                "the names are those of `torch.nn.Embedding` as `embedding`, `torch.nn.LSTM` as `lstm` and `torch.nn.Linear` as `softmax`, \
                 in float32; sizes and layers are those of --config",
            )
        })?;
        if config.model.tied {
            let [embedding, softmax] =
                ["embedding.weight", "softmax.weight"].map(|name| file.tensor_f32(name));
            if embedding?.1 != softmax?.1 {
                return Err(Error::data(format!(
                    "`model.tied` is set, but in `{}` the softmax has other weights than the embedding",
                    file.path().display()
                ))
                .help("import it with --set model.tied=false"));
            }
        }
        Ok(Imported { file, config })
    }

    /// The words, if the file has them.
    pub fn words(file: &Checkpoint) -> Option<&[u8]> {
        file.metadata().get(WORDS).map(String::as_bytes)
    }

    /// The values of a parameter by the name that it has here, in the layout of checkpoints.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read.
    pub fn values(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let model = &self.config.model;
        let hidden = model.hidden;
        let Some((layer, part)) = name
            .strip_prefix("layers.")
            .and_then(|rest| rest.split_once('.'))
        else {
            return Ok(self.file.tensor_f32(name)?.1);
        };
        let of = |part: &str| -> Result<Cow<'a, [f32]>> {
            let name = format!("lstm.{part}_l{layer}");
            Ok(self.file.tensor_f32(&name)?.1)
        };
        // Gate q here is the gate GATES[q] there: exchanging two is its own inverse.
        let row = |column: usize| GATES[column / hidden] * hidden + column % hidden;
        Ok(Cow::Owned(match part {
            "gates.bias" => {
                let (ih, hh) = (of("bias_ih")?, of("bias_hh")?);
                let bias = |column: usize| {
                    let row = row(column);
                    let forget = match row / hidden == FORGET {
                        true => model.forget_bias,
                        false => 0.0,
                    };
                    (f64::from(ih[row]) - forget + f64::from(hh[row])) as f32
                };
                (0..4 * hidden).map(bias).collect()
            }
            "projection.weight" => turned(&of("weight_hr")?, hidden, 0..hidden),
            _ => {
                let (ih, hh) = (of("weight_ih")?, of("weight_hh")?);
                let mut values = Vec::with_capacity(ih.len() + hh.len());
                for weight in [ih, hh] {
                    let rows = weight.len() / (4 * hidden);
                    let gates = turned(&weight, rows, 0..rows);
                    for row in gates.chunks(4 * hidden) {
                        let gate = |q: &usize| &row[q * hidden..][..hidden];
                        values.extend(GATES.iter().flat_map(gate));
                    }
                }
                values
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_columns_are_turned() {
        let values: Vec<f32> = (0..3 * 40).map(|k| k as f32).collect();
        let turned = turned(&values, 40, 7..38);
        assert_eq!(turned.len(), 3 * 31);
        for (at, value) in turned.into_iter().enumerate() {
            assert_eq!(value, (at % 3 * 40 + 7 + at / 3) as f32);
        }
    }

    #[test]
    fn names_of_layers_are_read() {
        assert_eq!(of_layer("lstm.weight_ih_l0"), Some(("weight_ih", 0)));
        assert_eq!(of_layer("lstm.bias_hh_l12"), Some(("bias_hh", 12)));
        assert_eq!(of_layer("softmax.weight"), None);
    }
}
