//! What executors take for the plans that they load, told from the plans alone: nothing is made and no device is asked, so
//! that a model of any size is looked at anywhere in a moment.
//!
//! The rules by which executors share and divide memory are here and nowhere else: [`arena_words`], [`best_fit`], [`packed`].

use super::executor::RUNS_IN_FLIGHT;
use super::memory_model::{ALIGNMENT, CHUNK, WORD, arena_words, best_fit, packed};
use crate::graph::plan::{Plan, Role, Storage};
use crate::team;

/// What the library of matrix products packs for a thread, in bytes: measured, as it depends on the caches of the CPU.
const PACKED_BY_THREAD: u64 = 3 << 20;

/// How an executor takes memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// As the CPU: each input and output on its own, arenas that grow.
    Host,
    /// As a device: buffers of limited size, inputs and outputs side by side, copies of outputs that the host reads.
    Device,
}

/// How an executor takes memory, and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How it takes it.
    pub taking: Taking,
    /// Whether it is the memory of the host: of the CPU, and of adapters in software.
    pub is_host: bool,
    /// The bytes that there are, where that is known: of the host those that are free.
    pub bytes: Option<u64>,
    /// The bytes that are free in the memory of the host, where that is known.
    pub host: Option<u64>,
    /// The number of the adapter; nothing for the CPU.
    pub adapter: Option<usize>,
}

/// A persistent tensor of an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentTensor {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its bytes.
    pub bytes: u64,
}

/// What an executor has taken for plans, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The persistent tensors.
    pub persistent: Vec<PersistentTensor>,
    /// Arenas, which plans share. One that is larger than a device can bind is several.
    pub arenas: Vec<u64>,
    /// What the host writes.
    pub inputs: u64,
    /// What the host reads.
    pub outputs: u64,
    /// The params of all steps; 0 on the CPU, which reads them in the plan.
    pub params: u64,
    /// Memory of the host for copies of inputs and outputs on their way; 0 on the CPU.
    pub staging: u64,
    /// Memory of the host that kernels and drivers work in: what products pack on the CPU; the copies that are made of what is
    /// written to a device, whose memory is kept.
    pub work: u64,
}

impl Footprint {
    /// Of an executor that loads these plans, one after the other.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>, taking: Taking) -> Footprint {
        let mut footprint = Footprint::default();
        for plan in plans {
            footprint.add(plan, taking);
        }
        footprint
    }

    /// One more plan.
    pub fn add(&mut self, plan: &Plan, taking: Taking) {
        for (_, info) in plan.tensors() {
            let is_new = || self.persistent.iter().all(|other| other.name != info.name);
            if let Storage::Persistent(role) = info.storage
                && is_new()
            {
                let words: usize = match taking {
                    Taking::Host => info.shape.len(),
                    Taking::Device => {
                        let pieces = info.pieces();
                        pieces.map(|len| plan.words_of(info.dtype, len)).sum()
                    }
                };
                self.persistent.push(PersistentTensor {
                    name: info.name.clone(),
                    role,
                    bytes: bytes_of(words),
                });
            }
        }
        match taking {
            Taking::Host => {
                self.add_to_host(plan);
                self.work = PACKED_BY_THREAD * team::threads() as u64;
            }
            Taking::Device => {
                self.add_to_device(plan);
                self.work = bytes_of(CHUNK).min(self.persistent_bytes());
            }
        }
    }

    /// All that stays.
    pub fn persistent_bytes(&self) -> u64 {
        self.persistent.iter().map(|tensor| tensor.bytes).sum()
    }

    fn add_to_host(&mut self, plan: &Plan) {
        let missing = plan.arenas.len().saturating_sub(self.arenas.len());
        self.arenas.extend(std::iter::repeat_n(0, missing));
        for (arena, &words) in self.arenas.iter_mut().zip(&plan.arenas) {
            *arena = bytes_of(words).max(*arena);
        }
        let of = |storage: Storage| -> usize {
            let tensors = plan.tensors.iter().filter(|info| info.storage == storage);
            tensors.map(|info| info.shape.len()).sum()
        };
        self.inputs += bytes_of(of(Storage::Input));
        self.outputs += bytes_of(of(Storage::Output));
    }

    fn add_to_device(&mut self, plan: &Plan) {
        let mut kept = self.arenas.clone();
        for number in 0..plan.arenas.len() {
            for words in arena_words(plan, number) {
                let need = bytes_of(words);
                match best_fit(kept.iter().copied(), need) {
                    Some(at) => drop(kept.swap_remove(at)),
                    None => self.arenas.push(need),
                }
            }
        }
        let of = |storage: Storage| {
            let tensors = plan.tensors.iter().filter(|info| info.storage == storage);
            bytes_of(
                tensors
                    .fold(0, |end, info| packed(end, info.shape.len()))
                    .max(1),
            )
        };
        let (inputs, outputs) = (of(Storage::Input), of(Storage::Output));
        self.inputs += inputs;
        self.outputs += outputs;
        // Two uniforms a step, each at most as far from the next as any device wants it.
        self.params += 2 * bytes_of(plan.steps.len() * ALIGNMENT);
        self.staging += inputs + RUNS_IN_FLIGHT as u64 * outputs;
    }

    /// All of it but the memory of the host.
    pub fn total(&self) -> u64 {
        let arenas: u64 = self.arenas.iter().sum();
        self.persistent_bytes() + arenas + self.inputs + self.outputs + self.params
    }
}

fn bytes_of(words: usize) -> u64 {
    words as u64 * WORD
}
