//! Writes a file for PyTorch.

use super::layout::{CUTOFFS, Content, DIVIDE, FORGET, Form, GATES, Matrices, RESIDUAL, tensors};
use crate::checkpoint::{self, Dtype, Entry};
use crate::error::Result;
use crate::files::Output;
use crate::interchange::source::ExportSource;
use crate::model::clusters::Clusters;
use crate::tensor::names;

/// Writes the file.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter, or the file cannot be written.
pub fn export(source: &ExportSource<'_>, out: &Output) -> Result<()> {
    let tensors = tensors(source.config, source.vocabulary.len());
    let entries: Vec<Entry> = tensors
        .iter()
        .map(|tensor| Entry::new(tensor.name.clone(), Dtype::F32, tensor.shape.clone()))
        .collect();
    // Readers of safetensors know files of PyTorch by this format.
    let mut metadata = source.metadata("pt");
    if Form::of(source.config) == Form::Layers {
        let residual = source.config.model.residual.to_string();
        metadata.insert(RESIDUAL.to_owned(), residual);
    }
    if let Some(adaptive) = source.config.softmax.adaptive() {
        let clusters = Clusters::of(source.config, source.vocabulary.len());
        let cutoffs = clusters.map(|clusters| format!("{:?}", clusters.cutoffs()));
        metadata.extend(cutoffs.map(|cutoffs| (CUTOFFS.to_owned(), cutoffs)));
        metadata.insert(DIVIDE.to_owned(), adaptive.divide.to_string());
    }
    checkpoint::write_output(out, &entries, &metadata, |name, sink| {
        let tensor = tensors.iter().find(|tensor| tensor.name == name);
        let content = &tensor.expect("every entry is a tensor").content;
        write(source, name, content, &mut |values| sink.write_f32(values))
    })
}

/// Passes the values of a tensor to `write`, in parts.
fn write(
    source: &ExportSource<'_>,
    name: &str,
    content: &Content,
    write: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    let model = &source.config.model;
    let dense = |layer| source.recurrent(&names::gate(layer, "weight"));
    match *content {
        Content::Table if name == names::SOFTMAX_WEIGHT => write(&source.table(source.softmax())?),
        Content::Table => write(&source.table(name)?),
        Content::Input(layer) => {
            let rows = model.input_size(layer);
            let weight = &dense(layer)?[..rows * 4 * model.hidden];
            Matrices::of_dense_gates(model, rows).exported(weight, |part| write(&part))
        }
        Content::Recurrent(layer) => {
            let before = model.input_size(layer) * 4 * model.hidden;
            let weight = &dense(layer)?[before..];
            let rows = model.output_size();
            Matrices::of_dense_gates(model, rows).exported(weight, |part| write(&part))
        }
        Content::Gates(layer, ref parameter) => {
            let values = source.recurrent(&names::gate(layer, parameter.name))?;
            Matrices::of(parameter).exported(&values, |part| write(&part))
        }
        Content::TailProjection(cluster) => {
            let values = source.table(&names::tail_projection(cluster))?;
            let clusters = Clusters::of(source.config, source.vocabulary.len());
            let clusters = clusters.expect("only an adaptive softmax has tails");
            let projection = Matrices::of_cluster(model, &clusters.tails[cluster]);
            projection.exported(&values, |part| write(&part))
        }
        Content::TailWeight(cluster) => write(&source.table(&names::tail_weight(cluster))?),
        Content::Projection(layer) => {
            let values = source.recurrent(&names::projection(layer))?;
            Matrices::of_projection(model).exported(&values, |part| write(&part))
        }
        Content::Bias(layer) => bias(source, layer, |rounded, _| rounded, write),
        Content::BiasRest(layer) => {
            let rest = |rounded, exact| (exact - f64::from(rounded)) as f32;
            bias(source, layer, rest, write)
        }
    }
}

/// Applies `part` to the gate bias `[4H]`, and passes the results to `write`, one gate at a time. `part` receives the rounded
/// sum of the bias and the forget bias, and the exact sum.
fn bias(
    source: &ExportSource<'_>,
    layer: usize,
    part: impl Fn(f32, f64) -> f32,
    write: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    let model = &source.config.model;
    let bias = source.recurrent(&names::gate_bias(layer))?;
    for (k, gate) in GATES.into_iter().enumerate() {
        let forget = if k == FORGET { model.forget_bias } else { 0.0 };
        let values = bias[gate * model.hidden..][..model.hidden].iter();
        let values = values.map(|&bias| {
            let exact = f64::from(bias) + forget;
            part(exact as f32, exact)
        });
        write(&values.collect::<Vec<f32>>())?;
    }
    Ok(())
}
