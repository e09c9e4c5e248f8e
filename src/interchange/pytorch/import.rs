//! Reads a file of PyTorch.

use std::borrow::Cow;

use super::layout::{FORGET, GATES, check_with_help, name_of, tensors, transposed};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::interchange::source::WORDS;
use crate::tensor::names;

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
    /// [`Kind::Data`](crate::error::Kind::Data) naming each tensor that is missing, unknown or of another shape.
    pub fn new(
        file: &'a Checkpoint,
        config: &'a Config,
        vocabulary: usize,
    ) -> Result<Imported<'a>> {
        check_with_help(
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
                [names::EMBEDDING, names::SOFTMAX_WEIGHT].map(|name| file.tensor_f32(name));
            if embedding?.1 != softmax?.1 {
                return Err(Error::data(format!(
                    "`model.tied` is set, but in `{}` the weights of softmax and embedding differ",
                    file.path().display()
                ))
                .help("import it with --set model.tied=false"));
            }
        }
        Ok(Imported { file, config })
    }

    /// The vocabulary, if the file has it.
    pub fn words(file: &Checkpoint) -> Option<&[u8]> {
        file.metadata().get(WORDS).map(String::as_bytes)
    }

    /// The values of a parameter by its name in checkpoints, in their layout.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read.
    pub fn values(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let Some(layer) = names::layer_of(name) else {
            return Ok(self.file.tensor_f32(name)?.1);
        };
        let hidden = self.config.model.hidden;
        Ok(Cow::Owned(if name == names::gate_bias(layer) {
            self.bias(layer)?
        } else if name == names::projection(layer) {
            transposed(&self.tensor("weight_hr", layer)?, hidden, 0..hidden)
        } else {
            self.weight(layer)?
        }))
    }

    fn tensor(&self, tensor: &str, layer: usize) -> Result<Cow<'a, [f32]>> {
        Ok(self.file.tensor_f32(&name_of(tensor, layer))?.1)
    }

    /// The gate bias `[4H]`, gates i, j, f, o.
    fn bias(&self, layer: usize) -> Result<Vec<f32>> {
        let model = &self.config.model;
        let hidden = model.hidden;
        let (ih, hh) = (
            self.tensor("bias_ih", layer)?,
            self.tensor("bias_hh", layer)?,
        );
        let bias = |column: usize| {
            // The order of gates is its own inverse: it exchanges two.
            let gate = GATES[column / hidden];
            let row = gate * hidden + column % hidden;
            let forget = if gate == FORGET {
                model.forget_bias
            } else {
                0.0
            };
            (f64::from(ih[row]) - forget + f64::from(hh[row])) as f32
        };
        Ok((0..4 * hidden).map(bias).collect())
    }

    /// The gate weights `[I+P, 4H]`, gates i, j, f, o.
    fn weight(&self, layer: usize) -> Result<Vec<f32>> {
        let hidden = self.config.model.hidden;
        let (ih, hh) = (
            self.tensor("weight_ih", layer)?,
            self.tensor("weight_hh", layer)?,
        );
        let mut values = Vec::with_capacity(ih.len() + hh.len());
        for weight in [ih, hh] {
            let rows = weight.len() / (4 * hidden);
            let gates = transposed(&weight, rows, 0..rows);
            for row in gates.chunks(4 * hidden) {
                let gate = |gate: &usize| &row[gate * hidden..][..hidden];
                values.extend(GATES.iter().flat_map(gate));
            }
        }
        Ok(values)
    }
}
