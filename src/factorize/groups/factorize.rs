//! Factorizes a model into groups.

use std::borrow::Cow;

use serde::Serialize;

use super::apply::permuted;
use super::axes::{axes_of, least_common_multiple};
use super::partition::Partition;
use super::search::{LayerEnergy, Partitions, search};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::factorize::model::{Changed, Model};
use crate::tensor::names;

/// What the blocks hold of the gate matrix of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockShare {
    /// The layer.
    pub layer: usize,
    /// The number of groups, `G`.
    pub groups: usize,
    /// The share of the sum of squares that is kept.
    pub kept: f64,
    /// The share that would be kept without a permutation.
    pub kept_unordered: f64,
}

/// Factorizes every layer into groups, after a permutation that increases the share of the blocks; `groups`
/// has `G` for each. `seed` is that of the search.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if a layer is not dense,
/// [`Kind::Data`](crate::error::Kind::Data) if the file lacks a parameter.
///
/// # Panics
///
/// If there is not one number of groups for each layer, or it does not divide a size of its layer: see
/// [`Glstm`](crate::cell::Glstm).
pub fn factorize(
    model: &Model<'_>,
    groups: &[usize],
    seed: u64,
) -> Result<(Changed, Vec<BlockShare>)> {
    model.check_dense()?;
    let sizes = &model.config.model;
    assert_eq!(groups.len(), sizes.layers(), "one for each layer");
    let weights = (0..sizes.layers())
        .map(|layer| model.recurrent(&names::gate(layer, "weight")))
        .collect::<Result<Vec<_>>>()?;
    let layers = energies(sizes, groups, &weights);
    let given = contiguous(sizes, &layers);
    // Without a projection the outputs are the memory cells, and their partitions would have to agree.
    let best = if sizes.projection == 0 {
        given.clone()
    } else {
        search(&given, &layers, seed)
    };
    let blocks = layers.iter().enumerate().map(|(k, layer)| {
        let all: f64 = layer.energy.iter().flatten().map(|v| f64::from(*v)).sum();
        // A matrix of zeros loses nothing.
        let share = |kept: f64| if all > 0.0 { kept / all } else { 1.0 };
        BlockShare {
            layer: k,
            groups: layer.groups,
            kept: share(best.kept(k, layer)),
            kept_unordered: share(given.kept(k, layer)),
        }
    });
    let blocks = blocks.collect();
    let changed = permuted(model, &layers, &best, &weights)?;
    Ok((changed, blocks))
}

/// The squares of the gate weights `[I+P, 4H]` of every layer.
fn energies(model: &ModelConfig, groups: &[usize], weights: &[Cow<'_, [f32]>]) -> Vec<LayerEnergy> {
    let hidden = model.hidden;
    let axes = axes_of(model);
    let layer = |(k, weight): (usize, &Cow<'_, [f32]>)| {
        let energy: Vec<f32> = weight
            .chunks_exact(4 * hidden)
            .flat_map(|row| {
                let square = |cell: usize| (0..4).map(|q| row[q * hidden + cell].powi(2)).sum();
                (0..hidden).map(square).collect::<Vec<f32>>()
            })
            .collect();
        let (of_input, of_output) = energy.split_at(model.input_size(k) * hidden);
        LayerEnergy {
            groups: groups[k],
            hidden,
            axes: [axes[k], axes[k + 1]],
            energy: [of_input.to_vec(), of_output.to_vec()],
        }
    };
    weights.iter().enumerate().map(layer).collect()
}

/// The partitions of the given order. Every axis has as many parts as the groups of all its layers divide.
fn contiguous(model: &ModelConfig, layers: &[LayerEnergy]) -> Partitions {
    let count = layers.iter().flat_map(|layer| layer.axes).max();
    let count = count.map_or(0, |last| last + 1);
    let (mut parts, mut lens) = (vec![1; count], vec![0; count]);
    for (k, layer) in layers.iter().enumerate() {
        let sizes = [model.input_size(k), model.output_size()];
        for (axis, len) in layer.axes.into_iter().zip(sizes) {
            parts[axis] = least_common_multiple(parts[axis], layer.groups);
            lens[axis] = len;
        }
    }
    let axes = lens.iter().zip(&parts);
    let cells = layers.iter();
    Partitions {
        axes: axes
            .map(|(len, parts)| Partition::new(*len, *parts))
            .collect(),
        cells: cells
            .map(|layer| Partition::new(layer.hidden, layer.groups))
            .collect(),
    }
}
