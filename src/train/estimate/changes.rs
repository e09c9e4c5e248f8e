//! Changes of the configuration that make a run fit.

use serde::Serialize;

use super::requirements::Estimate;
use super::spec::RunSpec;
use crate::config::{Config, Softmax, TablePlacement};
use crate::device::MemoryInfo;
use crate::graph::memory::Limits;

/// A change of the configuration that makes a run fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Overrides, as `--set` takes them.
    pub set: Vec<String>,
    /// The bytes that must then be free.
    pub bytes: u64,
}

/// Finds changes that make a run fit, by trying them: first changes that cost only time, then the largest batch
/// and the largest unroll that fit, then both kinds together if that allows a larger batch. One twentieth of the
/// memory is reserved for what is not counted. Empty if no change is sufficient.
///
/// `sharing` is the number of the run's devices that use the same memory.
pub fn changes(
    run: &RunSpec<'_>,
    sharing: usize,
    limits: &Limits,
    memory: &MemoryInfo,
) -> Vec<Change> {
    let memory = &MemoryInfo {
        bytes: memory.bytes.map(|bytes| bytes - bytes / 20),
        host: memory.host.map(|bytes| bytes - bytes / 20),
        ..*memory
    };
    let config = run.config;
    let fits = |config: &Config| {
        let run = RunSpec { config, ..*run };
        let estimate = Estimate::of(&run, limits, memory.model);
        let fits = estimate.fits(memory, sharing, run.topology) == Some(true);
        fits.then(|| estimate.need(memory, sharing, run.topology))
    };
    let largest_batch = |config: &Config| {
        largest_below(config.train.batch, |batch| {
            let mut changed = config.clone();
            changed.train.batch = batch;
            fits(&changed)
        })
    };
    let change = |set: Vec<String>, bytes: u64| Change { set, bytes };
    let mut found = Vec::new();
    let free = free_changes(config, memory);
    for (set, changed) in &free {
        if let Some(bytes) = fits(changed) {
            found.push(change(vec![set.clone()], bytes));
        }
    }
    let batch = largest_batch(config);
    if let Some((batch, bytes)) = batch {
        found.push(change(vec![format!("train.batch={batch}")], bytes));
    }
    let unroll = largest_below(config.train.unroll, |unroll| {
        let mut changed = config.clone();
        changed.train.unroll = unroll;
        fits(&changed)
    });
    if let Some((unroll, bytes)) = unroll {
        found.push(change(vec![format!("train.unroll={unroll}")], bytes));
    }
    for (set, changed) in &free {
        if found.iter().any(|change| change.set == [set.as_str()]) {
            continue;
        }
        if let Some((with, bytes)) = largest_batch(changed)
            && batch.is_none_or(|(without, _)| with > without)
        {
            let set = vec![set.clone(), format!("train.batch={with}")];
            found.push(change(set, bytes));
        }
    }
    found
}

/// Changes that cost only time: the override, and the configuration with it.
fn free_changes(config: &Config, memory: &MemoryInfo) -> Vec<(String, Config)> {
    let mut changes = Vec::new();
    let mut change = |set: &str, apply: &dyn Fn(&mut Config)| {
        let mut changed = config.clone();
        apply(&mut changed);
        if changed != *config {
            changes.push((set.to_owned(), changed));
        }
    };
    change("train.recompute=true", &|config| {
        config.train.recompute = true;
    });
    // No effect on devices that already use host memory.
    if !memory.is_host && config.softmax != Softmax::Full {
        let (set, tables) = match config.model.tables {
            TablePlacement::Device => ("model.tables=host", TablePlacement::Host),
            TablePlacement::Host => ("model.tables=device", TablePlacement::Device),
        };
        change(set, &|config| config.model.tables = tables);
    }
    changes
}

/// The largest number from 1 to `size - 1` that fits, with the bytes it requires. Smaller numbers require less memory.
fn largest_below(size: usize, mut fits: impl FnMut(usize) -> Option<u64>) -> Option<(usize, u64)> {
    let (mut low, mut high) = (1, size);
    let mut found = None;
    while low < high {
        let middle = low.midpoint(high);
        match fits(middle) {
            Some(bytes) => {
                found = Some((middle, bytes));
                low = middle + 1;
            }
            None => high = middle,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_found() {
        for most in 0..9 {
            let found = largest_below(9, |size| (size <= most).then_some(size as u64));
            assert_eq!(found, (most > 0).then_some((most, most as u64)));
        }
        assert_eq!(largest_below(1, |_| Some(1)), None);
    }
}
