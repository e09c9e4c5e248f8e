//! The time of each kernel in a training step.

use std::collections::HashMap;

use serde::Serialize;

use super::floor::{Floor, group};
use super::median;
use super::peaks::Peaks;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::tensor::names;
use crate::train::prepare::StepInputs;
use crate::train::session::TrainingSession;

/// Profiled steps; the time of a dispatch is the median over them.
const PROFILES: usize = 3;

/// The time of a step, by kernel.
#[derive(Clone, Debug, Serialize)]
pub struct StepProfile {
    /// What measured the time: the device or the host.
    pub clock: &'static str,
    /// The peaks of the device.
    pub peaks: Peaks,
    /// The time of all kernels together in seconds.
    pub seconds: f64,
    /// The floor of the step: the sum over the groups.
    pub floor_seconds: f64,
    /// The parts of the step, longest first.
    pub groups: Vec<GroupShare>,
    /// The kernels, longest first.
    pub kernels: Vec<KernelShare>,
}

/// A part of a step: kernels that do one task together, such as the products with the recurrent weights and the cells.
#[derive(Clone, Debug, Serialize)]
pub struct GroupShare {
    /// What they compute.
    pub group: &'static str,
    /// The time of all of them in seconds.
    pub seconds: f64,
    /// Their floor: the time of their FLOPs at the arithmetic peak (of matrix units, where the operands are `f16`), or of their
    /// bytes at the memory peak, whichever is longer.
    pub floor_seconds: f64,
    /// The time over the floor.
    pub times_floor: f64,
}

/// The share of one kernel in a step.
#[derive(Clone, Debug, Serialize)]
pub struct KernelShare {
    /// The name of the kernel, in the form that ran.
    pub kernel: &'static str,
    /// What it computes: the label of its steps without time step and layer.
    pub purpose: String,
    /// Its dispatches.
    pub calls: usize,
    /// The time of all of them in seconds.
    pub seconds: f64,
    /// The share of the time of all kernels.
    pub share: f64,
    /// FLOPs of matrix products per second; 0 for other kernels.
    pub flops_per_second: f64,
    /// Bytes per second, each element counted once per dispatch.
    pub bytes_per_second: f64,
    /// See [`Peaks::share`].
    pub share_of_peak: f64,
    /// The floor of these dispatches, see [`GroupShare::floor_seconds`]; 0 if they only add up the pieces of a product.
    pub floor_seconds: f64,
    /// The time over the floor. `None` without a floor.
    pub times_floor: Option<f64>,
}

/// The dispatches of one kernel for one purpose.
struct Dispatches {
    kernel: &'static Kernel,
    purpose: String,
    calls: usize,
    seconds: f64,
    flops: u64,
    bytes: u64,
    floor: Floor,
}

/// Profiles a few steps whose inputs `next` supplies.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
pub(super) fn profile(
    session: &mut TrainingSession,
    next: &mut dyn FnMut() -> Result<StepInputs>,
    peaks: Peaks,
) -> Result<StepProfile> {
    let mut profiles = Vec::with_capacity(PROFILES);
    for _ in 0..PROFILES {
        profiles.push(session.profile(next()?)?);
    }
    let clock = profiles[0].clock.describe();
    let plan = session.training_plan();
    let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
    let mut found: Vec<Dispatches> = Vec::new();
    let mut groups: Vec<(&'static str, f64, Floor)> = Vec::new();
    for (k, step) in plan.steps.iter().enumerate() {
        let skipped = profiles.iter().filter(|profile| profile.skipped[k]);
        if 2 * skipped.count() > profiles.len() {
            continue;
        }
        let mut times: Vec<f64> = profiles.iter().map(|profile| profile.seconds[k]).collect();
        let kernel = profiles[0].kernels[k];
        let purpose = purpose(&step.label);
        let place = *places
            .entry((kernel.name, purpose.clone()))
            .or_insert_with(|| {
                found.push(Dispatches {
                    kernel,
                    purpose,
                    calls: 0,
                    seconds: 0.0,
                    flops: 0,
                    bytes: 0,
                    floor: Floor::default(),
                });
                found.len() - 1
            });
        let lens = step.slices.iter().map(|slice| slice.len);
        let work = step.kernel.cost(&step.params, lens, plan.halves(step));
        let dispatches = &mut found[place];
        let seconds = median(&mut times);
        let floor = Floor::of(plan, step, kernel, &peaks);
        dispatches.calls += 1;
        dispatches.seconds += seconds;
        dispatches.floor.add(floor);
        dispatches.flops += work.flops;
        dispatches.bytes += work.bytes;
        let name = group(&dispatches.purpose);
        match groups.iter_mut().find(|(group, ..)| *group == name) {
            Some((_, all, floors)) => {
                *all += seconds;
                floors.add(floor);
            }
            None => groups.push((name, seconds, floor)),
        }
    }
    let seconds: f64 = found.iter().map(|dispatches| dispatches.seconds).sum();
    let share = |dispatches: Dispatches| {
        let flops_per_second = dispatches.flops as f64 / dispatches.seconds;
        let bytes_per_second = dispatches.bytes as f64 / dispatches.seconds;
        KernelShare {
            kernel: dispatches.kernel.name,
            purpose: dispatches.purpose,
            calls: dispatches.calls,
            seconds: dispatches.seconds,
            share: dispatches.seconds / seconds,
            flops_per_second,
            bytes_per_second,
            share_of_peak: peaks.share(dispatches.kernel, flops_per_second, bytes_per_second),
            floor_seconds: dispatches.floor.seconds(),
            times_floor: times_floor(dispatches.seconds, dispatches.floor.seconds()),
        }
    };
    let mut kernels: Vec<KernelShare> = found.into_iter().map(share).collect();
    kernels.sort_by(|x, y| y.seconds.total_cmp(&x.seconds));
    let share = |(group, seconds, floor): (&'static str, f64, Floor)| GroupShare {
        group,
        seconds,
        floor_seconds: floor.seconds(),
        times_floor: seconds / floor.seconds(),
    };
    let mut groups: Vec<GroupShare> = groups.into_iter().map(share).collect();
    groups.sort_by(|x, y| y.seconds.total_cmp(&x.seconds));
    Ok(StepProfile {
        clock,
        peaks,
        seconds,
        floor_seconds: groups.iter().map(|group| group.floor_seconds).sum(),
        groups,
        kernels,
    })
}

/// A time over its floor, if there is one.
fn times_floor(seconds: f64, floor: f64) -> Option<f64> {
    (floor > 0.0).then_some(seconds / floor)
}

/// A label without layer and time step: `layers.1 cell t=3` and `layers.0 cell t=7` are both `cell`.
pub(super) fn purpose(label: &str) -> String {
    let kept: Vec<&str> = label
        .split(' ')
        .filter(|part| names::layer_of(part).is_none() && !part.starts_with("t="))
        .collect();
    if kept.is_empty() {
        label.to_owned()
    } else {
        kept.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::purpose;

    #[test]
    fn purpose_drops_layer_and_time_step() {
        assert_eq!(purpose("layers.1 cell gradient t=3"), "cell gradient");
        assert_eq!(purpose("softmax backward"), "softmax backward");
        assert_eq!(purpose("update layers.0.gates.weight"), "update");
    }
}
