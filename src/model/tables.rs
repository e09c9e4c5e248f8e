//! The tables of a model whose tables are on the host: which tensors they are, and how many of their rows a device keeps.
//!
//! A training step touches few rows of a table, and the host knows which. The device has room for some rows, its *slots*; a plan
//! is made as if they were the whole table, with the numbers of slots for ids.

use super::language_model::Division;
use super::parameters::{Group, Parameter, parameters};
use crate::config::{Config, Recipe, Softmax, TablePlacement};
use crate::tensor::names;

/// Slots of a table without a number of its own, as a multiple of the rows that a step may touch: rows that are touched often
/// stay.
const SLOTS: usize = 4;

/// Rows of one kind: all tensors of a cache have the same slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The most distinct rows that a step touches.
    pub rows: usize,
    /// Rows that the device has room for, at least [`Cache::rows`].
    pub slots: usize,
}

/// The caches of a model with tables on the host: those of the embedding and of the softmax, or the one of the table of both. None
/// if the tables are on the device.
pub fn caches(config: &Config, vocabulary: usize, division: Division) -> Vec<Cache> {
    if config.model.tables == TablePlacement::Device {
        return Vec::new();
    }
    let words = division.parts() * config.train.batch * config.train.unroll;
    let samples = match (config.softmax, config.train.recipe) {
        // One set for each device: its micro-batches share it.
        (Softmax::Sampled { samples }, Recipe::Paper) => division.devices * samples,
        (Softmax::Sampled { samples }, Recipe::Plain) => samples,
        // Configurations are refused.
        (Softmax::Full, _) => vocabulary,
    };
    let touched = match config.model.tied {
        true => vec![samples + 2 * words],
        false => vec![words, samples + words],
    };
    let cache = |rows: usize| {
        let wanted = match config.device.table_rows {
            0 => SLOTS.saturating_mul(rows),
            wanted => wanted.max(rows),
        };
        Cache {
            rows: rows.min(vocabulary),
            slots: wanted.min(vocabulary),
        }
    };
    touched.into_iter().map(cache).collect()
}

/// The cache that a parameter is in, if it is in one.
pub fn cache_of(config: &Config, parameter: &Parameter) -> Option<usize> {
    match parameter.group {
        _ if config.model.tables == TablePlacement::Device => None,
        Group::Recurrent => None,
        Group::Embedding => Some(0),
        Group::Softmax => Some(usize::from(!config.model.tied)),
    }
}

/// A tensor whose rows travel: a parameter, or a state of its optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in files and executors.
    pub name: String,
    /// Elements of a row.
    pub width: usize,
    /// Its cache.
    pub cache: usize,
    /// Whether it is a parameter.
    pub is_parameter: bool,
}

/// The tensors whose rows travel, parameters before their states.
pub fn tensors(config: &Config, vocabulary: usize) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for line in parameters(config, vocabulary) {
        let Some(cache) = cache_of(config, &line) else {
            continue;
        };
        let width = line.shape.len() / vocabulary;
        let states = config.train.optimizer.states.iter();
        let states = states.map(|state| (names::optimizer_state(&line.name, state.name), false));
        let name = (line.name.clone(), true);
        let all = std::iter::once(name).chain(states);
        tensors.extend(all.map(|(name, is_parameter)| Tensor {
            name,
            width,
            cache,
            is_parameter,
        }));
    }
    tensors
}
