//! The CPU executor: runs each kernel with its fast CPU implementation if it has one, and with its twin otherwise.
//!
//! In `f32` it is the device `cpu`. In `f64` it runs twins only and is the reference for everything else.

mod loaded;
mod precision;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use loaded::Loaded;
pub use precision::CpuReal;

use super::executor::{Executor, Inputs, Outputs, PlanId, Profile, ProfileClock};
use super::host::available_memory;
use super::memory_model::{MemoryInfo, MemoryModel};
use super::pages::{Pages, SMALLER};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Storage, TensorId, TensorInfo};
use crate::kernel::{Changes, Halves, Kernel};
use crate::team;

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
    /// The changes that are switched off.
    without: Changes,
}

impl<R: CpuReal> Default for CpuExecutor<R> {
    fn default() -> Self {
        CpuExecutor::new()
    }
}

impl<R: CpuReal> CpuExecutor<R> {
    /// An executor without plans.
    pub fn new() -> CpuExecutor<R> {
        CpuExecutor::without(Changes::NONE)
    }

    /// An executor without plans, whose plans are built without these changes.
    pub fn without(without: Changes) -> CpuExecutor<R> {
        CpuExecutor {
            persistent: HashMap::new(),
            arenas: Vec::new(),
            plans: Vec::new(),
            done: VecDeque::new(),
            reads: VecDeque::new(),
            without,
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

    fn run_steps(&mut self, plan: PlanId, inputs: &Inputs, done: impl FnMut(usize)) {
        self.plans[plan.0].run(&mut self.persistent, &mut self.arenas, inputs, done);
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
        let of_plans = self.plans.iter().map(Loaded::allocated_bytes);
        let arenas = self.arenas.iter().chain(self.persistent.values());
        let bytes = arenas.map(|memory| size_of_val(&**memory));
        bytes.chain(of_plans).sum::<usize>() as u64
    }

    fn limits(&self) -> Limits {
        Limits {
            without: self.without,
            ..Limits::HOST
        }
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
        for info in plan.tensors.iter().filter(|info| info.is_persistent()) {
            let len = info.shape.len();
            match self.persistent.get(&info.name) {
                Some(memory) => assert_eq!(memory.len(), len, "two sizes of `{}`", info.name),
                None => {
                    let memory = Pages::zeros(len, &info.name)?;
                    self.persistent.insert(info.name.clone(), memory);
                }
            }
        }
        self.plans.push(Loaded::new(plan)?);
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
            skipped: self.plans[plan.0].skipped().to_vec(),
            kernels: self.plans[plan.0].plan.kernels(),
            clock: ProfileClock::Host,
        })
    }

    fn fetch(&mut self) -> Result<Outputs> {
        let plan = self.done.pop_front().expect("a run that was not fetched");
        Ok(self.plans[plan.0].outputs())
    }
}
