//! Names, shapes and orders of PyTorch, and the models that it has.

use std::ops::Range;

use crate::cell::{Cell, ColumnLayout, GateParameter};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, ModelConfig};
use crate::error::Result;
use crate::model::clusters::{Cluster, Clusters};
use crate::tensor::names;

/// The positions of PyTorch's gates i, f, g, o among i, j, f, o.
pub const GATES: [usize; 4] = [0, 2, 1, 3];

/// The position of the forget gate among i, f, g, o.
pub const FORGET: usize = 1;

/// The metadata key of `model.residual`, in files with [`Form::Layers`].
pub const RESIDUAL: &str = "wlstm.residual";

/// The metadata keys of an adaptive softmax: the first id of each cluster, as JSON, and `softmax.divide`.
pub const CUTOFFS: &str = "wlstm.cutoffs";
pub const DIVIDE: &str = "wlstm.divide";

/// The names of the tensors of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Those of `torch.nn.LSTM`: `lstm.weight_ih_l0`.
    Lstm,
    /// Names for any cell: `layers.0.weight`.
    Layers,
}

impl Form {
    /// The form for a model: [`Form::Lstm`] if `torch.nn.LSTM` supports the model.
    pub fn of(config: &Config) -> Form {
        let model = &config.model;
        let is_residual = |layer| model.input_size(layer) == model.output_size();
        let has_residual = model.residual && (0..model.layers()).any(is_residual);
        let is_dense = model.cells.iter().all(Cell::is_dense);
        if is_dense && model.projection < model.hidden && !has_residual {
            Form::Lstm
        } else {
            Form::Layers
        }
    }

    /// The form of a file. `None` if it does not have the names of PyTorch.
    pub fn of_file(file: &Checkpoint) -> Option<Form> {
        [Form::Lstm, Form::Layers]
            .into_iter()
            .find(|form| file.contains(&form.name("bias_ih", 0)))
    }

    /// The name of a tensor of a layer: `lstm.weight_ih_l0` or `layers.0.weight`.
    pub fn name(self, tensor: &str, layer: usize) -> String {
        match self {
            Form::Lstm => format!("lstm.{tensor}_l{layer}"),
            Form::Layers => names::in_layer(layer, tensor),
        }
    }
}

/// Whether a file has the names of PyTorch.
pub fn is_pytorch(file: &Checkpoint) -> bool {
    Form::of_file(file).is_some()
}

/// The content of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A table, which has the same name as in checkpoints.
    Table,
    /// The rows of the dense gate matrix that belong to the input.
    Input(usize),
    /// The rows of the dense gate matrix that belong to the recurrent input.
    Recurrent(usize),
    /// A parameter of the gates.
    Gates(usize, GateParameter),
    /// The gate bias with the forget bias, rounded.
    Bias(usize),
    /// The rounding error of [`Content::Bias`].
    BiasRest(usize),
    /// The projection.
    Projection(usize),
    /// The projection of a cluster of an adaptive softmax.
    TailProjection(usize),
    /// The weights of the words of a cluster.
    TailWeight(usize),
}

/// A tensor in a file for PyTorch.
pub struct Tensor {
    /// The name.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The content.
    pub content: Content,
}

/// The name of a parameter of a cluster in `torch.nn.AdaptiveLogSoftmaxWithLoss`.
pub fn tail_name(cluster: usize, is_projection: bool) -> String {
    format!("softmax.tail.{cluster}.{}.weight", u8::from(!is_projection))
}

/// The name of the weights of the words of a cluster, `[words, width]`.
pub fn cluster_weight(cluster: usize) -> String {
    tail_name(cluster, false)
}

/// The tensors of a model.
pub fn tensors(config: &Config, vocabulary: usize) -> Vec<Tensor> {
    let model = &config.model;
    let form = Form::of(config);
    let mut tensors = Vec::new();
    let mut push = |name: String, shape: &[usize], content| {
        tensors.push(Tensor {
            name,
            shape: shape.to_vec(),
            content,
        });
    };
    let (hidden, output) = (model.hidden, model.output_size());
    let table = [vocabulary, model.embedding];
    push(names::EMBEDDING.to_owned(), &table, Content::Table);
    for layer in 0..model.layers() {
        let name = |tensor: &str| form.name(tensor, layer);
        if form == Form::Lstm {
            let input = [4 * hidden, model.input_size(layer)];
            push(name("weight_ih"), &input, Content::Input(layer));
            let recurrent = [4 * hidden, output];
            push(name("weight_hh"), &recurrent, Content::Recurrent(layer));
        } else {
            for parameter in model.cells[layer].parameters(&model.sizes(layer)) {
                let mut shape = parameter.shape.0.clone();
                let last = shape.len() - 1;
                shape.swap(last - 1, last);
                let name = name(parameter.name);
                push(name, &shape, Content::Gates(layer, parameter));
            }
        }
        push(name("bias_ih"), &[4 * hidden], Content::Bias(layer));
        push(name("bias_hh"), &[4 * hidden], Content::BiasRest(layer));
        if model.projection != 0 {
            let shape = [output, hidden];
            push(name("weight_hr"), &shape, Content::Projection(layer));
        }
    }
    if let Some(clusters) = Clusters::of(config, vocabulary) {
        let head = [clusters.entries(), output];
        push(names::HEAD_WEIGHT.to_owned(), &head, Content::Table);
        push(names::HEAD_BIAS.to_owned(), &head[..1], Content::Table);
        for (k, tail) in clusters.tails.iter().enumerate() {
            let shape = [tail.width, output];
            push(tail_name(k, true), &shape, Content::TailProjection(k));
            let shape = [tail.ids.len(), tail.width];
            push(tail_name(k, false), &shape, Content::TailWeight(k));
        }
        return tensors;
    }
    let table = [vocabulary, output];
    push(names::SOFTMAX_WEIGHT.to_owned(), &table, Content::Table);
    push(
        names::SOFTMAX_BIAS.to_owned(),
        &[vocabulary],
        Content::Table,
    );
    tensors
}

/// Consecutive matrices, each `[rows, columns]` in checkpoints. PyTorch has their transposes, with the gates in the order i, f,
/// g, o.
pub struct Matrices {
    /// Rows in checkpoints.
    pub rows: usize,
    /// Columns in checkpoints.
    pub columns: usize,
    /// Whether the columns are gates.
    pub layout: ColumnLayout,
}

impl Matrices {
    /// The matrices of a gate parameter.
    pub fn of(parameter: &GateParameter) -> Matrices {
        let shape = &parameter.shape.0;
        Matrices {
            rows: shape[shape.len() - 2],
            columns: shape[shape.len() - 1],
            layout: parameter.layout,
        }
    }

    /// The matrix of a projection `[H, P]`.
    pub fn of_projection(model: &ModelConfig) -> Matrices {
        Matrices {
            rows: model.hidden,
            columns: model.projection,
            layout: ColumnLayout::Plain,
        }
    }

    /// The projection `[P, width]` of a cluster.
    pub fn of_cluster(model: &ModelConfig, cluster: &Cluster) -> Matrices {
        Matrices {
            rows: model.output_size(),
            columns: cluster.width,
            layout: ColumnLayout::Plain,
        }
    }

    /// `rows` rows of a dense gate matrix.
    pub fn of_dense_gates(model: &ModelConfig, rows: usize) -> Matrices {
        Matrices {
            rows,
            columns: 4 * model.hidden,
            layout: ColumnLayout::Interleaved {
                units: model.hidden,
            },
        }
    }

    /// Passes the values in the layout of PyTorch to `write`, in parts.
    pub fn exported(
        &self,
        values: &[f32],
        mut write: impl FnMut(Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        for matrix in values.chunks_exact(self.rows * self.columns) {
            for columns in self.blocks() {
                write(transposed(matrix, self.columns, columns))?;
            }
        }
        Ok(())
    }

    /// The values in the layout of checkpoints.
    pub fn restored(&self, values: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(values.len());
        for matrix in values.chunks_exact(self.rows * self.columns) {
            for row in transposed(matrix, self.rows, 0..self.rows).chunks(self.columns) {
                // The permutation of gates exchanges two of them, so it is its own inverse.
                out.extend(self.blocks().flat_map(|block| &row[block]));
            }
        }
        out
    }

    /// The ranges of columns in the order of PyTorch.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let (order, width) = match self.layout {
            ColumnLayout::Plain => (&[0][..], self.columns),
            ColumnLayout::Interleaved { units } => (&GATES[..], units),
        };
        order.iter().map(move |at| at * width..(at + 1) * width)
    }
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
    fn matrices_are_restored() {
        let values: Vec<f32> = (0..2 * 3 * 8).map(|k| k as f32).collect();
        for layout in [ColumnLayout::Plain, ColumnLayout::Interleaved { units: 2 }] {
            let mut there = Vec::new();
            let matrices = Matrices {
                rows: 3,
                columns: 8,
                layout,
            };
            matrices
                .exported(&values, |part| {
                    there.extend(part);
                    Ok(())
                })
                .unwrap();
            assert_eq!(matrices.restored(&there), values);
            // The second gate of PyTorch, f, is the third of i, j, f, o.
            let second = if layout == ColumnLayout::Plain { 2 } else { 4 };
            assert_eq!(
                there[2 * 3..][..3],
                [second, second + 8, second + 16].map(|k| k as f32)
            );
        }
    }
}
