//! Tables on the host: which tensors of a model they are, and how many of their rows a device keeps.
//!
//! A training step uses few rows of a table, and the host knows which ones. The device caches some rows in *slots*. For plans,
//! the slots are the whole table, and slot numbers are the ids.

use super::language_model::Division;
use super::parameters::{Group, ParameterSpec, parameters};
use crate::config::{Config, Recipe, Softmax, TablePlacement};
use crate::tensor::names;

/// The default number of slots, as a multiple of the rows that a step may use, so that frequently used rows stay
/// cached.
const SLOTS: usize = 4;

/// The rows that a device caches of a table. The tensors of a table (weights, bias, optimizer states) have the same slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The maximum number of distinct rows that a step uses.
    pub rows: usize,
    /// The number of slots, at least [`Cache::rows`].
    pub slots: usize,
}

/// The caches of a model with tables on the host: one for the embedding and one for the softmax, or one for a tied table. An
/// adaptive softmax has none, because it is small and a step uses every row of its head. No cache if the tables are on the device.
pub fn caches(config: &Config, vocabulary: usize, division: Division) -> Vec<Cache> {
    if config.model.tables == TablePlacement::Device {
        return Vec::new();
    }
    let words = division.parts() * config.train.batch * config.train.unroll;
    let samples = match (&config.softmax, config.train.recipe) {
        // One set for each device: its micro-batches share it.
        (Softmax::Sampled { samples }, Recipe::Paper) => division.devices * samples,
        (Softmax::Sampled { samples }, Recipe::Plain) => *samples,
        // The configuration refuses this.
        (Softmax::Full, _) => vocabulary,
        // It is on the device.
        (Softmax::Adaptive(_), _) => 0,
    };
    let used = if config.model.tied {
        vec![samples + 2 * words]
    } else if config.softmax.adaptive().is_some() {
        vec![words]
    } else {
        vec![words, samples + words]
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
    used.into_iter().map(cache).collect()
}

/// The cache of a parameter, for a parameter that has one.
pub fn cache_of(config: &Config, parameter: &ParameterSpec) -> Option<usize> {
    match parameter.group {
        _ if config.model.tables == TablePlacement::Device => None,
        Group::Recurrent => None,
        Group::Softmax if config.softmax.adaptive().is_some() => None,
        Group::Embedding => Some(0),
        Group::Softmax => Some(usize::from(!config.model.tied)),
    }
}

/// A tensor on the host whose rows a device caches: a parameter, or a state of its optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct TableTensor {
    /// Its name in files and executors.
    pub name: String,
    /// Elements of a row.
    pub width: usize,
    /// The number of its cache.
    pub cache: usize,
    /// Whether it is a parameter.
    pub is_parameter: bool,
}

/// The tensors on the host, each parameter before its states.
pub fn tensors(config: &Config, vocabulary: usize) -> Vec<TableTensor> {
    let mut tensors = Vec::new();
    for line in parameters(config, vocabulary) {
        let Some(cache) = cache_of(config, &line) else {
            continue;
        };
        let width = line.shape.len() / vocabulary;
        let states = line.group.optimizer(config).states.iter();
        let states = states.map(|state| (names::optimizer_state(&line.name, state.name), false));
        let name = (line.name.clone(), true);
        let all = std::iter::once(name).chain(states);
        tensors.extend(all.map(|(name, is_parameter)| TableTensor {
            name,
            width,
            cache,
            is_parameter,
        }));
    }
    tensors
}
