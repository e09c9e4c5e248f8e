//! What a training run takes: memory of its device and of the host, dispatches, bytes between devices. Told from the plans
//! that the run will load, before anything is made.
//!
//! A run holds up to three plans: training, validation where there is text for it, and the sample at its end. What a device
//! takes for them is counted by [`Footprint`], by the rules that executors follow; what the host takes beside is counted here.
//! Not counted are the program itself, what drivers and compilers of shaders take for themselves, and the text, which is mapped
//! and whose pages the system takes back when it needs them.

use serde::Serialize;

use super::evaluate::extent;
use super::session::STREAM;
use crate::config::{Config, Precision};
use crate::device::{Footprint, Room, Taking, bytes};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::{Place, Plan};
use crate::graph::split::oversized;
use crate::model::language_model;
use crate::tensor::Dtype;
use crate::train::update::training_plan;

/// Prepared batches that are alive at once: those that wait, one in the making, one that waits to be sent, one in its step.
const BATCHES: u64 = 6;
/// Bytes of a word in a vocabulary: its letters, where they end, its count, its place in the table.
const BYTES_OF_WORD: u64 = 40;
/// Bytes of a word in the text of a vocabulary, which a checkpoint holds.
const BYTES_OF_LINE: u64 = 16;
/// Bytes of a word while a sample is drawn: its logit as it comes from the device and as it is kept, and its place in the order.
const BYTES_OF_LOGIT: u64 = 8 + 8 + 16;

/// The plans of a run, in the order in which it loads them.
pub struct Plans {
    /// Of a training step.
    pub training: Plan,
    /// Of a batch of validation, where there is text for it.
    pub evaluation: Option<Plan>,
    /// Of a word of the sample.
    pub generation: Plan,
}

impl Plans {
    /// Those of a run of `config` with `vocabulary` words, on a device with these limits.
    pub fn of(config: &Config, vocabulary: usize, limits: &Limits) -> Plans {
        let limits = &limits.binding_at_most(config.device.max_binding);
        let prefix = language_model::evaluation_prefix(config);
        let evaluation =
            |extent| language_model::evaluation(config, vocabulary, extent, prefix, limits);
        Plans {
            training: training_plan(config, vocabulary, limits, false),
            evaluation: (!config.data.valid.is_empty()).then(|| evaluation(extent(config))),
            generation: language_model::logits(config, vocabulary, 1, prefix, limits),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        let first = std::iter::once(&self.training).chain(&self.evaluation);
        first.chain(std::iter::once(&self.generation))
    }
}

/// Bytes of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceBytes {
    /// Parameters.
    pub parameters: u64,
    /// State of the optimizer.
    pub optimizer: u64,
    /// Moving average of parameters.
    pub moving_average: u64,
    /// Recurrent states, those of training, of validation and of the sample.
    pub state: u64,
    /// All arenas: activations and gradients, which live within a step and share memory with those of the other plans.
    pub activations: u64,
    /// Each arena.
    pub arenas: Vec<u64>,
    /// What the host writes and reads.
    pub inputs_and_outputs: u64,
    /// The sizes and places that steps are given.
    pub params: u64,
    /// All of it.
    pub total: u64,
}

impl DeviceBytes {
    fn of(footprint: &Footprint) -> DeviceBytes {
        let mut found = DeviceBytes {
            parameters: 0,
            optimizer: 0,
            moving_average: 0,
            state: 0,
            activations: footprint.arenas.iter().sum(),
            arenas: footprint.arenas.clone(),
            inputs_and_outputs: footprint.inputs + footprint.outputs,
            params: footprint.params,
            total: footprint.total(),
        };
        for (name, bytes) in &footprint.persistent {
            *match name {
                name if name.starts_with("optimizer.") => &mut found.optimizer,
                name if name.starts_with("ema.") => &mut found.moving_average,
                name if name.contains("state.layers.") => &mut found.state,
                _ => &mut found.parameters,
            } += bytes;
        }
        found
    }
}

/// Bytes of the host beside those of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostBytes {
    /// The words.
    pub vocabulary: u64,
    /// Batches that wait.
    pub batches: u64,
    /// Copies of inputs and outputs on their way.
    pub staging: u64,
    /// What kernels and drivers work in.
    pub work: u64,
    /// What parameters pass through on their way to and from files, with the vocabulary in a checkpoint, or logits in a sample: the
    /// most at once.
    pub transfer: u64,
    /// All of it.
    pub total: u64,
}

impl HostBytes {
    fn of(plans: &Plans, vocabulary: usize, footprint: &Footprint) -> HostBytes {
        let words = vocabulary as u64;
        let batch = |plan: &Plan| -> u64 {
            let inputs = plan
                .tensors
                .iter()
                .filter(|info| info.place == Place::Input);
            let bytes = inputs.map(|info| match info.dtype {
                // Reals come as `f64`.
                Dtype::Real | Dtype::Half => 8 * info.shape.len() as u64,
                Dtype::Index => 4 * info.shape.len() as u64,
            });
            bytes.sum()
        };
        let batches =
            BATCHES * (batch(&plans.training) + plans.evaluation.as_ref().map_or(0, batch));
        // Rows of a tensor on their way between a device and a file or a random number.
        let largest = footprint.persistent.iter().map(|(_, bytes)| *bytes).max();
        let rows = (4 * STREAM as u64).min(largest.unwrap_or(0));
        let checkpoint = rows + BYTES_OF_LINE * words;
        let found = HostBytes {
            vocabulary: BYTES_OF_WORD * words,
            batches,
            staging: footprint.staging,
            work: footprint.work,
            transfer: checkpoint.max(BYTES_OF_LOGIT * words),
            total: 0,
        };
        let parts = [
            found.vocabulary,
            found.batches,
            found.staging,
            found.work,
            found.transfer,
        ];
        HostBytes {
            total: parts.iter().sum(),
            ..found
        }
    }
}

/// What a run takes on a device of some kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Of the device.
    #[serde(rename = "bytes")]
    pub device: DeviceBytes,
    /// Of the host beside; for a device that lives in the memory of the host both are there.
    #[serde(rename = "host_bytes")]
    pub host: HostBytes,
    /// Dispatches of a training step.
    pub dispatches_per_step: usize,
    /// Of a batch of validation.
    pub dispatches_per_evaluation_batch: Option<usize>,
    /// Why the device cannot run the plans, however much memory it has.
    pub refusal: Option<String>,
}

impl Estimate {
    /// Of a run of `config` with `vocabulary` words on a device with these limits.
    pub fn of(config: &Config, vocabulary: usize, limits: &Limits, taking: Taking) -> Estimate {
        let plans = Plans::of(config, vocabulary, limits);
        Estimate::of_plans(&plans, config, vocabulary, limits, taking)
    }

    /// The same of plans that are there.
    pub fn of_plans(
        plans: &Plans,
        config: &Config,
        vocabulary: usize,
        limits: &Limits,
        taking: Taking,
    ) -> Estimate {
        let footprint = Footprint::of(plans.iter(), taking);
        let limits = limits.binding_at_most(config.device.max_binding);
        let oversized = plans.iter().find_map(|plan| oversized(plan, &limits));
        let refusal = oversized.map(|(step, binding, tensor)| {
            let most = bytes(4 * limits.slice as u64);
            format!(
                "`{}` {} cannot be cut to bindings of {most} for `{binding}` of {} ({})",
                tensor.name, tensor.shape, step.kernel.name, step.label
            )
        });
        Estimate {
            device: DeviceBytes::of(&footprint),
            host: HostBytes::of(plans, vocabulary, &footprint),
            dispatches_per_step: plans.training.steps.len(),
            dispatches_per_evaluation_batch: plans.evaluation.as_ref().map(|plan| plan.steps.len()),
            refusal,
        }
    }

    /// What must be free where the device has its memory.
    pub fn need(&self, room: &Room) -> u64 {
        match room.is_host {
            true => self.device.total + self.host.total,
            false => self.device.total,
        }
    }

    /// Whether it fits; nothing where nobody knows how much memory there is.
    pub fn fits(&self, room: &Room) -> Option<bool> {
        match self.refusal {
            Some(_) => Some(false),
            None => room.bytes.map(|bytes| self.need(room) <= bytes),
        }
    }
}

/// A change of the configuration with which a run fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// As `--set` takes them.
    pub set: Vec<String>,
    /// What must then be free.
    pub bytes: u64,
}

/// Changes that cost nothing but time: how they are written, and the configuration with them.
fn free_changes(config: &Config) -> Vec<(String, Config)> {
    let mut changes = Vec::new();
    let mut change = |set: &str, make: &dyn Fn(&mut Config)| {
        let mut changed = config.clone();
        make(&mut changed);
        if changed != *config {
            changes.push((set.to_owned(), changed));
        }
    };
    change("train.recompute=true", &|config| {
        config.train.recompute = true
    });
    // Here is the place for `model.tables=host`.
    changes
}

/// What to change of a run that does not fit, each found by trying it: the changes that cost only time, then the largest batch
/// and the largest unroll that fit, then both kinds together where that allows a larger batch. A twentieth of the memory is left
/// for what is not counted. Nothing, if nothing of these is enough.
pub fn changes(config: &Config, vocabulary: usize, limits: &Limits, room: &Room) -> Vec<Change> {
    let room = &Room {
        bytes: room.bytes.map(|bytes| bytes - bytes / 20),
        ..*room
    };
    let fits = |config: &Config| {
        let estimate = Estimate::of(config, vocabulary, limits, room.taking);
        (estimate.fits(room) == Some(true)).then(|| estimate.need(room))
    };
    let mut found = Vec::new();
    let free = free_changes(config);
    for (set, changed) in &free {
        if let Some(bytes) = fits(changed) {
            let set = vec![set.clone()];
            found.push(Change { set, bytes });
        }
    }
    let batch = largest(config.train.batch, |batch| {
        let mut changed = config.clone();
        changed.train.batch = batch;
        fits(&changed)
    });
    if let Some((batch, bytes)) = batch {
        let set = vec![format!("train.batch={batch}")];
        found.push(Change { set, bytes });
    }
    let unroll = largest(config.train.unroll, |unroll| {
        let mut changed = config.clone();
        changed.train.unroll = unroll;
        fits(&changed)
    });
    if let Some((unroll, bytes)) = unroll {
        let set = vec![format!("train.unroll={unroll}")];
        found.push(Change { set, bytes });
    }
    for (set, changed) in &free {
        if found.iter().any(|change| change.set == [set.as_str()]) {
            continue;
        }
        let with = largest(config.train.batch, |batch| {
            let mut changed = changed.clone();
            changed.train.batch = batch;
            fits(&changed)
        });
        if let Some((with, bytes)) = with
            && batch.is_none_or(|(without, _)| with > without)
        {
            let set = vec![set.clone(), format!("train.batch={with}")];
            found.push(Change { set, bytes });
        }
    }
    found
}

/// The largest number below `size` that fits, with its bytes; what takes more takes more memory.
fn largest(size: usize, mut fits: impl FnMut(usize) -> Option<u64>) -> Option<(usize, u64)> {
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

/// Refuses a run that cannot fit where it is known how much memory there is.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device), with the changes that would make it fit.
pub fn check(config: &Config, vocabulary: usize, limits: &Limits, room: &Room) -> Result<()> {
    let estimate = Estimate::of(config, vocabulary, limits, room.taking);
    tracing::debug!(
        device = estimate.device.total,
        host = estimate.host.total,
        available = room.bytes,
        "estimate"
    );
    // What cannot be bound is said where the plan is loaded.
    let (Some(available), None) = (room.bytes, &estimate.refusal) else {
        return Ok(());
    };
    let need = estimate.need(room);
    if need <= available {
        return Ok(());
    }
    let there = match room.is_host {
        true => "are free",
        false => "are there",
    };
    let (need, available) = (bytes(need), bytes(available));
    let what = format!("out of memory: this run takes {need}, and {available} {there}");
    let changes = changes(config, vocabulary, limits, room);
    Err(Error::device(what).help(advice(&estimate.device, &changes)))
}

/// What to change, as the end of a sentence.
fn advice(device: &DeviceBytes, changes: &[Change]) -> String {
    if changes.is_empty() {
        return format!(
            "make the model or its vocabulary smaller: no batch and no unroll is small enough, as parameters with their optimizer \
             take {}",
            bytes(device.parameters + device.optimizer + device.moving_average)
        );
    }
    let one = |change: &Change| {
        let sets = change.set.iter().map(|set| format!("--set {set}"));
        let sets: Vec<String> = sets.collect();
        format!("`{}` ({})", sets.join(" "), bytes(change.bytes))
    };
    let all: Vec<String> = changes.iter().map(one).collect();
    format!("with one of these it fits: {}", all.join(", "))
}

/// Bytes that devices exchange in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Gradients of every element, which are averaged or summed.
    pub dense: u64,
    /// Gradients of the rows that a device has touched, at most, which are gathered.
    pub rows: u64,
    /// The ids of these rows.
    pub ids: u64,
    /// What a device hands out.
    pub sent: u64,
    /// What a device gets.
    pub received: u64,
}

impl Exchange {
    /// Of `devices` devices that each make this training plan.
    ///
    /// Through the memory of the host. A device hands out its dense gradients `D` and its rows with their ids `R`, at most as many
    /// as it can touch, and gets the mean of all dense gradients and the rows of all others: `D + R` one way, `D + (N-1) R` the
    /// other. Numbers have 4 bytes, in mixed precision 2, ids 4. A single device exchanges nothing.
    pub fn of(training: &Plan, config: &Config, devices: u64) -> Exchange {
        if devices < 2 {
            return Exchange::default();
        }
        let width = match config.train.precision {
            Precision::F32 => 4,
            Precision::Mixed => 2,
        };
        let mut found = Exchange::default();
        for info in &training.tensors {
            let Some(parameter) = info.name.strip_prefix("gradient.") else {
                continue;
            };
            // A parameter is updated in some steps of one label: with a row index, if its gradient is of rows.
            let label = format!("update {parameter}");
            let update = training.steps.iter().find(|step| step.label == label);
            let Some(update) = update else { continue };
            let mut inputs = update
                .slices
                .iter()
                .map(|slice| training.tensor(slice.tensor));
            let elements = info.shape.len() as u64;
            if inputs.any(|input| input.name.starts_with("rows.")) {
                found.rows += width * elements;
                found.ids += 4 * info.shape.0[0] as u64;
            } else {
                found.dense += width * elements;
            }
        }
        let rows = found.rows + found.ids;
        Exchange {
            sent: found.dense + rows,
            received: found.dense + (devices - 1) * rows,
            ..found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_found() {
        for most in 0..9 {
            let found = largest(9, |size| (size <= most).then_some(size as u64));
            assert_eq!(found, (most > 0).then_some((most, most as u64)));
        }
        assert_eq!(largest(1, |_| Some(1)), None);
    }
}
