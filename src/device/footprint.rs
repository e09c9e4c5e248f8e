//! The memory that executors allocate for plans, computed from the plans alone: no device is needed, and models of any size are
//! estimated at once.

use super::memory_model::{
    ALIGNMENT, CHUNK, MemoryModel, RUNS_IN_FLIGHT, U32_BYTES, arena_u32s, best_fit, packed,
};
use crate::graph::plan::{Plan, Role, Storage};
use crate::team;

/// The bytes that the matrix product library packs per thread. Measured; depends on the caches of the CPU.
const PACKED_BY_THREAD: u64 = 3 << 20;

/// A persistent tensor of some plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentTensor {
    /// Its name.
    pub name: String,
    /// The contents.
    pub role: Role,
    /// Its size.
    pub bytes: u64,
}

/// The bytes that an executor allocates for its plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The persistent tensors.
    pub persistent: Vec<PersistentTensor>,
    /// The arenas, which plans share. An arena that is larger than a device can bind counts as several.
    pub arenas: Vec<u64>,
    /// Inputs, written by the host.
    pub inputs: u64,
    /// Outputs, read by the host.
    pub outputs: u64,
    /// The params of all steps; 0 on the CPU, which reads them from the plan.
    pub params: u64,
    /// Host memory for staging copies of inputs and outputs; 0 on the CPU.
    pub staging: u64,
    /// Host memory that kernels and drivers work in: packed operands of products on the CPU; for devices, copies of written
    /// data.
    pub work: u64,
}

impl Footprint {
    /// The footprint of an executor that loads these plans in this order.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>, model: MemoryModel) -> Footprint {
        let mut footprint = Footprint::default();
        for plan in plans {
            footprint.add(plan, model);
        }
        footprint
    }

    /// Adds a plan.
    pub fn add(&mut self, plan: &Plan, model: MemoryModel) {
        for (_, info) in plan.tensors() {
            let is_new = || self.persistent.iter().all(|other| other.name != info.name);
            if let Storage::Persistent(role) = info.storage
                && is_new()
            {
                let u32s: usize = match model {
                    MemoryModel::Host => info.shape.len(),
                    MemoryModel::Device => {
                        let pieces = info.pieces();
                        pieces.map(|len| plan.u32s_of(info.dtype, len)).sum()
                    }
                };
                self.persistent.push(PersistentTensor {
                    name: info.name.clone(),
                    role,
                    bytes: bytes_of(u32s),
                });
            }
        }
        match model {
            MemoryModel::Host => {
                self.add_to_host(plan);
                self.work = PACKED_BY_THREAD * team::threads() as u64;
            }
            MemoryModel::Device => {
                self.add_to_device(plan);
                self.work = bytes_of(CHUNK).min(self.persistent_bytes());
            }
        }
    }

    /// The bytes of all persistent tensors.
    pub fn persistent_bytes(&self) -> u64 {
        self.persistent.iter().map(|tensor| tensor.bytes).sum()
    }

    fn add_to_host(&mut self, plan: &Plan) {
        let missing = plan.arenas.len().saturating_sub(self.arenas.len());
        self.arenas.extend(std::iter::repeat_n(0, missing));
        for (arena, &u32s) in self.arenas.iter_mut().zip(&plan.arenas) {
            *arena = bytes_of(u32s).max(*arena);
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
            for u32s in arena_u32s(plan, number) {
                let need = bytes_of(u32s);
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
        // Two uniforms per step, at the largest alignment that any device requires.
        self.params += 2 * bytes_of(plan.steps.len() * ALIGNMENT);
        self.staging += inputs + RUNS_IN_FLIGHT as u64 * outputs;
    }

    /// The bytes on the device: everything except host memory.
    pub fn total(&self) -> u64 {
        let arenas: u64 = self.arenas.iter().sum();
        self.persistent_bytes() + arenas + self.inputs + self.outputs + self.params
    }
}

fn bytes_of(u32s: usize) -> u64 {
    u32s as u64 * U32_BYTES
}
