//! The CPU executor: runs each kernel with its fast CPU implementation if it has one, and with its twin otherwise.
//!
//! In `f32` it is the device `cpu`. In `f64` it runs twins only and is the reference for everything else.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::executor::{Data, Executor, Inputs, Outputs, PlanId, Profile, ProfileClock};
use super::host::available_memory;
use super::memory_model::{MemoryInfo, MemoryModel};
use super::pages::{Pages, SMALLER};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Storage, TensorId, TensorInfo};
use crate::kernel::{Access, Buffer, Buffers, CpuFn, Halves, Kernel};
use crate::real::Real;
use crate::team;
use crate::tensor::Dtype;

/// A precision of the CPU executor.
pub trait CpuReal: Real {
    /// The implementation of a kernel in this precision.
    fn function(kernel: &Kernel) -> CpuFn<Self>;

    /// Rounds the elements of a [`Dtype::Half`] tensor to `f16`.
    fn round_halves(values: &mut [Self]);
}

impl CpuReal for f32 {
    fn function(kernel: &Kernel) -> CpuFn<f32> {
        kernel.cpu_function()
    }

    fn round_halves(values: &mut [f32]) {
        const BLOCK: usize = 1 << 10;
        team::chunks(values, 16 * BLOCK, |_, values| {
            let mut halves = [f16::ZERO; BLOCK];
            for values in values.chunks_mut(BLOCK) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                halves.convert_to_f32_slice(values);
            }
        });
    }
}

impl CpuReal for f64 {
    fn function(kernel: &Kernel) -> CpuFn<f64> {
        kernel.twin.double
    }

    /// The reference does not round.
    fn round_halves(_values: &mut [f64]) {}
}

/// Runs plans on the CPU, in `f32` or `f64`.
pub struct CpuExecutor<R> {
    persistent: HashMap<String, Pages<R>>,
    /// Shared by all plans: the contents of an arena are valid within one run.
    arenas: Vec<Pages<R>>,
    plans: Vec<Loaded<R>>,
    /// Runs whose outputs were not fetched.
    done: VecDeque<PlanId>,
    /// Started reads, oldest first.
    reads: VecDeque<Vec<f32>>,
}

struct Loaded<R> {
    plan: Arc<Plan>,
    /// The real inputs and outputs.
    real: HashMap<TensorId, Pages<R>>,
    index: HashMap<TensorId, Vec<u32>>,
    /// The address of each tensor during a run; empty between runs.
    bases: Vec<Base<R>>,
}

/// The address of the first element of a tensor.
#[derive(Clone, Copy)]
enum Base<R> {
    Real(*mut R),
    Index(*const u32),
}

impl<R: CpuReal> Default for CpuExecutor<R> {
    fn default() -> Self {
        CpuExecutor::new()
    }
}

impl<R: CpuReal> CpuExecutor<R> {
    /// An executor without plans.
    pub fn new() -> CpuExecutor<R> {
        CpuExecutor {
            persistent: HashMap::new(),
            arenas: Vec::new(),
            plans: Vec::new(),
            done: VecDeque::new(),
            reads: VecDeque::new(),
        }
    }

    /// Refuses a plan that needs more memory than is available: the operating system would grant it and kill the process later.
    fn check_memory(&self, plan: &Plan) -> Result<()> {
        let new = |(_, info): (TensorId, &TensorInfo)| match info.storage {
            Storage::Persistent(_) if self.persistent.contains_key(&info.name) => 0,
            Storage::Arena { .. } => 0,
            _ => info.shape.len() as u64,
        };
        let arenas = plan
            .arenas
            .iter()
            .enumerate()
            .map(|(k, &len)| match self.arenas.get(k) {
                Some(arena) if arena.len() >= len => 0,
                _ => len as u64,
            });
        let elements = plan.tensors().map(new).chain(arenas).sum::<u64>();
        let need = elements * size_of::<R>() as u64;
        match available_memory() {
            Some(available) if need > available => Err(Error::device(format!(
                "out of memory: plan {} needs {} MiB more, and {} MiB are free",
                plan.name,
                need >> 20,
                available >> 20
            ))
            .help(SMALLER)),
            _ => Ok(()),
        }
    }

    /// A persistent tensor.
    ///
    /// # Panics
    ///
    /// If no loaded plan has it.
    pub fn tensor(&self, name: &str) -> &[R] {
        self.persistent
            .get(name)
            .unwrap_or_else(|| panic!("no persistent tensor `{name}`"))
    }

    /// A persistent tensor, mutable.
    ///
    /// # Panics
    ///
    /// If no loaded plan has it.
    pub fn tensor_mut(&mut self, name: &str) -> &mut [R] {
        self.persistent
            .get_mut(name)
            .unwrap_or_else(|| panic!("no persistent tensor `{name}`"))
    }
}

impl<R: CpuReal> CpuExecutor<R> {
    /// Runs every step and calls `done` after each. Allocates nothing, except what kernels need at their first run.
    #[allow(unsafe_code)]
    fn run_steps(&mut self, plan: PlanId, inputs: &Inputs, mut done: impl FnMut(usize)) {
        let CpuExecutor {
            persistent,
            arenas,
            plans,
            ..
        } = self;
        let Loaded {
            plan,
            real,
            index,
            bases,
        } = &mut plans[plan.0];
        for (name, data) in inputs {
            let id = plan
                .find(name)
                .unwrap_or_else(|| panic!("plan {} has no input `{name}`", plan.name));
            match data {
                Data::Real(values) => {
                    let memory = real.get_mut(&id).expect("a real input");
                    assert_eq!(memory.len(), values.len(), "size of the input `{name}`");
                    for (out, &value) in memory.iter_mut().zip(values) {
                        *out = R::from_f64(value);
                    }
                }
                Data::Index(values) => {
                    let memory = index.get_mut(&id).expect("an index input");
                    memory.copy_from_slice(values);
                }
            }
        }
        bases.clear();
        for (id, info) in plan.tensors() {
            bases.push(match (info.storage, info.dtype) {
                (Storage::Persistent(_), _) => {
                    let memory = persistent.get_mut(&info.name).expect("loaded");
                    Base::Real(memory.as_mut_ptr())
                }
                (Storage::Input, Dtype::Index) => Base::Index(index[&id].as_ptr()),
                (Storage::Input | Storage::Output, _) => {
                    Base::Real(real.get_mut(&id).expect("loaded").as_mut_ptr())
                }
                (Storage::Arena { arena, offset }, _) => {
                    // A reference to the arena would invalidate the pointers to other tensors in it.
                    Base::Real(arenas[arena].as_mut_ptr().wrapping_add(offset))
                }
            });
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let buffers = step
                .kernel
                .bindings
                .iter()
                .zip(&step.slices)
                .map(|(binding, slice)| {
                    // SAFETY: at load, `Plan::check` verified that the slice lies within its tensor, the tensor within its
                    // arena, and that a written slice overlaps no other slice of its step. Memory outside arenas has the
                    // length of its tensor, and arenas only grow. Nothing moves while the plan runs, and no reference
                    // outlives its step.
                    unsafe {
                        match bases[slice.tensor.0 as usize] {
                            Base::Index(start) => Buffer::Index(std::slice::from_raw_parts(
                                start.add(slice.offset),
                                slice.len,
                            )),
                            Base::Real(start) if binding.access == Access::Read => Buffer::Read(
                                std::slice::from_raw_parts(start.add(slice.offset), slice.len),
                            ),
                            Base::Real(start) => Buffer::Write(std::slice::from_raw_parts_mut(
                                start.add(slice.offset),
                                slice.len,
                            )),
                        }
                    }
                });
            R::function(step.kernel)(
                &step.params,
                &mut Buffers::new(step.kernel.bindings, buffers),
            );
            for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
                let half = plan.tensor(slice.tensor).dtype == Dtype::Half;
                if half
                    && binding.access != Access::Read
                    && let Base::Real(start) = bases[slice.tensor.0 as usize]
                {
                    // SAFETY: as above; the buffers of the step have been dropped.
                    let values = unsafe {
                        std::slice::from_raw_parts_mut(start.add(slice.offset), slice.len)
                    };
                    R::round_halves(values);
                }
            }
            done(number);
        }
        // No pointer outlives its run.
        bases.clear();
    }
}

impl<R: CpuReal> Executor for CpuExecutor<R> {
    fn describe(&self) -> String {
        match team::threads() {
            1 => "cpu (1 thread)".to_owned(),
            threads => format!("cpu ({threads} threads)"),
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn memory_info(&self) -> MemoryInfo {
        MemoryInfo {
            model: MemoryModel::Host,
            is_host: true,
            host: available_memory(),
            adapter: None,
            bytes: available_memory(),
        }
    }

    fn allocated_bytes(&self) -> u64 {
        let of_plans = self.plans.iter().flat_map(|loaded| {
            let index = loaded.index.values().map(|values| values.len() * 4);
            let real = loaded.real.values();
            real.map(|values| size_of_val(&**values)).chain(index)
        });
        let arenas = self.arenas.iter().chain(self.persistent.values());
        let bytes = arenas.map(|memory| size_of_val(&**memory));
        bytes.chain(of_plans).sum::<usize>() as u64
    }

    fn limits(&self) -> Limits {
        Limits::HOST
    }

    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool {
        halves.is_empty() && !kernel.needs_units()
    }

    fn in_flight(&self) -> usize {
        1
    }

    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId> {
        plan.check();
        self.check_memory(&plan)?;
        let mut loaded = Loaded {
            plan: plan.clone(),
            real: HashMap::new(),
            index: HashMap::new(),
            bases: Vec::with_capacity(plan.tensors.len()),
        };
        for (k, &len) in plan.arenas.iter().enumerate() {
            if self.arenas.get(k).is_none_or(|arena| arena.len() < len) {
                // NaN exposes a step that reads what no step wrote.
                let name = format!("arena {k} of plan {}", plan.name);
                let arena = Pages::zeros(len, &name)?;
                match self.arenas.get_mut(k) {
                    Some(smaller) => *smaller = arena,
                    None => self.arenas.push(arena),
                }
                // Fill only after the smaller arena is dropped: until then the new one has no physical memory.
                self.arenas[k].fill(R::from_f64(f64::NAN));
            }
        }
        for (id, info) in plan.tensors() {
            let len = info.shape.len();
            match (info.storage, info.dtype) {
                (Storage::Persistent(_), _) => match self.persistent.get(&info.name) {
                    Some(memory) => assert_eq!(memory.len(), len, "two sizes of `{}`", info.name),
                    None => {
                        let memory = Pages::zeros(len, &info.name)?;
                        self.persistent.insert(info.name.clone(), memory);
                    }
                },
                (Storage::Input, Dtype::Index) => {
                    loaded.index.insert(id, vec![0; len]);
                }
                (Storage::Input | Storage::Output, _) => {
                    loaded.real.insert(id, Pages::zeros(len, &info.name)?);
                }
                (Storage::Arena { .. }, _) => {}
            }
        }
        self.plans.push(loaded);
        Ok(PlanId(self.plans.len() - 1))
    }

    fn len(&self, name: &str) -> usize {
        self.tensor(name).len()
    }

    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        let memory = &mut self.tensor_mut(name)[start..start + values.len()];
        for (out, &value) in memory.iter_mut().zip(values) {
            *out = R::from_f32(value);
        }
        Ok(())
    }

    fn send(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.write_part(name, 0, values)
    }

    fn start_read(&mut self, name: &str, len: usize) -> Result<()> {
        let mut values = vec![0.0; len];
        self.read_part(name, 0, &mut values)?;
        self.reads.push_back(values);
        Ok(())
    }

    fn forget_reads(&mut self) {
        self.reads.clear();
    }

    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()> {
        let read = self.reads.pop_front().expect("a started read");
        if values.is_empty() {
            *values = read;
        } else {
            values.extend_from_slice(&read);
        }
        Ok(())
    }

    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        let memory = &self.tensor(name)[start..start + values.len()];
        for (value, element) in values.iter_mut().zip(memory) {
            *value = element.to_f64() as f32;
        }
        Ok(())
    }

    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()> {
        self.run_steps(plan, inputs, |_| {});
        self.done.push_back(plan);
        Ok(())
    }

    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile> {
        let mut last = Instant::now();
        let mut seconds = Vec::with_capacity(self.plans[plan.0].plan.steps.len());
        self.run_steps(plan, inputs, |_| {
            let now = Instant::now();
            seconds.push((now - last).as_secs_f64());
            last = now;
        });
        Ok(Profile {
            seconds,
            kernels: self.plans[plan.0].plan.kernels(),
            clock: ProfileClock::Host,
        })
    }

    fn fetch(&mut self) -> Result<Outputs> {
        let plan = self
            .done
            .pop_front()
            .expect("every run was fetched already");
        let loaded = &self.plans[plan.0];
        let outputs = loaded
            .plan
            .tensors()
            .filter(|(_, info)| info.storage == Storage::Output);
        Ok(outputs
            .map(|(id, info)| {
                let values = loaded.real[&id].iter().map(|value| value.to_f64());
                (info.name.clone(), values.collect())
            })
            .collect())
    }
}
