//! Refuses a run that does not fit, before it allocates anything.

use super::changes::{Change, changes};
use super::device::DeviceBytes;
use super::requirements::Estimate;
use super::spec::RunSpec;
use crate::device::{Executor, MemoryInfo};
use crate::error::{Error, Result};
use crate::numbers::bytes;
use crate::train::plans::RunPlans;

/// Refuses a run that cannot fit on the devices of this process, where their memory is known. `plans` are those of each device.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device), with the changes that would make the run fit.
pub fn check(run: &RunSpec<'_>, executors: &[Box<dyn Executor>], plans: &[RunPlans]) -> Result<()> {
    let memories: Vec<MemoryInfo> = executors
        .iter()
        .map(|executor| executor.memory_info())
        .collect();
    for ((executor, plans), memory) in executors.iter().zip(plans).zip(&memories) {
        let limits = executor.limits();
        let same_memory = |other: &&MemoryInfo| {
            if memory.is_host {
                other.is_host
            } else {
                other.adapter == memory.adapter
            }
        };
        let sharing = memories.iter().filter(same_memory).count();
        let estimate = Estimate::of_plans(plans, run, &limits, memory.model);
        tracing::debug!(
            device = estimate.device.total,
            host = estimate.host.total,
            available = memory.bytes,
            "estimate"
        );
        // A tensor that cannot be bound is reported when its plan is loaded.
        if estimate.refusal.is_some() || estimate.fits(memory, sharing, run.topology) != Some(false)
        {
            continue;
        }
        let what = shortage(&estimate, memory, sharing, run);
        let changes = changes(run, sharing, &limits, memory);
        return Err(
            Error::device(format!("out of memory: this run needs {what}"))
                .help(advice(&estimate.device, &changes)),
        );
    }
    Ok(())
}

/// The required and the available bytes, where they are not enough.
fn shortage(estimate: &Estimate, memory: &MemoryInfo, sharing: usize, run: &RunSpec<'_>) -> String {
    let need = estimate.need(memory, sharing, run.topology);
    if let Some(available) = memory.bytes.filter(|available| need > *available) {
        let how = if memory.is_host {
            "are free"
        } else {
            "are available"
        };
        return format!("{}, and {} {how}", bytes(need), bytes(available));
    }
    format!(
        "{} of host memory, and {} are free",
        bytes(estimate.need_of_host(memory, run.topology)),
        bytes(memory.host.unwrap_or(0))
    )
}

/// What to change, as the help of an error.
fn advice(device: &DeviceBytes, changes: &[Change]) -> String {
    if changes.is_empty() {
        return format!(
            "make the model or its vocabulary smaller, or use fewer devices or processes: no batch and no unroll is small enough, as \
             parameters and optimizer state take {} on each device",
            bytes(device.parameters + device.optimizer + device.moving_average)
        );
    }
    let one = |change: &Change| {
        let sets = change.set.iter().map(|set| format!("--set {set}"));
        let sets: Vec<String> = sets.collect();
        format!("`{}` ({})", sets.join(" "), bytes(change.bytes))
    };
    let all: Vec<String> = changes.iter().map(one).collect();
    format!("one of these settings makes it fit: {}", all.join(", "))
}
