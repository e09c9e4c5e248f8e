//! Devices: the only module that knows wgpu, and the CPU executor beside it. Nothing here knows a model or a corpus.
//!
//! Both executors run the same [`Plan`]: see [`Executor`].

mod adapter;
mod cpu;
mod faults;
mod footprint;
mod gpu;
mod host;
mod loaded;
mod memory;
mod pages;
mod pipelines;
mod profile;
mod report;
mod selector;
pub mod single;
mod trial;
mod tuning;

use std::sync::Arc;

pub use adapter::{Adapter, AdapterSummary, Hardware, MatrixUnit, adapters, every_adapter};
pub use cpu::{CpuExecutor, CpuReal};
pub use footprint::{Footprint, Room, Taking};
pub use gpu::GpuExecutor;
pub use host::{available_memory, describe_system};
pub use pages::Pages;
pub use report::{adapter_text, devices_json, devices_text, driver_help};
pub use selector::{Choice, Device, Selector, choose, choose_all};

use crate::error::Result;
use crate::graph::memory as placement;
use crate::graph::plan::Plan;
use crate::kernel::{Halves, Kernel};

/// Runs of one plan whose outputs may wait to be fetched; one more waits for the oldest.
const RUNS_IN_FLIGHT: usize = 3;

/// What the host writes before a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// For real tensors; rounded to what the device computes in.
    Real(Vec<f64>),
    /// For index tensors.
    Index(Vec<u32>),
}

/// The inputs of one run by name: one for each [`Place::Input`](crate::graph::plan::Place::Input) tensor of the plan.
pub type Inputs = Vec<(&'static str, Data)>;

/// The outputs of one run: name and values of each [`Place::Output`](crate::graph::plan::Place::Output) tensor.
pub type Outputs = Vec<(String, Vec<f64>)>;

/// What a device can hold in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one buffer: of an arena or of a persistent tensor.
    pub buffer_bytes: u64,
    /// The most bytes of one slice, counted from the multiple of 256 bytes before it. An arena may be larger.
    pub binding_bytes: u64,
}

/// A plan that an executor has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(pub usize);

/// How long each step of a run took.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Seconds, one a step of the plan.
    pub seconds: Vec<f64>,
    /// What ran for each step: one of the forms of its kernel, or the one for matrix units.
    pub kernels: Vec<&'static Kernel>,
    /// Who took the time.
    pub clock: ProfileClock,
}

/// Who took the time of a [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileClock {
    /// The device itself, with timestamps around each dispatch.
    Device,
    /// The host: on the CPU around each step; on devices without timestamps around each dispatch, which is submitted and waited
    /// for alone, so that the way to the device and back is in it.
    Host,
}

impl ProfileClock {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            ProfileClock::Device => "timestamps of the device",
            ProfileClock::Host => "the clock of the host",
        }
    }
}

/// Runs plans. One for each device.
pub trait Executor {
    /// The device, for people: `cpu (2 threads)`, `gpu llvmpipe (LLVM 15.0.6, 256 bits), vulkan`.
    fn describe(&self) -> String;

    /// Whether the device is still there.
    ///
    /// # Errors
    ///
    /// If it is lost.
    fn check(&self) -> Result<()>;

    /// How it takes memory for plans, and how much there is.
    fn room(&self) -> Room;

    /// The bytes that it has taken for plans: those of the [`Footprint`] of the plans, without what is on its way and the params
    /// of steps.
    fn taken(&self) -> u64;

    /// What plans for this device must keep to.
    fn limits(&self) -> placement::Limits;

    /// Whether the device runs this kernel with these halves: the CPU only rounds to `f16`, and not every GPU has it, or matrix
    /// units.
    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool;

    /// How many runs may be on their way before one is fetched: 1 where a run is done when it has started.
    fn in_flight(&self) -> usize;

    /// Makes a plan runnable: persistent tensors that are new (zeros), inputs, outputs, arenas, pipelines. All that a
    /// run needs is made here.
    ///
    /// # Errors
    ///
    /// If a tensor is larger than the device can bind, or the device is out of memory.
    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId>;

    /// The elements of a persistent tensor of real numbers.
    ///
    /// # Panics
    ///
    /// If no plan that was loaded has it.
    fn len(&self, name: &str) -> usize;

    /// Writes the elements of a persistent tensor of real numbers from element `start` on.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()>;

    /// The same, without waiting for what was written before: it is kept in memory until the next run.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn send(&mut self, name: &str, values: &[f32]) -> Result<()>;

    /// Begins to read the first `len` elements of a persistent tensor as they are after every run so far; later runs do not
    /// change what is read.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn start_read(&mut self, name: &str, len: usize) -> Result<()>;

    /// Drops the reads that were begun and not finished.
    fn forget_reads(&mut self);

    /// Waits for the oldest read that was begun: appends its elements to `values`.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    ///
    /// # Panics
    ///
    /// If none was begun.
    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()>;

    /// Reads the elements of a persistent tensor of real numbers from element `start` on, after every run so far.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()>;

    /// Writes a whole persistent tensor of real numbers.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        assert_eq!(self.len(name), values.len(), "elements of `{name}`");
        self.write_part(name, 0, values)
    }

    /// Reads a whole persistent tensor of real numbers, after every run so far.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.len(name)];
        self.read_part(name, 0, &mut values)?;
        Ok(values)
    }

    /// Starts a run with these inputs. Its outputs are fetched later, in the order of the runs.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()>;

    /// The same, with reads as by [`Executor::start_read`]: for each a step of the plan after which it begins, the name of a
    /// persistent tensor and how many of its elements, in the order of the steps. They may be finished while the run goes on.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn run_reading(
        &mut self,
        plan: PlanId,
        inputs: &Inputs,
        reads: &[(usize, &str, usize)],
    ) -> Result<()> {
        self.run(plan, inputs)?;
        for (_, name, len) in reads {
            self.start_read(name, *len)?;
        }
        Ok(())
    }

    /// Runs a plan, waits for it and says how long each step took. Its outputs are dropped; runs before it must have been
    /// fetched.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile>;

    /// Waits for the oldest run that was not fetched yet and gives its outputs.
    ///
    /// # Errors
    ///
    /// If the device is lost.
    ///
    /// # Panics
    ///
    /// If every run was fetched.
    fn fetch(&mut self) -> Result<Outputs>;
}
