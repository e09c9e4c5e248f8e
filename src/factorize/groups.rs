//! The gate matrix of a layer as blocks on its diagonal, one for each group. What is outside of them is lost; how much that is
//! depends on the order of the cells, of the numbers of the embedding and of those of each layer's output, and no result of
//! a dense model depends on that. So an order is looked for in which the blocks hold much: from the order that there is and from some
//! at random, two numbers of different groups change places as long as that brings something, cells and inputs by turns.

use serde::Serialize;

use super::{Changed, Model};
use crate::error::Result;
use crate::random::{Purpose, Stream};

/// Orders that the search starts from.
const STARTS: u64 = 6;

/// Rounds of a search at most; each brings more than the one before.
const ROUNDS: usize = 50;

/// What the blocks hold of the gate matrix of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Blocks {
    /// The layer.
    pub layer: usize,
    /// The groups, `G`.
    pub groups: usize,
    /// The part of the sum of squares that is kept.
    pub kept: f64,
    /// The part that would be kept in the order that there was.
    pub kept_unordered: f64,
}

/// A layer as the search sees it.
struct Layer {
    groups: usize,
    hidden: usize,
    /// The axes of its input and of its output.
    axes: [usize; 2],
    /// Squares of the weights `[I, H]` and `[P, H]`, those of the four gates of a cell added.
    energy: [Vec<f32>; 2],
}

/// An order that is looked for: each number is in one of so many equal parts.
#[derive(Clone)]
struct Axis {
    parts: usize,
    part: Vec<usize>,
}

impl Axis {
    fn new(len: usize, parts: usize) -> Axis {
        Axis {
            parts,
            part: (0..len).map(|k| k * parts / len).collect(),
        }
    }

    /// The group of a number for a layer of so many groups, each of which is of several parts.
    fn group(&self, k: usize, groups: usize) -> usize {
        self.part[k] * groups / self.parts
    }

    /// The numbers in their new order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.part.len()).collect();
        order.sort_by_key(|&k| self.part[k]);
        order
    }

    fn shuffle(&mut self, random: &mut Stream) {
        for k in (1..self.part.len()).rev() {
            let other = (random.uniform() * (k + 1) as f64) as usize;
            self.part.swap(k, other.min(k));
        }
    }

    /// Exchanges numbers of two parts as long as that brings something: `score [len, parts]`.
    fn improve(&mut self, score: &[f64]) -> f64 {
        let (parts, mut gained) = (self.parts, 0.0);
        let gain =
            |k: usize, from: usize, to: usize| score[k * parts + to] - score[k * parts + from];
        for _ in 0..8 {
            let before = gained;
            for one in 0..parts {
                for two in one + 1..parts {
                    let of = |from: usize, to: usize| {
                        let here = (0..self.part.len()).filter(|&k| self.part[k] == from);
                        let mut here: Vec<(f64, usize)> =
                            here.map(|k| (gain(k, from, to), k)).collect();
                        here.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
                        here
                    };
                    let (ones, twos) = (of(one, two), of(two, one));
                    for ((x, k), (y, l)) in ones.into_iter().zip(twos) {
                        if x + y <= 1e-12 {
                            break;
                        }
                        (self.part[k], self.part[l]) = (two, one);
                        gained += x + y;
                    }
                }
            }
            if gained == before {
                break;
            }
        }
        gained
    }
}

/// Everything that may be ordered: the axes of the embedding and the outputs, then the cells of each layer.
#[derive(Clone)]
struct Orders {
    axes: Vec<Axis>,
    cells: Vec<Axis>,
}

impl Orders {
    /// What the blocks of a layer hold.
    fn kept(&self, k: usize, layer: &Layer) -> f64 {
        let mut sum = 0.0;
        for (axis, energy) in layer.axes.iter().zip(&layer.energy) {
            for (row, values) in energy.chunks_exact(layer.hidden).enumerate() {
                let group = self.axes[*axis].group(row, layer.groups);
                let here = values.iter().enumerate();
                sum += here
                    .filter(|(cell, _)| self.cells[k].part[*cell] == group)
                    .map(|(_, value)| f64::from(*value))
                    .sum::<f64>();
            }
        }
        sum
    }

    fn all_kept(&self, layers: &[Layer]) -> f64 {
        let layers = layers.iter().enumerate();
        layers.map(|(k, layer)| self.kept(k, layer)).sum()
    }

    /// One round: the cells of every layer, then every axis.
    fn improve(&mut self, layers: &[Layer]) -> f64 {
        let mut gained = 0.0;
        for (k, layer) in layers.iter().enumerate() {
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
            gained += self.cells[k].improve(&score);
        }
        for at in 0..self.axes.len() {
            let parts = self.axes[at].parts;
            let mut score = vec![0.0; self.axes[at].part.len() * parts];
            for (k, layer) in layers.iter().enumerate() {
                for (axis, energy) in layer.axes.iter().zip(&layer.energy) {
                    if *axis != at {
                        continue;
                    }
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
            gained += self.axes[at].improve(&score);
        }
        gained
    }

    /// Rounds until nothing is gained.
    fn search(&mut self, layers: &[Layer]) {
        for _ in 0..ROUNDS {
            if self.improve(layers) <= 0.0 {
                break;
            }
        }
    }
}

fn greatest_divisor(x: usize, y: usize) -> usize {
    if y == 0 {
        x
    } else {
        greatest_divisor(y, x % y)
    }
}

/// The parameters of the model whose cells are in groups, so many in each layer, in a better order.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if a layer is not dense,
/// [`Kind::Data`](crate::error::Kind::Data) if the file lacks a parameter.
///
/// # Panics
///
/// If there is no number of groups for each layer, or a size of a layer cannot be divided by it: see [`Glstm`](crate::cell::Glstm).
pub fn factorize(model: &Model<'_>, groups: &[usize], seed: u64) -> Result<(Changed, Vec<Blocks>)> {
    model.check_dense()?;
    let config = model.config;
    let sizes = &config.model;
    assert_eq!(groups.len(), sizes.layers(), "one for each layer");
    let hidden = sizes.hidden;
    let weights = (0..sizes.layers())
        .map(|k| model.recurrent(&format!("layers.{k}.gates.weight")))
        .collect::<Result<Vec<_>>>()?;
    let axes = axes_of(model);
    let layers: Vec<Layer> = weights
        .iter()
        .enumerate()
        .map(|(k, weight)| {
            let energy: Vec<f32> = weight
                .chunks_exact(4 * hidden)
                .flat_map(|row| {
                    let square = |cell: usize| (0..4).map(|q| row[q * hidden + cell].powi(2)).sum();
                    (0..hidden).map(square).collect::<Vec<f32>>()
                })
                .collect();
            let (of_input, of_output) = energy.split_at(sizes.input_size(k) * hidden);
            Layer {
                groups: groups[k],
                hidden,
                axes: [axes[k], axes[k + 1]],
                energy: [of_input.to_vec(), of_output.to_vec()],
            }
        })
        .collect();
    // Every axis is cut as finely as one of its layers asks for.
    let mut parts = vec![1; axes.iter().max().map_or(0, |most| most + 1)];
    let mut lens = vec![0; parts.len()];
    for (k, layer) in layers.iter().enumerate() {
        let lengths = [sizes.input_size(k), sizes.output_size()];
        for (axis, len) in layer.axes.into_iter().zip(lengths) {
            let divisor = greatest_divisor(parts[axis], layer.groups);
            parts[axis] = parts[axis] / divisor * layer.groups;
            lens[axis] = len;
        }
    }
    let unordered = Orders {
        axes: lens
            .iter()
            .zip(&parts)
            .map(|(&len, &parts)| Axis::new(len, parts))
            .collect(),
        cells: layers
            .iter()
            .map(|layer| Axis::new(hidden, layer.groups))
            .collect(),
    };
    let best = match sizes.projection {
        // The outputs are the cells themselves, whose order here would have to be one with theirs there.
        0 => unordered.clone(),
        _ => search(&unordered, &layers, seed),
    };
    let blocks = layers.iter().enumerate().map(|(k, layer)| {
        let all: f64 = layer.energy.iter().flatten().map(|v| f64::from(*v)).sum();
        // Of nothing, nothing is lost.
        let share = |kept: f64| if all > 0.0 { kept / all } else { 1.0 };
        Blocks {
            layer: k,
            groups: layer.groups,
            kept: share(best.kept(k, layer)),
            kept_unordered: share(unordered.kept(k, layer)),
        }
    });
    let blocks = blocks.collect();
    let changed = reorder(model, &layers, &best, &weights)?;
    Ok((changed, blocks))
}

/// The best of several searches.
fn search(unordered: &Orders, layers: &[Layer], seed: u64) -> Orders {
    let mut best = unordered.clone();
    best.search(layers);
    for start in 1..STARTS {
        let mut random = Stream::new(seed, Purpose::Initialise, start);
        let mut other = unordered.clone();
        for axis in other.axes.iter_mut().chain(&mut other.cells) {
            axis.shuffle(&mut random);
        }
        other.search(layers);
        if other.all_kept(layers) > best.all_kept(layers) {
            best = other;
        }
    }
    best
}

/// The axis of the embedding, then of the output of each layer: one and the same where numbers of both are added or in one table.
fn axes_of(model: &Model<'_>) -> Vec<usize> {
    let sizes = &model.config.model;
    let mut axes: Vec<usize> = (0..=sizes.layers()).collect();
    let mut join = |x: usize, y: usize| {
        let (from, to) = (axes[x].max(axes[y]), axes[x].min(axes[y]));
        for axis in &mut axes {
            if *axis == from {
                *axis = to;
            }
        }
    };
    for k in 0..sizes.layers() {
        if sizes.residual && sizes.input_size(k) == sizes.output_size() {
            join(k, k + 1);
        }
    }
    if sizes.tied {
        join(0, sizes.layers());
    }
    // Without gaps.
    let mut numbers: Vec<usize> = axes.clone();
    numbers.sort_unstable();
    numbers.dedup();
    axes.iter()
        .map(|axis| numbers.binary_search(axis).expect("it is among them"))
        .collect()
}

/// The parameters in their new order, the gates in blocks.
fn reorder(
    model: &Model<'_>,
    layers: &[Layer],
    orders: &Orders,
    weights: &[std::borrow::Cow<'_, [f32]>],
) -> Result<Changed> {
    let sizes = &model.config.model;
    let (hidden, output) = (sizes.hidden, sizes.output_size());
    let axes: Vec<Vec<usize>> = orders.axes.iter().map(Axis::order).collect();
    let mut changed = Changed::new();
    let columns = |values: &[f32], order: &[usize]| -> Vec<f32> {
        let rows = values.chunks_exact(order.len());
        rows.flat_map(|row| order.iter().map(|&k| row[k])).collect()
    };
    let (first, last) = (layers[0].axes[0], layers[layers.len() - 1].axes[1]);
    let table = |name: &str| model.checkpoint.tensor_f32(name);
    let embedding = table("embedding.weight")?.1;
    changed.insert("embedding.weight".into(), columns(&embedding, &axes[first]));
    if !sizes.tied {
        let softmax = table("softmax.weight")?.1;
        changed.insert("softmax.weight".into(), columns(&softmax, &axes[last]));
    }
    for (k, (layer, weight)) in layers.iter().zip(weights).enumerate() {
        let cells = orders.cells[k].order();
        let (inputs, outputs) = (&axes[layer.axes[0]], &axes[layer.axes[1]]);
        let of = |len: usize| len / layer.groups;
        let mut blocks = Vec::with_capacity(weight.len() / layer.groups);
        for group in 0..layer.groups {
            let part = |order: &'_ [usize]| -> Vec<usize> {
                let len = of(order.len());
                order[group * len..(group + 1) * len].to_vec()
            };
            let (units, before) = (part(&cells), inputs.len());
            let rows = part(inputs).into_iter();
            let rows = rows.chain(part(outputs).into_iter().map(|row| before + row));
            for row in rows {
                let row = &weight[row * 4 * hidden..][..4 * hidden];
                for q in 0..4 {
                    blocks.extend(units.iter().map(|unit| row[q * hidden + unit]));
                }
            }
        }
        let name = |what: &str| format!("layers.{k}.{what}");
        changed.insert(name("gates.weight"), blocks);
        let bias = model.recurrent(&name("gates.bias"))?;
        changed.insert(name("gates.bias"), columns(&bias, &cells));
        if sizes.projection != 0 {
            let projection = model.recurrent(&name("projection.weight"))?;
            let rows = cells
                .iter()
                .flat_map(|cell| &projection[cell * output..][..output]);
            let rows: Vec<f32> = rows.copied().collect();
            changed.insert(name("projection.weight"), columns(&rows, outputs));
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer whose weights are in blocks once its numbers are in order.
    #[test]
    fn blocks_that_were_mixed_up_are_found() {
        let (hidden, len, groups) = (24, 12, 3);
        let mut random = Stream::new(7, Purpose::Initialise, 0);
        let mut hide = |len: usize| {
            let mut axis = Axis::new(len, groups);
            axis.shuffle(&mut random);
            axis.part
        };
        let (inputs, outputs, cells) = (hide(len), hide(len), hide(hidden));
        let energy = |rows: &[usize]| -> Vec<f32> {
            let row = |row: &usize| {
                let value = |cell: &usize| if cell == row { 1.0 } else { 0.01 };
                cells.iter().map(value).collect::<Vec<f32>>()
            };
            rows.iter().flat_map(row).collect()
        };
        let layers = [Layer {
            groups,
            hidden,
            axes: [0, 1],
            energy: [energy(&inputs), energy(&outputs)],
        }];
        let unordered = Orders {
            axes: vec![Axis::new(len, groups), Axis::new(len, groups)],
            cells: vec![Axis::new(hidden, groups)],
        };
        let all: f64 = layers[0]
            .energy
            .iter()
            .flatten()
            .map(|v| f64::from(*v))
            .sum();
        let best = search(&unordered, &layers, 1);
        assert!(unordered.kept(0, &layers[0]) / all < 0.6);
        assert!(best.kept(0, &layers[0]) / all > 0.98);
        for axis in best.axes.iter().chain(&best.cells) {
            let mut sizes = vec![0; groups];
            axis.part.iter().for_each(|part| sizes[*part] += 1);
            assert!(sizes.iter().all(|size| *size == axis.part.len() / groups));
        }
    }
}
