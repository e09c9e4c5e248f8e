//! What a training run takes: memory of its device and of the host, dispatches, bytes between devices. Told from the plans
//! that the run will load, before anything is made.
//!
//! A run holds up to three plans: training, validation where there is text for it, and the sample at its end. What a device
//! takes for them is counted by [`Footprint`], by the rules that executors follow; what the host takes beside is counted here.
//! Not counted are the program itself, what drivers and compilers of shaders take for themselves, and the text, which is mapped
//! and whose pages the system takes back when it needs them.

use serde::Serialize;

use super::collective::MAX_MESSAGE;
use super::evaluate::extent;
use super::session::STREAM;
use super::tables::Tables;
use super::update::{InParts, PendingGradient, plans_in_parts};
use crate::config::{self, Config, Precision};
use crate::device::{Executor, Footprint, Room, Taking};
use crate::error::{Error, Result};
use crate::files;
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Role, Storage};
use crate::graph::split::oversized;
use crate::model::language_model::{self, Division, Part};
use crate::model::tables::tensors;
use crate::numbers::bytes;
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

/// Who takes part in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// All devices of a step.
    pub devices: usize,
    /// Those of this process.
    pub here: usize,
    /// The processes of the job on this machine, which take as much each.
    pub processes: usize,
}

impl Topology {
    /// One device.
    pub const SINGLE: Topology = Topology {
        devices: 1,
        here: 1,
        processes: 1,
    };
}

/// The plans of a run, in the order in which it loads them.
pub struct Plans {
    /// Of a training step: one, or those of its micro-batches and the update.
    pub training: Vec<Plan>,
    /// The gradients that several devices join, see [`PendingGradient`].
    pub left: Vec<PendingGradient>,
    /// With tables on the host: what brings the rows of a step.
    pub exchange: Option<Plan>,
    /// Of a batch of validation, where there is text for it: one, or with tables on the host those that these travel through.
    pub evaluation: Vec<Plan>,
    /// Of a word of the sample.
    pub generation: Plan,
}

impl Plans {
    /// Those of a run of `config` with `vocabulary` words on `devices` devices with these limits.
    pub fn of(config: &Config, vocabulary: usize, limits: &Limits, devices: usize) -> Plans {
        let limits = &limits.binding_at_most(config.device.max_binding);
        let part = Part {
            device: 0,
            micro_batch: 0,
            division: Division {
                devices,
                micro_batches: config.train.accumulate,
            },
        };
        let (training, left) = if part.division.parts() == 1 {
            let plan = training_plan(config, vocabulary, limits, false);
            (vec![plan], Vec::new())
        } else {
            let InParts {
                mut micro_batches,
                update,
                left,
            } = plans_in_parts(config, vocabulary, limits, part);
            micro_batches.push(update);
            (micro_batches, if devices > 1 { left } else { Vec::new() })
        };
        let on_host = config.model.tables == config::TablePlacement::Host;
        let evaluation = |extent| match on_host {
            true => {
                let plans = language_model::streamed_evaluation(config, vocabulary, extent, limits);
                vec![plans.hidden, plans.tile, plans.loss]
            }
            false => vec![language_model::evaluation(
                config, vocabulary, extent, limits,
            )],
        };
        Plans {
            training,
            left,
            exchange: on_host
                .then(|| Tables::exchange_plan(config, vocabulary, limits, part.division)),
            evaluation: match config.data.validates() {
                true => evaluation(extent(config)),
                false => Vec::new(),
            },
            generation: match on_host {
                true => language_model::streamed_generation(config, vocabulary, 1, limits),
                false => language_model::logits(config, vocabulary, 1, limits),
            },
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        let training = self.training.iter().chain(&self.exchange);
        let evaluation = self.evaluation.iter();
        training
            .chain(evaluation)
            .chain(std::iter::once(&self.generation))
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
    /// Gradients that are kept for the update of a step in parts.
    pub gradients: u64,
    /// What travels between the host and the device: rows of tables on the host, weights for validation.
    pub travelling: u64,
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
            gradients: 0,
            travelling: 0,
            state: 0,
            activations: footprint.arenas.iter().sum(),
            arenas: footprint.arenas.clone(),
            inputs_and_outputs: footprint.inputs + footprint.outputs,
            params: footprint.params,
            total: footprint.total(),
        };
        for tensor in &footprint.persistent {
            *match tensor.role {
                Role::Parameter => &mut found.parameters,
                Role::MovingAverage => &mut found.moving_average,
                Role::OptimizerState => &mut found.optimizer,
                Role::RecurrentState => &mut found.state,
                Role::Gradient => &mut found.gradients,
                Role::Transfer => &mut found.travelling,
            } += tensor.bytes;
        }
        found
    }
}

/// Bytes of the host beside those of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostBytes {
    /// The words.
    pub vocabulary: u64,
    /// Tables on the host, with the state of their optimizer.
    pub tables: u64,
    /// Gradients of several devices, where they are joined.
    pub joining: u64,
    /// Batches that wait.
    pub batches: u64,
    /// Copies of inputs and outputs, and of gradients of several devices, on their way from them.
    pub staging: u64,
    /// What kernels and drivers work in.
    pub work: u64,
    /// What parameters pass through on their way to and from files, with the vocabulary in a checkpoint, or logits in a sample, or
    /// joined gradients on their way to devices: the most at once.
    pub transfer: u64,
    /// All of it, at most.
    pub total: u64,
}

impl HostBytes {
    fn of(
        plans: &Plans,
        config: &Config,
        vocabulary: usize,
        topology: Topology,
        footprint: &Footprint,
        taking: Taking,
    ) -> HostBytes {
        let words = vocabulary as u64;
        let batch = |plan: &Plan| -> u64 {
            let inputs = plan
                .tensors
                .iter()
                .filter(|info| info.storage == Storage::Input);
            let bytes = inputs.map(|info| match info.dtype {
                // Reals come as `f64`.
                Dtype::Real | Dtype::Half => 8 * info.shape.len() as u64,
                Dtype::Index => 4 * info.shape.len() as u64,
            });
            bytes.sum()
        };
        // Of a divided step the micro-batches are there for every device, and the update once, with the rows of all.
        let (micro_batches, update) = match plans.training.as_slice() {
            [micro_batches @ .., update] if !micro_batches.is_empty() => {
                (micro_batches, batch(update))
            }
            whole => (whole, 0),
        };
        let of_all = |plans: &[Plan]| plans.iter().map(batch).sum::<u64>();
        let batches = BATCHES
            * (topology.devices as u64 * of_all(micro_batches)
                + update
                + of_all(&plans.evaluation));
        let tables = match config.model.tables {
            config::TablePlacement::Host => tensors(config, vocabulary),
            config::TablePlacement::Device => Vec::new(),
        };
        let widths: u64 = tables.iter().map(|tensor| 4 * tensor.width as u64).sum();
        let (devices, here) = (topology.devices as u64, topology.here as u64);
        let of = |left: &PendingGradient| 4 * left.len as u64;
        let sum = |keep: &dyn Fn(&&PendingGradient) -> bool| -> u64 {
            plans.left.iter().filter(keep).map(of).sum()
        };
        let most = |rows: bool| -> u64 {
            let left = plans.left.iter().filter(|left| left.rows == rows);
            left.map(of).max().unwrap_or(0)
        };
        // Of every device of this process what waits to be clipped and what has come last; of all together the mean, or the rows,
        // of other processes twice.
        let copies = if devices > here {
            devices + here
        } else {
            devices
        };
        // What is sent to other processes and what comes from them, in mixed precision in both widths.
        let both = match config.train.precision {
            Precision::F32 => 2,
            Precision::Mixed => 3,
        };
        let on_its_way = match devices / here {
            1 => 0,
            ranks => both * most(false).min(4 * MAX_MESSAGE as u64 * ranks),
        };
        let joined = most(false) + copies * most(true) + on_its_way;
        // Every gradient has a place of its own on its way to the host, which it keeps on the CPU until it has been joined; and those
        // that are joined are on their way to devices until the update.
        let narrow = match config.train.precision {
            Precision::Mixed if taking == Taking::Device => 2,
            _ => 1,
        };
        let all = sum(&|_| true);
        let sent = (sum(&|left| !left.rows) + devices * sum(&|left| left.rows)) / narrow;
        let clipped = sum(&|left| left.clipped) + most(true).max(most(false));
        let (joining, places) = match taking {
            Taking::Host => (here * all + joined, 0),
            Taking::Device => (here * clipped + joined, all / narrow),
        };
        let sent = if taking == Taking::Device {
            here * sent
        } else {
            0
        };
        // Rows of a tensor on their way between a device and a file or a random number.
        let largest = footprint.persistent.iter().map(|tensor| tensor.bytes).max();
        let rows = (4 * STREAM as u64).min(largest.unwrap_or(0));
        let saved: u64 = footprint.persistent.iter().map(|tensor| tensor.bytes).sum();
        let checkpoint = rows + saved.min(files::IN_FLIGHT as u64) + BYTES_OF_LINE * words;
        let found = HostBytes {
            vocabulary: BYTES_OF_WORD * words,
            tables: words * widths,
            joining,
            batches,
            staging: here * (footprint.staging + places),
            work: here * footprint.work,
            transfer: checkpoint.max(BYTES_OF_LOGIT * words).max(sent),
            total: 0,
        };
        let parts = [
            found.vocabulary,
            found.tables,
            found.batches,
            found.staging,
            found.work,
            found.joining,
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
    /// Of a run of `config` with `vocabulary` words on one of several devices with these limits.
    pub fn of(
        config: &Config,
        vocabulary: usize,
        topology: Topology,
        limits: &Limits,
        taking: Taking,
    ) -> Estimate {
        let plans = Plans::of(config, vocabulary, limits, topology.devices);
        Estimate::of_plans(&plans, config, (vocabulary, topology), limits, taking)
    }

    /// The same of plans that are there.
    pub fn of_plans(
        plans: &Plans,
        config: &Config,
        (vocabulary, topology): (usize, Topology),
        limits: &Limits,
        taking: Taking,
    ) -> Estimate {
        let footprint = Footprint::of(plans.iter(), taking);
        let limits = limits.binding_at_most(config.device.max_binding);
        let oversized = plans.iter().find_map(|plan| oversized(plan, &limits));
        let steps = |plans: &mut dyn Iterator<Item = &Plan>| -> usize {
            plans.map(|plan| plan.steps.len()).sum()
        };
        let refusal = oversized.map(|(step, binding, tensor)| {
            let most = bytes(4 * limits.slice as u64);
            format!(
                "`{}` {} cannot be cut to bindings of {most} for `{binding}` of {} ({})",
                tensor.name, tensor.shape, step.kernel.name, step.label
            )
        });
        Estimate {
            device: DeviceBytes::of(&footprint),
            host: HostBytes::of(plans, config, vocabulary, topology, &footprint, taking),
            dispatches_per_step: steps(&mut plans.training.iter().chain(&plans.exchange)),
            dispatches_per_evaluation_batch: (!plans.evaluation.is_empty())
                .then(|| steps(&mut plans.evaluation.iter())),
            refusal,
        }
    }

    /// What must be free where the device has its memory, which so many like it share: a card that is named twice, or the memory of
    /// the host.
    pub fn need(&self, room: &Room, sharing: usize, topology: Topology) -> u64 {
        let (sharing, processes) = (sharing as u64, topology.processes as u64);
        match room.is_host {
            true => processes * (sharing * self.device.total + self.host.total),
            false => sharing * self.device.total,
        }
    }

    /// What must be free in the memory of the host beside a device with memory of its own.
    pub fn need_of_host(&self, room: &Room, topology: Topology) -> u64 {
        match room.is_host {
            true => 0,
            false => topology.processes as u64 * self.host.total,
        }
    }

    /// Whether it fits, on the device and on the host; nothing where nobody knows how much memory there is.
    pub fn fits(&self, room: &Room, sharing: usize, topology: Topology) -> Option<bool> {
        let on_device = room
            .bytes
            .map(|bytes| self.need(room, sharing, topology) <= bytes);
        let on_host = room
            .host
            .is_none_or(|bytes| self.need_of_host(room, topology) <= bytes);
        match (&self.refusal, on_device, on_host) {
            (Some(_), ..) | (_, Some(false), _) | (.., false) => Some(false),
            (_, fits, true) => fits,
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
fn free_changes(config: &Config, room: &Room) -> Vec<(String, Config)> {
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
    // What lives in the memory of the host has nothing of it.
    if !room.is_host && config.softmax != config::Softmax::Full {
        let (set, tables) = match config.model.tables {
            config::TablePlacement::Device => ("model.tables=host", config::TablePlacement::Host),
            config::TablePlacement::Host => ("model.tables=device", config::TablePlacement::Device),
        };
        change(set, &|config| config.model.tables = tables);
    }
    changes
}

/// What to change of a run that does not fit, each found by trying it: the changes that cost only time, then the largest batch
/// and the largest unroll that fit, then both kinds together where that allows a larger batch. A twentieth of the memory is left
/// for what is not counted. Nothing, if nothing of these is enough.
pub fn changes(
    config: &Config,
    vocabulary: usize,
    (topology, sharing): (Topology, usize),
    limits: &Limits,
    room: &Room,
) -> Vec<Change> {
    let room = &Room {
        bytes: room.bytes.map(|bytes| bytes - bytes / 20),
        host: room.host.map(|bytes| bytes - bytes / 20),
        ..*room
    };
    let fits = |config: &Config| {
        let estimate = Estimate::of(config, vocabulary, topology, limits, room.taking);
        let fits = estimate.fits(room, sharing, topology) == Some(true);
        fits.then(|| estimate.need(room, sharing, topology))
    };
    let mut found = Vec::new();
    let free = free_changes(config, room);
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

/// Refuses a run that cannot fit on its devices, those of this machine and of others, where it is known how much memory there is.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device), with the changes that would make it fit.
pub fn check(
    config: &Config,
    vocabulary: usize,
    topology: Topology,
    executors: &[Box<dyn Executor>],
) -> Result<()> {
    let rooms: Vec<Room> = executors.iter().map(|executor| executor.room()).collect();
    for (executor, room) in executors.iter().zip(&rooms) {
        let limits = executor.limits();
        let alike = |other: &&Room| match room.is_host {
            true => other.is_host,
            false => other.adapter == room.adapter,
        };
        let sharing = rooms.iter().filter(alike).count();
        let estimate = Estimate::of(config, vocabulary, topology, &limits, room.taking);
        tracing::debug!(
            device = estimate.device.total,
            host = estimate.host.total,
            available = room.bytes,
            "estimate"
        );
        // What cannot be bound is said where the plan is loaded.
        if estimate.refusal.is_some() || estimate.fits(room, sharing, topology) != Some(false) {
            continue;
        }
        let of_device = (estimate.need(room, sharing, topology), room.bytes);
        let of_host = (estimate.need_of_host(room, topology), room.host);
        let what = match (of_device, of_host) {
            ((need, Some(there)), _) if need > there => {
                let how = if room.is_host {
                    "are free"
                } else {
                    "are there"
                };
                format!("{}, and {} {how}", bytes(need), bytes(there))
            }
            (_, (need, there)) => format!(
                "{} of the memory of the host, and {} are free",
                bytes(need),
                bytes(there.unwrap_or(0))
            ),
        };
        let changes = changes(config, vocabulary, (topology, sharing), &limits, room);
        return Err(
            Error::device(format!("out of memory: this run takes {what}"))
                .help(advice(&estimate.device, &changes)),
        );
    }
    Ok(())
}

/// What to change, as the end of a sentence.
fn advice(device: &DeviceBytes, changes: &[Change]) -> String {
    if changes.is_empty() {
        return format!(
            "make the model or its vocabulary smaller, or take fewer devices or processes: no batch and no unroll is small enough, as \
             parameters with their optimizer take {} of each",
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
pub struct CommunicationCost {
    /// Gradients of whole parameters, of which all devices get the mean.
    pub dense: u64,
    /// Gradients of the rows that a device may touch, which all devices get.
    pub rows: u64,
    /// What a device hands to the host.
    pub sent: u64,
    /// What a device gets from the host.
    pub received: u64,
    /// With several machines of one device each: what a machine sends, and gets as much.
    pub between_machines: u64,
}

impl CommunicationCost {
    /// Of `devices` devices whose micro-batches leave these gradients.
    ///
    /// Through the memory of the host: a device hands out its gradients of whole parameters `D` and room for all the rows that it
    /// may touch `R`, and gets the mean and the rows of all devices: `D + R` one way, `D + N R` the other. The ids of the rows are
    /// known to all: every machine prepares the batch. Between `N` machines of one device the mean takes `2 (N-1)/N D`, a share of
    /// everybody's and then everybody's share, and the rows `(N-1) R`. Numbers have 4 bytes, in mixed precision 2. A single device
    /// exchanges nothing.
    pub fn of(left: &[PendingGradient], config: &Config, devices: u64) -> CommunicationCost {
        if devices < 2 {
            return CommunicationCost::default();
        }
        let width = match config.train.precision {
            Precision::F32 => 4,
            Precision::Mixed => 2,
        };
        let of = |rows: bool| -> u64 {
            let left = left.iter().filter(|left| left.rows == rows);
            left.map(|left| width * left.len as u64).sum()
        };
        let (dense, rows) = (of(false), of(true));
        CommunicationCost {
            dense,
            rows,
            sent: dense + rows,
            received: dense + devices * rows,
            between_machines: 2 * (devices - 1) * dense / devices + (devices - 1) * rows,
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
