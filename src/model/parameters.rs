//! The table of parameters. Everything that names, shapes, initialises, groups, saves or loads a parameter reads it.
//!
//! Names and shapes are those of files, with the gates in four blocks i, j, f, o. On devices the gates are interleaved per unit;
//! [`ColumnLayout`] converts between the two.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::clusters::Clusters;
use crate::cell::ColumnLayout;
use crate::config::Config;
use crate::kernels::optimizer::Optimizer;
use crate::random::{Purpose, philox4x32};
use crate::tensor::{Shape, names};

/// How the optimizer treats a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Gates, biases, projections: dense gradients, clipped together; the moving average includes them.
    Recurrent,
    /// The embedding table.
    Embedding,
    /// Softmax weights and bias.
    Softmax,
}

/// The initial values of a parameter (Glorot and Bengio 2010 for matrices).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// All zero.
    Zero,
    /// `U(-limit, limit)`.
    Uniform {
        /// The largest absolute value.
        limit: f64,
    },
}

/// A parameter: a line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// The name in files and executors.
    pub name: String,
    /// The shape in files.
    pub shape: Shape,
    /// Its initial values.
    pub initialiser: Initialiser,
    /// How the optimizer treats it.
    pub group: Group,
    /// The order of its columns on devices.
    pub layout: ColumnLayout,
}

impl ParameterSpec {
    /// Whether there is a moving average of this parameter.
    pub fn is_averaged(&self, config: &Config) -> bool {
        self.group.is_averaged(config)
    }

    /// The names of its optimizer state, each tensor of which has the shape of the parameter.
    pub fn optimizer_states(&self, config: &Config) -> Vec<String> {
        let states = self.group.optimizer(config).states.iter();
        states
            .map(|state| names::optimizer_state(&self.name, state.name))
            .collect()
    }

    /// Rows and width of the parameter as a matrix: all extents but the last, and the last.
    pub fn matrix(&self) -> (usize, usize) {
        let width = self.shape.0.last().copied().unwrap_or(1);
        (self.shape.len() / width, width)
    }
}

impl Group {
    /// The optimizer of the parameters of this group.
    pub fn optimizer(self, config: &Config) -> &'static Optimizer {
        match self {
            Group::Recurrent => config.train.optimizer,
            Group::Embedding | Group::Softmax => config.train.tables.optimizer,
        }
    }

    /// Whether there are moving averages of the parameters of this group.
    pub fn is_averaged(self, config: &Config) -> bool {
        config.train.ema > 0.0 && self == Group::Recurrent
    }
}

/// The parameters of a model with `vocabulary` words, in the order of its computation.
pub fn parameters(config: &Config, vocabulary: usize) -> Vec<ParameterSpec> {
    let model = &config.model;
    let (hidden, output) = (model.hidden, model.output_size());
    let mut table = Vec::new();
    let mut add = |name: String, shape: Shape, limit: f64, group, layout| {
        let limit = if config.train.init_range > 0.0 {
            config.train.init_range
        } else {
            limit
        };
        let initialiser = if limit > 0.0 {
            Initialiser::Uniform { limit }
        } else {
            Initialiser::Zero
        };
        table.push(ParameterSpec {
            name,
            shape,
            initialiser,
            group,
            layout,
        });
    };
    // Of the last two extents: for a grouped cell, the matrix of one group.
    let glorot = |shape: &Shape| {
        let fans: usize = shape.0.iter().rev().take(2).sum();
        (6.0 / fans as f64).sqrt()
    };
    // The paper's code keeps each table in 8 shards and initialises by the rows of one.
    let table_limit = (3.0 / vocabulary.div_ceil(8) as f64).sqrt();

    let shape = [vocabulary, model.embedding];
    add(
        names::EMBEDDING.into(),
        shape.into(),
        table_limit,
        Group::Embedding,
        ColumnLayout::Plain,
    );
    for (k, cell) in model.cells.iter().enumerate() {
        let recurrent = Group::Recurrent;
        for parameter in cell.parameters(&model.sizes(k)) {
            let limit = glorot(&parameter.shape);
            let name = names::gate(k, parameter.name);
            add(name, parameter.shape, limit, recurrent, parameter.layout);
        }
        add(
            names::gate_bias(k),
            [4 * hidden].into(),
            0.0,
            recurrent,
            ColumnLayout::Interleaved { units: hidden },
        );
        if model.projection != 0 {
            let shape = Shape::from([hidden, output]);
            let limit = glorot(&shape);
            add(
                names::projection(k),
                shape,
                limit,
                recurrent,
                ColumnLayout::Plain,
            );
        }
    }
    if let Some(clusters) = Clusters::of(config, vocabulary) {
        let (softmax, plain) = (Group::Softmax, ColumnLayout::Plain);
        let head = [clusters.entries(), output];
        add(
            names::HEAD_WEIGHT.into(),
            head.into(),
            table_limit,
            softmax,
            plain,
        );
        add(
            names::HEAD_BIAS.into(),
            [head[0]].into(),
            0.0,
            softmax,
            plain,
        );
        for (k, tail) in clusters.tails.iter().enumerate() {
            let shape = Shape::from([output, tail.width]);
            let limit = glorot(&shape);
            add(names::tail_projection(k), shape, limit, softmax, plain);
            let shape = [tail.ids.len(), tail.width];
            add(
                names::tail_weight(k),
                shape.into(),
                table_limit,
                softmax,
                plain,
            );
        }
        return table;
    }
    if !model.tied {
        let shape = [vocabulary, output];
        add(
            names::SOFTMAX_WEIGHT.into(),
            shape.into(),
            table_limit,
            Group::Softmax,
            ColumnLayout::Plain,
        );
    }
    add(
        names::SOFTMAX_BIAS.into(),
        [vocabulary].into(),
        0.0,
        Group::Softmax,
        ColumnLayout::Plain,
    );
    table
}

/// The initial values of the parameter at `index` of the table, in the layout of files.
pub fn initial_values(parameter: &ParameterSpec, index: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; parameter.shape.len()];
    fill_initial_values(parameter, index, seed, 0, &mut values);
    values
}

/// The initial values from element `start` on, as many as `values` holds. Tables are too large to initialise at once.
pub fn fill_initial_values(
    parameter: &ParameterSpec,
    index: usize,
    seed: u64,
    start: usize,
    values: &mut [f32],
) {
    let Initialiser::Uniform { limit } = parameter.initialiser else {
        values.fill(0.0);
        return;
    };
    let key = [seed as u32, (seed >> 32) as u32];
    // Four elements share the random words of one counter.
    let of_block = |at: usize, out: &mut [f32]| {
        let block = at / 4;
        let counter = [
            block as u32,
            Purpose::Initialise as u32,
            index as u32,
            (block >> 32) as u32,
        ];
        let words = &philox4x32(counter, key)[at % 4..];
        for (value, word) in out.iter_mut().zip(words) {
            // The centre of one of 2^24 equal parts of (-limit, limit): exact in f32, and symmetric.
            let unit = (f64::from(word >> 8) + 0.5) / f64::from(1 << 23) - 1.0;
            *value = (limit * unit) as f32;
        }
    };
    const TASK: usize = 1 << 14;
    let before = (start.next_multiple_of(4) - start).min(values.len());
    let (first, rest) = values.split_at_mut(before);
    of_block(start, first);
    rest.par_chunks_mut(TASK)
        .enumerate()
        .for_each(|(task, out)| {
            for (k, block) in out.chunks_mut(4).enumerate() {
                of_block(start + before + task * TASK + 4 * k, block);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_fill_their_range_evenly() {
        let parameter = ParameterSpec {
            name: "x".into(),
            shape: [300, 301].into(),
            initialiser: Initialiser::Uniform { limit: 0.5 },
            group: Group::Recurrent,
            layout: ColumnLayout::Plain,
        };
        let values = initial_values(&parameter, 3, 1);
        assert!(values.iter().all(|value| value.abs() < 0.5));
        let mean: f64 =
            values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.005, "mean {mean}");
        let square: f64 = values
            .iter()
            .map(|value| f64::from(*value).powi(2))
            .sum::<f64>()
            / values.len() as f64;
        assert!(
            (square - 0.25 / 3.0).abs() < 0.002,
            "second moment {square}"
        );
        for (start, len) in [(0, 7), (1, 2), (3, 40_000), (20_002, 1), (90_298, 2)] {
            let mut part = vec![0.0; len];
            fill_initial_values(&parameter, 3, 1, start, &mut part);
            assert_eq!(part, values[start..start + len], "{start}+{len}");
        }
        assert_ne!(values, initial_values(&parameter, 4, 1));
        assert_eq!(values, initial_values(&parameter, 3, 1));
    }
}
