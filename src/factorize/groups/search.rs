//! The search for the partition of memory cells and axes with which the blocks hold most.

use super::partition::Partition;
use crate::random::{Purpose, Stream};

/// Partitions that the search starts from: the given one, then random ones.
const STARTS: u64 = 6;

/// Largest number of rounds of a search. Each increases the share of the blocks.
const ROUNDS: usize = 50;

/// The squares of the gate weights of a layer.
pub struct LayerEnergy {
    /// The number of groups, `G`.
    pub groups: usize,
    /// The number of memory cells, `H`.
    pub hidden: usize,
    /// The axes of input and output.
    pub axes: [usize; 2],
    /// The squares `[I, H]` and `[P, H]`, those of the four gates of a memory cell added.
    pub energy: [Vec<f32>; 2],
}

/// Partitions of everything that can be permuted.
#[derive(Clone)]
pub struct Partitions {
    /// Of the axes of the embedding and the outputs.
    pub axes: Vec<Partition>,
    /// Of the memory cells of each layer.
    pub cells: Vec<Partition>,
}

impl Partitions {
    /// The sum of squares that the blocks of layer `k` hold.
    pub fn kept(&self, k: usize, layer: &LayerEnergy) -> f64 {
        let mut sum = 0.0;
        for (axis, energy) in layer.axes.iter().zip(&layer.energy) {
            for (row, values) in energy.chunks_exact(layer.hidden).enumerate() {
                let group = self.axes[*axis].group(row, layer.groups);
                let cells = values.iter().enumerate();
                sum += cells
                    .filter(|(cell, _)| self.cells[k].part[*cell] == group)
                    .map(|(_, value)| f64::from(*value))
                    .sum::<f64>();
            }
        }
        sum
    }

    /// The sum of squares that the blocks of all layers hold.
    fn all_kept(&self, layers: &[LayerEnergy]) -> f64 {
        let layers = layers.iter().enumerate();
        layers.map(|(k, layer)| self.kept(k, layer)).sum()
    }

    /// Improves the memory cells of every layer, then every axis. Returns the increase of the score.
    fn improve(&mut self, layers: &[LayerEnergy]) -> f64 {
        let mut gained = 0.0;
        for (k, layer) in layers.iter().enumerate() {
            let score = self.score_of_cells(layer);
            gained += self.cells[k].improve(&score);
        }
        for axis in 0..self.axes.len() {
            let score = self.score_of_axis(axis, layers);
            gained += self.axes[axis].improve(&score);
        }
        gained
    }

    /// What each memory cell of a layer contributes in each group: `[H, G]`.
    fn score_of_cells(&self, layer: &LayerEnergy) -> Vec<f64> {
        let groups = layer.groups;
        let mut score = vec![0.0; layer.hidden * groups];
        for (axis, energy) in layer.axes.iter().zip(&layer.energy) {
            for (row, values) in energy.chunks_exact(layer.hidden).enumerate() {
                let group = self.axes[*axis].group(row, groups);
                for (cell, value) in values.iter().enumerate() {
                    score[cell * groups + group] += f64::from(*value);
                }
            }
        }
        score
    }

    /// What each element of an axis contributes in each part: `[len, parts]`.
    fn score_of_axis(&self, axis: usize, layers: &[LayerEnergy]) -> Vec<f64> {
        let parts = self.axes[axis].parts;
        let mut score = vec![0.0; self.axes[axis].part.len() * parts];
        for (k, layer) in layers.iter().enumerate() {
            let sides = layer.axes.iter().zip(&layer.energy);
            for (_, energy) in sides.filter(|(of, _)| **of == axis) {
                for (row, values) in energy.chunks_exact(layer.hidden).enumerate() {
                    let mut sums = vec![0.0; layer.groups];
                    for (value, group) in values.iter().zip(&self.cells[k].part) {
                        sums[*group] += f64::from(*value);
                    }
                    for part in 0..parts {
                        score[row * parts + part] += sums[part * layer.groups / parts];
                    }
                }
            }
        }
        score
    }

    /// Improves until nothing is gained.
    fn search(&mut self, layers: &[LayerEnergy]) {
        for _ in 0..ROUNDS {
            if self.improve(layers) <= 0.0 {
                break;
            }
        }
    }
}

/// The best result of searches from `given` and from random partitions.
pub fn search(given: &Partitions, layers: &[LayerEnergy], seed: u64) -> Partitions {
    let mut best = given.clone();
    best.search(layers);
    for start in 1..STARTS {
        let mut random = Stream::new(seed, Purpose::Initialise, start);
        let mut other = given.clone();
        for partition in other.axes.iter_mut().chain(&mut other.cells) {
            partition.shuffle(&mut random);
        }
        other.search(layers);
        if other.all_kept(layers) > best.all_kept(layers) {
            best = other;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer whose weights are in blocks once its elements are in order.
    #[test]
    fn shuffled_blocks_are_found() {
        let (hidden, len, groups) = (24, 12, 3);
        let mut random = Stream::new(7, Purpose::Initialise, 0);
        let mut hide = |len: usize| {
            let mut partition = Partition::new(len, groups);
            partition.shuffle(&mut random);
            partition.part
        };
        let (inputs, outputs, cells) = (hide(len), hide(len), hide(hidden));
        let energy = |rows: &[usize]| -> Vec<f32> {
            let row = |row: &usize| {
                let value = |cell: &usize| if cell == row { 1.0 } else { 0.01 };
                cells.iter().map(value).collect::<Vec<f32>>()
            };
            rows.iter().flat_map(row).collect()
        };
        let layers = [LayerEnergy {
            groups,
            hidden,
            axes: [0, 1],
            energy: [energy(&inputs), energy(&outputs)],
        }];
        let given = Partitions {
            axes: vec![Partition::new(len, groups), Partition::new(len, groups)],
            cells: vec![Partition::new(hidden, groups)],
        };
        let all: f64 = layers[0]
            .energy
            .iter()
            .flatten()
            .map(|v| f64::from(*v))
            .sum();
        let best = search(&given, &layers, 1);
        assert!(given.kept(0, &layers[0]) / all < 0.6);
        assert!(best.kept(0, &layers[0]) / all > 0.98);
        for partition in best.axes.iter().chain(&best.cells) {
            let mut sizes = vec![0; groups];
            partition.part.iter().for_each(|part| sizes[*part] += 1);
            let size = partition.part.len() / groups;
            assert!(sizes.iter().all(|one| *one == size));
        }
    }
}
