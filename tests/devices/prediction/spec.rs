//! The description of a model and its training that both the program and the prediction follow.

use std::collections::BTreeMap;
use std::ops::Range;

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    Lstmp,
    Flstm(usize),
    Glstm(usize),
}

/// A model and how it is trained.
#[derive(Clone, Debug)]
pub struct Spec {
    pub cells: Vec<Cell>,
    pub embedding: usize,
    pub hidden: usize,
    /// Size of the projection; 0: no projection.
    pub projection: usize,
    pub residual: bool,
    pub tied: bool,
    pub forget_bias: f64,
    /// Candidates of the sampled softmax; `None`: the full softmax.
    pub samples: Option<usize>,
    /// Cutoffs of the adaptive softmax, with `divide = 2`. Empty: another softmax.
    pub cutoffs: Vec<usize>,
    pub contiguous: bool,
    pub batch: usize,
    /// Devices, each with `batch` streams.
    pub devices: usize,
    pub unroll: usize,
    pub optimizer: &'static str,
    pub learning_rate: f64,
    /// The default optimizer and learning rate of the tables, where these differ from those of the other parameters.
    pub tables: Option<(&'static str, f64)>,
    pub clip: f64,
    pub ema: f64,
    pub plain: bool,
    pub seed: u64,
    pub steps: usize,
}

/// Named tensors: shape and elements, row-major.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

impl Spec {
    /// The optimizer and the learning rate of a parameter.
    pub fn update_of(&self, name: &str) -> (&'static str, f64) {
        match self.tables {
            Some(tables) if !name.starts_with("layers.") => tables,
            _ => (self.optimizer, self.learning_rate),
        }
    }

    /// The words of a cluster of the adaptive softmax.
    pub fn cluster(&self, k: usize, vocabulary: usize) -> Range<usize> {
        self.cutoffs[k]..*self.cutoffs.get(k + 1).unwrap_or(&vocabulary)
    }

    /// Size of the output of a layer.
    pub fn output(&self) -> usize {
        if self.projection == 0 {
            self.hidden
        } else {
            self.projection
        }
    }

    /// Names and shapes of all parameters, as in files.
    pub fn shapes(&self, vocabulary: usize) -> Vec<(String, Vec<usize>)> {
        let (hidden, output) = (self.hidden, self.output());
        let mut shapes = vec![("embedding.weight".into(), vec![vocabulary, self.embedding])];
        for (k, cell) in self.cells.iter().enumerate() {
            let rows = output + if k == 0 { self.embedding } else { output };
            let gates = format!("layers.{k}.gates");
            match *cell {
                Cell::Lstmp => shapes.push((format!("{gates}.weight"), vec![rows, 4 * hidden])),
                Cell::Flstm(r) => {
                    shapes.push((format!("{gates}.factor_in"), vec![rows, r]));
                    shapes.push((format!("{gates}.factor_out"), vec![r, 4 * hidden]));
                }
                Cell::Glstm(g) => {
                    let shape = vec![g, rows / g, 4 * hidden / g];
                    shapes.push((format!("{gates}.weight"), shape));
                }
            }
            shapes.push((format!("{gates}.bias"), vec![4 * hidden]));
            if self.projection > 0 {
                let shape = vec![hidden, output];
                shapes.push((format!("layers.{k}.projection.weight"), shape));
            }
        }
        if !self.cutoffs.is_empty() {
            let entries = self.cutoffs[0] + self.cutoffs.len();
            shapes.push(("softmax.head.weight".into(), vec![entries, output]));
            shapes.push(("softmax.head.bias".into(), vec![entries]));
            for k in 0..self.cutoffs.len() {
                let words = self.cluster(k, vocabulary).len();
                let (tail, width) = (format!("softmax.tails.{k}"), output >> (k + 1));
                shapes.push((format!("{tail}.projection"), vec![output, width]));
                shapes.push((format!("{tail}.weight"), vec![words, width]));
            }
            return shapes;
        }
        if !self.tied {
            shapes.push(("softmax.weight".into(), vec![vocabulary, output]));
        }
        shapes.push(("softmax.bias".into(), vec![vocabulary]));
        shapes
    }
}
