//! The executor of wgpu devices.

use std::collections::VecDeque;
use std::sync::Arc;

use half::f16;

use super::adapter::Adapter;
use super::executor::{Executor, Inputs, LossTest, Outputs, PlanId, Profile, ReadAfter};
use super::handle::{Handle, Mapping, map};
use super::loaded::Loaded;
use super::memory::Memory;
use super::memory_model::{CHUNK, MemoryInfo};
use super::pipelines::Pipelines;
use super::profile;
use super::readback::Readback;
use super::tuning::{Candidates, TIMES, Tuning};
use crate::error::{Error, Result};
use crate::graph::memory as placement;
use crate::graph::plan::{Plan, Step};
use crate::kernel::{Changes, Halves, Kernel, UnitOperands};
use crate::kernels;
use crate::tensor::Dtype;

/// A submitted run whose outputs have not been read.
pub(super) struct Pending {
    plan: PlanId,
    staging: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapping: Mapping,
}

/// Runs plans on a wgpu device, as compute passes.
///
/// [`load`](Executor::load) creates everything that a run needs. A run writes its inputs, encodes one compute pass over all
/// steps, copies the outputs into one of a few staging buffers and submits. Several runs may be in flight. The queue keeps
/// runs, writes and reads in order, so only [`fetch`](Executor::fetch) and reads wait, and a run when too many are in flight.
pub struct GpuExecutor {
    pub(super) adapter: Adapter,
    pub(super) handle: Handle,
    pub(super) memory: Memory,
    pub(super) pipelines: Pipelines,
    /// The operands whose products run on matrix units, if there are any.
    pub(super) on_units: Option<UnitOperands>,
    /// The changes that are switched off.
    pub(super) without: Changes,
    /// `None`: every kernel runs in its first form.
    pub(super) tuning: Option<Tuning>,
    /// Called with the progress of tuning.
    pub(super) watch: Box<dyn Fn(u64, u64) + Send>,
    pub(super) plans: Vec<Loaded>,
    pub(super) pending: VecDeque<Pending>,
    /// Outputs of runs that had to make room for later ones.
    pub(super) ready: VecDeque<Outputs>,
    /// Elements passed to the queue since it was last waited for.
    pub(super) unsent: usize,
    pub(super) readback: Readback,
    /// See [`ExecutorOptions::loses_device`](super::ExecutorOptions::loses_device).
    pub(super) loses_device: Option<LossTest>,
}

impl GpuExecutor {
    fn has_f16(&self) -> bool {
        let features = self.handle.device.features();
        features.contains(wgpu::Features::SHADER_F16)
    }

    /// The plan with its products on matrix units, if they are used.
    fn on_units(&self, plan: Arc<Plan>) -> Arc<Plan> {
        let Some(operands) = self.on_units else {
            return plan;
        };
        let candidates = self.candidates();
        let replaces = |kernel: &Kernel, step: &Step| {
            candidates.includes(kernel)
                && kernel.supports(&step.params)
                && self.runs(kernel, plan.halves(step))
        };
        let step = |step: &Step| match kernels::on_units(step.kernel, operands) {
            Some(kernel) if replaces(kernel, step) => step.by(kernel),
            _ => step.clone(),
        };
        Arc::new(Plan {
            steps: plan.steps.iter().map(step).collect(),
            ..(*plan).clone()
        })
    }

    /// The plan with each kernel in its fastest form. Measures the forms that are not known yet. Without tuning, a fixed rule
    /// chooses.
    fn tuned(&mut self, plan: Arc<Plan>) -> Result<Arc<Plan>> {
        let Some(mut tuning) = self.tuning.take() else {
            return Ok(Arc::new(self.candidates().unmeasured(&plan)));
        };
        let tuned = self.tune_with(&mut tuning, plan);
        self.tuning = Some(tuning);
        tuned
    }

    /// The forms of kernels that the device can run.
    pub(super) fn candidates(&self) -> Candidates {
        Candidates {
            traits: self.pipelines.traits,
            is_hardware: self.adapter.summary.is_hardware(),
            without: self.without,
        }
    }

    fn tune_with(&mut self, tuning: &mut Tuning, plan: Arc<Plan>) -> Result<Arc<Plan>> {
        // Emulating a fused multiply-add dominates the time of every form.
        if plan.fused && !self.pipelines.traits.fuses {
            return Ok(plan);
        }
        if let Some(unknown) = tuning.unknown(&plan) {
            tracing::info!(
                "measuring {} forms of kernels of plan {}, once for this adapter",
                unknown.plan.steps.len(),
                plan.name
            );
            let (trials, runs) = (unknown.plan.steps.len() as u64, TIMES as u64);
            let total = trials + runs;
            (self.watch)(0, total);
            self.try_kernels_with(Some(&mut *tuning), &unknown.plan, total);
            (self.watch)(trials, total);
            let measured = Arc::new(unknown.plan.clone());
            let (memory, pipelines) = (&mut self.memory, &mut self.pipelines);
            let loaded = Loaded::new(&self.handle, memory, pipelines, measured)?;
            let mut done = trials;
            let profile = || {
                let profile = profile::profile(&self.handle, &loaded)?;
                done += 1;
                (self.watch)(done, total);
                Ok(profile.seconds)
            };
            tuning.measure(&unknown, profile)?;
        }
        Ok(Arc::new(tuning.apply(&plan)))
    }

    /// Passes elements of a tensor to the queue.
    fn enqueue(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        let tensor = self.memory.persistent(name);
        let mut rest = values;
        for part in tensor.parts(start, values.len()) {
            let (here, others) = rest.split_at(part.len);
            rest = others;
            let offset = part.byte_offset(tensor.dtype);
            let halves: Vec<f16>;
            let bytes = match tensor.dtype {
                Dtype::Real => bytemuck::cast_slice(here),
                Dtype::Half => {
                    let padding = here.len() % 2;
                    let rounded = here.iter().map(|&value| f16::from_f32(value));
                    halves = rounded.chain(vec![f16::ZERO; padding]).collect();
                    bytemuck::cast_slice(&halves)
                }
                Dtype::Index => panic!("`{name}` is not real"),
            };
            let what = || format!("the transfer of `{name}`");
            self.handle.guarded(what, || {
                self.handle.queue.write_buffer(part.buffer, offset, bytes);
            })?;
        }
        Ok(())
    }

    /// Waits for the oldest run in flight and reads its outputs.
    fn retire(&mut self) -> Result<Outputs> {
        let run = self
            .pending
            .pop_front()
            .expect("a run that was not fetched");
        self.handle.wait(run.submission)?;
        let plan = &mut self.plans[run.plan.0];
        let size = run.staging.size();
        let outputs = self
            .handle
            .read_mapped(&run.staging, ..size, &run.mapping, |data| {
                plan.outputs(data)
            })?;
        plan.free.push(run.staging);
        Ok(outputs)
    }
}

impl Executor for GpuExecutor {
    fn describe(&self) -> String {
        let summary = &self.adapter.summary;
        format!("gpu {}, {}", summary.name, summary.backend)
    }

    fn check(&self) -> Result<()> {
        self.handle.check()
    }

    fn memory_info(&self) -> MemoryInfo {
        let memory = self.adapter.memory_info();
        MemoryInfo {
            // What was available when the device was opened.
            bytes: self.memory.budget().or(memory.bytes),
            ..memory
        }
    }

    fn allocated_bytes(&self) -> u64 {
        self.memory.used()
    }

    fn limits(&self) -> placement::Limits {
        let limits = self.memory.limits();
        let elements = |bytes: u64| usize::try_from(bytes / 4).unwrap_or(usize::MAX);
        placement::Limits {
            arena: elements(limits.buffer_bytes),
            slice: elements(limits.binding_bytes),
            packed: true,
            units: self.on_units.is_some(),
            multiprocessors: self.adapter.summary.multiprocessors_for_plans(),
            without: self.without,
        }
    }

    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool {
        let types = kernel.takes_operands(halves) && (halves.is_empty() || self.has_f16());
        types && kernel.requires.are_met_by(self.pipelines.traits)
    }

    fn in_flight(&self) -> usize {
        2
    }

    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId> {
        self.handle.check()?;
        let halves = plan.steps.iter().any(|step| !plan.halves(step).is_empty());
        if halves && !self.has_f16() {
            return Err(Error::device(
                "mixed precision needs a device with f16, which this one does not have",
            )
            .help(
                "use `--set train.precision=f32`, or `--device cpu`, which rounds as such a device does",
            ));
        }
        let plan = self.on_units(plan);
        let plan = self.tuned(plan)?;
        self.try_kernels(&plan);
        let (memory, pipelines) = (&mut self.memory, &mut self.pipelines);
        let loaded = Loaded::new(&self.handle, memory, pipelines, plan)?;
        self.handle.check()?;
        self.plans.push(loaded);
        Ok(PlanId(self.plans.len() - 1))
    }

    fn len(&self, name: &str) -> usize {
        self.memory.persistent(name).shape.len()
    }

    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        for (k, part) in values.chunks(CHUNK).enumerate() {
            self.enqueue(name, start + k * CHUNK, part)?;
            self.unsent += part.len();
            // Otherwise the copies of all parts would stay in memory until the next run.
            if self.unsent > CHUNK {
                self.unsent = 0;
                let submission = self.handle.queue.submit([]);
                self.handle.wait(submission)?;
            }
        }
        self.handle.check()
    }

    fn send(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.enqueue(name, 0, values)?;
        self.handle.check()
    }

    fn start_read(&mut self, name: &str, len: usize) -> Result<()> {
        let mut encoder = self.handle.encoder();
        let tensor = self.memory.persistent(name);
        let copies = self
            .readback
            .encode(&self.handle, &mut encoder, tensor, len)?;
        let submission = self.handle.submit(encoder);
        self.readback.submitted(copies, submission);
        self.handle.check()
    }

    fn forget_reads(&mut self) {
        self.readback.clear();
    }

    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()> {
        self.readback.finish(&self.handle, values)
    }

    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        let tensor = self.memory.persistent(name);
        self.readback.read(&self.handle, tensor, start, values)?;
        self.handle.check()
    }

    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()> {
        self.run_reading(plan, inputs, &[])
    }

    fn run_reading(
        &mut self,
        plan: PlanId,
        inputs: &Inputs,
        reads: &[ReadAfter<'_>],
    ) -> Result<()> {
        self.handle.check()?;
        let staging = loop {
            match self.plans[plan.0].free.pop() {
                Some(staging) => break staging,
                None => {
                    let outputs = self.retire()?;
                    self.ready.push_back(outputs);
                }
            }
        };
        let loaded = &mut self.plans[plan.0];
        loaded.write_inputs(&self.handle.queue, inputs);
        let mut done = 0;
        for reads in reads.chunk_by(|one, next| one.step == next.step) {
            let end = reads[0].step + 1;
            let mut encoder = self.handle.encoder();
            loaded.encode(&mut encoder, done..end, None);
            done = end;
            let mut copies = Vec::with_capacity(reads.len());
            for read in reads {
                let tensor = self.memory.persistent(read.name);
                let encoded = self
                    .readback
                    .encode(&self.handle, &mut encoder, tensor, read.len)?;
                copies.push(encoded);
            }
            let submission = self.handle.submit(encoder);
            for copies in copies {
                self.readback.submitted(copies, submission.clone());
            }
        }
        let mut encoder = self.handle.encoder();
        loaded.encode(&mut encoder, done..loaded.dispatches(), None);
        loaded.encode_outputs(&mut encoder, &staging);
        let submission = self.handle.submit(encoder);
        let mapping = map(&staging, ..staging.size());
        self.pending.push_back(Pending {
            plan,
            staging,
            submission,
            mapping,
        });
        let name = &self.plans[plan.0].plan().name;
        if self.loses_device.as_ref().is_some_and(|test| test(name)) {
            self.destroy();
        }
        self.handle.check()
    }

    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile> {
        self.handle.check()?;
        let loaded = &mut self.plans[plan.0];
        loaded.write_inputs(&self.handle.queue, inputs);
        let profile = profile::profile(&self.handle, loaded)?;
        self.handle.check()?;
        Ok(profile)
    }

    fn time(&mut self, plan: PlanId, inputs: &Inputs) -> Result<f64> {
        self.handle.check()?;
        let loaded = &mut self.plans[plan.0];
        loaded.write_inputs(&self.handle.queue, inputs);
        let seconds = profile::whole(&self.handle, loaded)?;
        self.handle.check()?;
        Ok(seconds)
    }

    fn fetch(&mut self) -> Result<Outputs> {
        match self.ready.pop_front() {
            Some(outputs) => Ok(outputs),
            None => self.retire(),
        }
    }
}
