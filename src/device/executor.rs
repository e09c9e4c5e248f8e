//! The interface of executors: load plans, run them, move tensors between host and device.

use std::sync::Arc;
use std::time::Instant;

use super::memory_model::MemoryInfo;
use crate::error::Result;
use crate::graph::memory as placement;
use crate::graph::plan::Plan;
use crate::kernel::{Halves, Kernel};

/// The elements of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Of a real tensor; rounded to the precision of the device.
    Real(Vec<f64>),
    /// Of an index tensor.
    Index(Vec<u32>),
}

/// The inputs of a run by name: one for each [`Storage::Input`](crate::graph::plan::Storage::Input) tensor of the plan.
pub type Inputs = Vec<(&'static str, Data)>;

/// The outputs of a run: name and elements of each [`Storage::Output`](crate::graph::plan::Storage::Output) tensor.
pub type Outputs = Vec<(String, Vec<f64>)>;

/// A plan loaded by an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(pub usize);

/// The time of each step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Seconds, one entry per step of the plan.
    pub seconds: Vec<f64>,
    /// Whether the condition of each step skipped it.
    pub skipped: Vec<bool>,
    /// The kernel that ran for each step: the form chosen by tuning, or the one for matrix units.
    pub kernels: Vec<&'static Kernel>,
    /// What measured the time.
    pub clock: ProfileClock,
}

/// What measured the time of a [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileClock {
    /// The device, with timestamps around each dispatch.
    Device,
    /// The host. On the CPU, around each step. On devices without timestamps, around each dispatch, submitted alone: the time
    /// includes the round trip to the device.
    Host,
}

impl ProfileClock {
    /// A description of the clock.
    pub fn describe(self) -> &'static str {
        match self {
            ProfileClock::Device => "timestamps of the device",
            ProfileClock::Host => "the clock of the host",
        }
    }
}

/// A copy of a persistent tensor to the host that begins in the middle of a run, see [`Executor::run_reading`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAfter<'a> {
    /// The step of the plan after which the copy begins.
    pub step: usize,
    /// The name of the tensor.
    pub name: &'a str,
    /// The number of elements, from the first.
    pub len: usize,
}

/// Called with the name of a plan. Returns whether the device is lost while the plan runs.
pub type LossTest = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Runs plans on one device.
pub trait Executor {
    /// A description of the device for messages: `cpu (2 threads)`,
    /// `gpu llvmpipe (LLVM 15.0.6, 256 bits), vulkan`.
    fn describe(&self) -> String;

    /// Checks that the device has not been lost.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if it has.
    fn check(&self) -> Result<()>;

    /// The memory of the device.
    fn memory_info(&self) -> MemoryInfo;

    /// The bytes allocated for plans: the [`Footprint`](super::Footprint) of the loaded plans without staging buffers and
    /// kernel parameters.
    fn allocated_bytes(&self) -> u64;

    /// The limits that plans for this device must respect.
    fn limits(&self) -> placement::Limits;

    /// Whether the device runs this kernel with these `f16` bindings. The CPU only rounds to `f16`; a GPU may lack `f16` or
    /// matrix units.
    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool;

    /// The number of runs that may be in flight before one is fetched; 1 if a run completes before `run` returns.
    fn in_flight(&self) -> usize;

    /// Loads a plan: allocates new persistent tensors (zeros), inputs, outputs and arenas, and creates pipelines. Running the
    /// plan allocates nothing more.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a tensor is too large to bind or the device is out of memory.
    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId>;

    /// The number of elements of a persistent real tensor.
    ///
    /// # Panics
    ///
    /// If no loaded plan has it.
    fn len(&self, name: &str) -> usize;

    /// Writes the elements of a persistent real tensor from element `start` on.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()>;

    /// Writes the first elements of a persistent real tensor without waiting for earlier writes. The copy stays in host memory
    /// until the next run.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn send(&mut self, name: &str, values: &[f32]) -> Result<()>;

    /// Starts to read the first `len` elements of a persistent real tensor, as they are after every run so far. Later runs do
    /// not affect the result.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn start_read(&mut self, name: &str, len: usize) -> Result<()>;

    /// Drops the reads that were started and not finished.
    fn forget_reads(&mut self);

    /// Waits for the oldest started read and appends its elements to `values`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    ///
    /// # Panics
    ///
    /// If no read was started.
    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()>;

    /// Reads the elements of a persistent real tensor from element `start` on, after every run so far.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()>;

    /// Writes a whole persistent real tensor.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        assert_eq!(self.len(name), values.len(), "elements of `{name}`");
        self.write_part(name, 0, values)
    }

    /// Reads a whole persistent real tensor, after every run so far.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.len(name)];
        self.read_part(name, 0, &mut values)?;
        Ok(values)
    }

    /// Starts a run. Outputs are fetched later, in the order of the runs.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()>;

    /// Starts a run, and reads as by [`Executor::start_read`] that begin in the middle of it. `reads` must be in the order of
    /// their steps. The reads can be finished while the run continues.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn run_reading(
        &mut self,
        plan: PlanId,
        inputs: &Inputs,
        reads: &[ReadAfter<'_>],
    ) -> Result<()> {
        self.run(plan, inputs)?;
        for read in reads {
            self.start_read(read.name, read.len)?;
        }
        Ok(())
    }

    /// Runs a plan, waits for it and returns the time of each step. Its outputs are dropped; earlier runs must have been
    /// fetched.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile>;

    /// Runs a plan, waits for it and returns its time in seconds: on a device with timestamps from its first step to its last,
    /// otherwise including the round trip to the device. Its outputs are dropped; earlier runs must have been fetched.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn time(&mut self, plan: PlanId, inputs: &Inputs) -> Result<f64> {
        let begin = Instant::now();
        self.run(plan, inputs)?;
        self.fetch()?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Waits for the oldest run that was not fetched and returns its outputs.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    ///
    /// # Panics
    ///
    /// If every run was fetched.
    fn fetch(&mut self) -> Result<Outputs>;
}
