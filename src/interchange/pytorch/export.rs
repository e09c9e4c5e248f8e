//! Writes a file for PyTorch.

use super::layout::{FORGET, GATES, check, parse_name, tensors, transposed};
use crate::checkpoint::{self, Dtype, Entry};
use crate::error::Result;
use crate::files::Output;
use crate::interchange::source::ExportSource;
use crate::tensor::names;

/// Writes the file.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if PyTorch has no such model,
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter, or the file cannot be written.
pub fn export(source: &ExportSource<'_>, out: &Output) -> Result<()> {
    check(source.config)?;
    let entries: Vec<Entry> = tensors(source.config, source.vocabulary.len())
        .into_iter()
        .map(|(name, shape)| Entry::new(name, Dtype::F32, shape))
        .collect();
    // Readers of safetensors know files of PyTorch by this format.
    let metadata = source.metadata("pt");
    checkpoint::write_output(out, &entries, &metadata, |name, sink| {
        let Some((tensor, layer)) = parse_name(name) else {
            let own = if name == names::SOFTMAX_WEIGHT {
                source.softmax()
            } else {
                name
            };
            return sink.write_f32(&source.table(own)?);
        };
        let layer = Layer { source, layer };
        match tensor {
            "weight_ih" | "weight_hh" => layer.gates(tensor, |gate| sink.write_f32(&gate)),
            "weight_hr" => sink.write_f32(&layer.projection()?),
            _ => layer.bias(tensor, |gate| sink.write_f32(&gate)),
        }
    })
}

/// A layer of the model.
struct Layer<'a> {
    source: &'a ExportSource<'a>,
    layer: usize,
}

impl Layer<'_> {
    /// Gives `weight_ih [4H, I]` or `weight_hh [4H, P]` to `write`, one gate after the other.
    fn gates(&self, tensor: &str, mut write: impl FnMut(Vec<f32>) -> Result<()>) -> Result<()> {
        let model = &self.source.config.model;
        let (hidden, input) = (model.hidden, model.input_size(self.layer));
        let weight = self.source.recurrent(&names::gate(self.layer, "weight"))?;
        let (of_input, of_output) = weight.split_at(input * 4 * hidden);
        let rows = if tensor == "weight_ih" {
            of_input
        } else {
            of_output
        };
        GATES.into_iter().try_for_each(|gate| {
            let columns = gate * hidden..(gate + 1) * hidden;
            write(transposed(rows, 4 * hidden, columns))
        })
    }

    /// `weight_hr [P, H]`.
    fn projection(&self) -> Result<Vec<f32>> {
        let width = self.source.config.model.projection;
        let weight = self.source.recurrent(&names::projection(self.layer))?;
        Ok(transposed(&weight, width, 0..width))
    }

    /// Gives `bias_ih [4H]` or `bias_hh [4H]` to `write`, one gate after the other.
    fn bias(&self, tensor: &str, mut write: impl FnMut(Vec<f32>) -> Result<()>) -> Result<()> {
        let model = &self.source.config.model;
        let bias = self.source.recurrent(&names::gate_bias(self.layer))?;
        for (k, gate) in GATES.into_iter().enumerate() {
            let forget = if k == FORGET { model.forget_bias } else { 0.0 };
            let values = bias[gate * model.hidden..][..model.hidden].iter();
            let values = values.map(|&bias| {
                let exact = f64::from(bias) + forget;
                let rounded = exact as f32;
                if tensor == "bias_ih" {
                    rounded
                } else {
                    (exact - f64::from(rounded)) as f32
                }
            });
            write(values.collect())?;
        }
        Ok(())
    }
}
