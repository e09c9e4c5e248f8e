//! The parameters of the grouped model: those of the dense one, permuted, with the gate matrices in blocks.

use std::borrow::Cow;

use super::search::{LayerEnergy, Partitions};
use crate::error::Result;
use crate::factorize::model::{Changed, Model};
use crate::model::clusters::Clusters;
use crate::tensor::names;

/// All parameters that a permutation changes. `weights` are the gate weights `[I+P, 4H]` of every layer.
pub fn permuted(
    model: &Model<'_>,
    layers: &[LayerEnergy],
    partitions: &Partitions,
    weights: &[Cow<'_, [f32]>],
) -> Result<Changed> {
    let sizes = &model.config.model;
    let output = sizes.output_size();
    let axes = partitions.axes.iter();
    let axes: Vec<Vec<usize>> = axes.map(|partition| partition.order()).collect();
    let mut changed = Changed::new();
    let (first, last) = (layers[0].axes[0], layers[layers.len() - 1].axes[1]);
    let table = |name: &str| model.checkpoint.tensor_f32(name);
    let embedding = table(names::EMBEDDING)?.1;
    changed.insert(names::EMBEDDING.into(), columns(&embedding, &axes[first]));
    if let Some(clusters) = Clusters::of(model.config, embedding.len() / sizes.embedding) {
        let head = table(names::HEAD_WEIGHT)?.1;
        changed.insert(names::HEAD_WEIGHT.into(), columns(&head, &axes[last]));
        for (k, tail) in clusters.tails.iter().enumerate() {
            let name = names::tail_projection(k);
            let projection = table(&name)?.1;
            let rows = axes[last].iter();
            let rows = rows.flat_map(|&row| &projection[row * tail.width..][..tail.width]);
            changed.insert(name, rows.copied().collect());
        }
    } else if !sizes.tied {
        let softmax = table(names::SOFTMAX_WEIGHT)?.1;
        changed.insert(names::SOFTMAX_WEIGHT.into(), columns(&softmax, &axes[last]));
    }
    for (k, (layer, weight)) in layers.iter().zip(weights).enumerate() {
        let orders = Orders {
            inputs: &axes[layer.axes[0]],
            outputs: &axes[layer.axes[1]],
            cells: &partitions.cells[k].order(),
        };
        let name = names::gate(k, "weight");
        changed.insert(name, orders.blocks(weight, layer.groups));
        let bias = model.recurrent(&names::gate_bias(k))?;
        changed.insert(names::gate_bias(k), columns(&bias, orders.cells));
        if sizes.projection != 0 {
            let projection = model.recurrent(&names::projection(k))?;
            let cells = orders.cells.iter();
            let rows = cells.flat_map(|cell| &projection[cell * output..][..output]);
            let rows: Vec<f32> = rows.copied().collect();
            changed.insert(names::projection(k), columns(&rows, orders.outputs));
        }
    }
    Ok(changed)
}

/// The columns of a matrix in another order. A bias `[4H]` is a matrix `[4, H]`.
fn columns(values: &[f32], order: &[usize]) -> Vec<f32> {
    let rows = values.chunks_exact(order.len());
    rows.flat_map(|row| order.iter().map(|&k| row[k])).collect()
}

/// The orders of the elements of a layer.
struct Orders<'a> {
    inputs: &'a [usize],
    outputs: &'a [usize],
    cells: &'a [usize],
}

impl Orders<'_> {
    /// The diagonal blocks `[G, (I+P)/G, 4H/G]` of gate weights `[I+P, 4H]`.
    fn blocks(&self, weight: &[f32], groups: usize) -> Vec<f32> {
        let hidden = self.cells.len();
        let mut blocks = Vec::with_capacity(weight.len() / groups);
        for group in 0..groups {
            let part = |order: &[usize]| -> Vec<usize> {
                let len = order.len() / groups;
                order[group * len..(group + 1) * len].to_vec()
            };
            let units = part(self.cells);
            let of_outputs = part(self.outputs).into_iter();
            let of_outputs = of_outputs.map(|row| self.inputs.len() + row);
            for row in part(self.inputs).into_iter().chain(of_outputs) {
                let row = &weight[row * 4 * hidden..][..4 * hidden];
                for q in 0..4 {
                    blocks.extend(units.iter().map(|unit| row[q * hidden + unit]));
                }
            }
        }
        blocks
    }
}
