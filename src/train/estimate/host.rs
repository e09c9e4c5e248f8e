//! Host memory.

use serde::Serialize;

use super::spec::RunSpec;
use crate::config::{Precision, TablePlacement};
use crate::device::{Footprint, MemoryModel};
use crate::files;
use crate::graph::plan::{Plan, Storage};
use crate::model::tables::tensors;
use crate::tensor::Dtype;
use crate::train::collective::MAX_MESSAGE;
use crate::train::plans::RunPlans;
use crate::train::session::PIECE;
use crate::train::update::PendingGradient;

/// Prepared batches that exist at once: those in the queue, one in preparation, one that waits to be queued, one in its step.
const BATCHES: u64 = 6;
/// Bytes of a word in a vocabulary: its letters, their end, its count, its entry in the hash table.
const BYTES_OF_WORD: u64 = 40;
/// Bytes of a word in the text of a vocabulary, which a checkpoint holds.
const BYTES_OF_LINE: u64 = 16;
/// Bytes of a word while a sample is drawn: its logit as read from the device, its logit as kept, and its rank.
const BYTES_OF_LOGIT: u64 = 8 + 8 + 16;

/// Bytes of the host, apart from the memory of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostBytes {
    /// The vocabulary.
    pub vocabulary: u64,
    /// Tables on the host, with their optimizer state.
    pub tables: u64,
    /// Gradients of several devices, for their reduction.
    pub joining: u64,
    /// Prepared batches.
    pub batches: u64,
    /// Staging copies of inputs and outputs, and of gradients of several devices.
    pub staging: u64,
    /// Work space of kernels and drivers.
    pub work: u64,
    /// The largest data in transfer at one time: parameters to and from files, with the vocabulary in a checkpoint; logits of a
    /// sample; reduced gradients to devices.
    pub transfer: u64,
    /// The sum.
    pub total: u64,
}

impl HostBytes {
    /// Of a run whose devices load these plans.
    pub(super) fn of(
        plans: &RunPlans,
        run: &RunSpec<'_>,
        footprint: &Footprint,
        model: MemoryModel,
    ) -> HostBytes {
        let config = run.config;
        let words = run.vocabulary as u64;
        let local = run.topology.local_devices as u64;
        let reduction = Reduction::of(plans, run, model);
        let tables = match config.model.tables {
            TablePlacement::Host => tensors(config, run.vocabulary),
            TablePlacement::Device => Vec::new(),
        };
        let widths: u64 = tables.iter().map(|tensor| 4 * tensor.width as u64).sum();
        // Rows of a tensor in transfer between a device and a file, or from the random number generator.
        let largest = footprint.persistent.iter().map(|tensor| tensor.bytes).max();
        let rows = (4 * PIECE as u64).min(largest.unwrap_or(0));
        let saved: u64 = footprint.persistent.iter().map(|tensor| tensor.bytes).sum();
        let checkpoint = rows + saved.min(files::WRITE_BUFFERS as u64) + BYTES_OF_LINE * words;
        let found = HostBytes {
            vocabulary: BYTES_OF_WORD * words,
            tables: words * widths,
            joining: reduction.joining,
            batches: batches(plans, run),
            staging: local * (footprint.staging + reduction.staging),
            work: local * footprint.work,
            transfer: checkpoint
                .max(BYTES_OF_LOGIT * words)
                .max(reduction.transfer),
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

/// Bytes of the prepared batches. The inputs of micro-batches exist for every device of the run, those of the update once.
fn batches(plans: &RunPlans, run: &RunSpec<'_>) -> u64 {
    let inputs = |plan: &Plan| -> u64 {
        let tensors = plan.tensors.iter();
        let inputs = tensors.filter(|info| info.storage == Storage::Input);
        let bytes = inputs.map(|info| match info.dtype {
            // The host holds reals as `f64`.
            Dtype::Real | Dtype::Half => 8 * info.shape.len() as u64,
            Dtype::Index => 4 * info.shape.len() as u64,
        });
        bytes.sum()
    };
    let (micro_batches, update) = plans.step.micro_batches_and_update();
    let micro_batches: u64 = micro_batches.iter().map(|plan| inputs(plan)).sum();
    let update = update.map_or(0, |plan| inputs(plan));
    let evaluation: u64 = plans.batch_of_evaluation().map(|plan| inputs(plan)).sum();
    BATCHES * (run.topology.devices as u64 * micro_batches + update + evaluation)
}

/// Bytes for the reduction of the gradients of several devices.
struct Reduction {
    /// Buffers of the reduction.
    joining: u64,
    /// Staging copies of the gradients of one device.
    staging: u64,
    /// Reduced gradients that are sent to devices.
    transfer: u64,
}

impl Reduction {
    fn of(plans: &RunPlans, run: &RunSpec<'_>, model: MemoryModel) -> Reduction {
        let gradients = plans.reduced_gradients();
        let (devices, local) = (
            run.topology.devices as u64,
            run.topology.local_devices as u64,
        );
        let bytes = |gradient: &PendingGradient| 4 * gradient.len as u64;
        let sum = |keep: fn(&PendingGradient) -> bool| -> u64 {
            let kept = gradients.iter().filter(|gradient| keep(gradient));
            kept.map(bytes).sum()
        };
        let largest = |sparse: bool| -> u64 {
            let kept = gradients
                .iter()
                .filter(|gradient| gradient.sparse == sparse);
            kept.map(bytes).max().unwrap_or(0)
        };
        // The rows of all devices, and with other processes those of this one once more.
        let copies_of_rows = if devices > local {
            devices + local
        } else {
            devices
        };
        // A message to other processes and the one that is received; in mixed precision also in `f16`.
        let copies_of_message = match run.config.train.precision {
            Precision::F32 | Precision::F32x3 => 2,
            Precision::Mixed => 3,
        };
        let messages = match devices / local {
            1 => 0,
            ranks => copies_of_message * largest(false).min(4 * MAX_MESSAGE as u64 * ranks),
        };
        let buffers = largest(false) + copies_of_rows * largest(true) + messages;
        let all = sum(|_| true);
        match model {
            // The CPU holds a copy of every gradient until it is reduced.
            MemoryModel::Host => Reduction {
                joining: local * all + buffers,
                staging: 0,
                transfer: 0,
            },
            // A GPU has a staging copy of every gradient. The host holds those that wait to be clipped and
            // the one that was read last; and reduced gradients until the update has them.
            MemoryModel::Device => {
                let narrow = match run.config.train.precision {
                    Precision::F32 | Precision::F32x3 => 1,
                    Precision::Mixed => 2,
                };
                let held = sum(|gradient| gradient.clipped) + largest(true).max(largest(false));
                let sent =
                    sum(|gradient| !gradient.sparse) + devices * sum(|gradient| gradient.sparse);
                Reduction {
                    joining: local * held + buffers,
                    staging: all / narrow,
                    transfer: local * (sent / narrow),
                }
            }
        }
    }
}
