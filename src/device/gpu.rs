//! The executor for wgpu devices: plans as compute passes.
//!
//! Everything that a run needs is made in `load`. A run writes its inputs, encodes one compute pass over all steps,
//! copies the outputs into one of a few staging buffers and submits; several runs may be on the way. The queue keeps
//! the order of runs, writes and reads, so nothing here waits but `fetch` and `read` (and a run too many).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::adapter::Adapter;
use super::faults::{Faults, guarded, wait};
use super::footprint::best_fit;
use super::host::available_memory;
use super::loaded::Loaded;
use super::memory::{Memory, WORD, buffer, width};
use super::pipelines::{Pipelines, Trust};
use super::tuning::{TIMES, Tuning};
use super::{Executor, Inputs, Limits, Outputs, PlanId, Profile, Room, profile};
use crate::error::{Error, Result};
use crate::graph::memory as placement;
use crate::graph::plan::{Plan, Step};
use crate::kernel::{Halves, Kernel, Traits, Unit};
use crate::kernels::matmul;
use crate::tensor::Dtype;

/// The most elements that one copy between host and device moves: larger tensors go in parts, so that the host's share
/// of the memory stays small.
pub(super) const CHUNK: usize = 1 << 23;

/// A run that was submitted and whose outputs nobody has looked at.
struct Pending {
    plan: PlanId,
    staging: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// See the module.
pub struct GpuExecutor {
    pub(super) adapter: Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    faults: Faults,
    limits: Limits,
    memory: Memory,
    pub(super) pipelines: Pipelines,
    /// Whether plans have their products of halves on matrix units.
    uses_units: bool,
    /// None: every kernel runs in its first form.
    pub(super) tuning: Option<Tuning>,
    /// Hears how far tuning is.
    pub(super) watch: Box<dyn Fn(u64, u64) + Send>,
    plans: Vec<Loaded>,
    pending: VecDeque<Pending>,
    /// Outputs of runs that had to make room for later ones.
    ready: VecDeque<Outputs>,
    /// For [`Executor::read`]; made by the first.
    transfer: Option<wgpu::Buffer>,
    /// Elements that were handed to the queue since it was last waited for.
    unsent: usize,
    /// Reads on the way.
    reads: VecDeque<Read>,
    /// What they were read into, for the next ones.
    free_reads: Vec<wgpu::Buffer>,
}

/// A read on its way: what was read into one after the other, and how many elements of each.
struct Read {
    parts: Vec<(wgpu::Buffer, usize, Mapped)>,
    dtype: Dtype,
    submission: wgpu::SubmissionIndex,
}

/// Says when a buffer can be read.
type Mapped = Receiver<Result<(), wgpu::BufferAsyncError>>;

/// Copies of a tensor that are encoded: into what, and how many elements of each.
struct Copies {
    targets: Vec<(wgpu::Buffer, usize)>,
    dtype: Dtype,
}

impl GpuExecutor {
    /// Opens an adapter with all its limits.
    ///
    /// # Errors
    ///
    /// Device, if the driver refuses.
    pub fn new(adapter: &Adapter) -> Result<GpuExecutor> {
        GpuExecutor::open(adapter, None)
    }

    /// Opens an adapter and uses its matrix units, unchecked.
    ///
    /// # Errors
    ///
    /// Device, if the driver refuses or there are none.
    pub fn with_units(adapter: &Adapter) -> Result<GpuExecutor> {
        Ok(GpuExecutor {
            uses_units: true,
            ..GpuExecutor::beside_units(adapter)?
        })
    }

    /// Opens an adapter so that kernels for its matrix units can be loaded, but stand for no others. For whoever checks them.
    ///
    /// # Errors
    ///
    /// Device, if the driver refuses or there are none.
    pub fn beside_units(adapter: &Adapter) -> Result<GpuExecutor> {
        match adapter.summary.unit() {
            Some(unit) => GpuExecutor::open(adapter, Some(unit)),
            None => Err(Error::device("this device has no matrix units")),
        }
    }

    /// Opens an adapter, with its matrix units if so.
    #[allow(unsafe_code)]
    pub(super) fn open(adapter: &Adapter, unit: Option<Unit>) -> Result<GpuExecutor> {
        let limits = adapter.inner.limits();
        let subgroup = adapter.summary.subgroup();
        let mut more = wgpu::Features::empty();
        more.set(wgpu::Features::SUBGROUP, subgroup.is_some());
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if unit.is_some() {
            more = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP;
            // SAFETY: wgpu wants it acknowledged that what is experimental may have bugs. No other than this feature is used,
            // for products and for what measures the units; `mixed` trains with it only after a trial of the products.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let request = adapter.inner.request_device(&wgpu::DeviceDescriptor {
            label: Some("wlstm"),
            required_limits: limits.clone(),
            // For profiles, mixed precision, matrix units and subgroups; everything else does without.
            required_features: adapter.inner.features()
                & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16 | more),
            experimental_features,
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|error| {
            Error::device(format!("cannot open {}", adapter.summary.name))
                .because(error)
                .help("update the driver, or use `--device cpu`")
        })?;
        let limits = Limits {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
        };
        // Software adapters live in the memory of the host.
        let budget = if adapter.summary.is_real() {
            None
        } else {
            available_memory()
        };
        Ok(GpuExecutor {
            adapter: adapter.clone(),
            faults: Faults::watch(&device),
            device,
            queue,
            limits,
            memory: Memory::new(limits, budget),
            // GPUs have the instruction; Mesa's llvmpipe makes two of it.
            pipelines: Pipelines::new(Traits {
                fuses: adapter.summary.is_real(),
                unit,
                subgroup,
            }),
            uses_units: false,
            tuning: None,
            watch: Box::new(|_, _| {}),
            plans: Vec::new(),
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            transfer: None,
            unsent: 0,
            reads: VecDeque::new(),
            free_reads: Vec::new(),
        })
    }

    /// Has each kernel of the plans loaded from now on run in the form that is fastest on this adapter: measured where no
    /// earlier run did. Nothing but the time depends on it. Without timestamps nothing is measured.
    ///
    /// `watch` hears how much of that is done, and of how much; it begins with 0, and is not called where all is known.
    pub fn tune(&mut self, watch: impl Fn(u64, u64) + Send + 'static) {
        self.watch = Box::new(watch);
        if self.adapter.summary.timestamps {
            let traits = self.pipelines.traits;
            self.tuning = Some(Tuning::open(&self.adapter.summary, traits));
        }
    }

    /// Has the kernels of the plans loaded from now on run without the run-time checks of wgpu, each once it was found, by this
    /// run or an earlier one, to compute right so on this adapter. Nothing but the time depends on it.
    pub fn trust(&mut self) {
        self.pipelines.trust = Trust::Tried(Default::default());
    }

    /// How many kernels run without checks, of how many that were tried.
    pub fn trusted(&self) -> (usize, usize) {
        match &self.pipelines.trust {
            Trust::Tried(found) => (found.values().filter(|good| **good).count(), found.len()),
            Trust::Nothing | Trust::Everything => (0, 0),
        }
    }

    /// Has every kernel run without the run-time checks of wgpu. For whoever tries kernels.
    pub fn trust_everything(&mut self) {
        self.pipelines.trust = Trust::Everything;
    }

    /// The plan with the products of halves on matrix units, where they are used.
    fn on_units(&self, plan: Arc<Plan>) -> Arc<Plan> {
        if !self.uses_units {
            return plan;
        }
        let step = |step: &Step| match step.kernel.on_units() {
            // Both operands.
            Some(kernel) if plan.halves(step).has(0) && plan.halves(step).has(1) => step.by(kernel),
            _ => step.clone(),
        };
        Arc::new(Plan {
            steps: plan.steps.iter().map(step).collect(),
            ..(*plan).clone()
        })
    }

    /// The plan in the forms that are fastest.
    fn tuned(&mut self, plan: Arc<Plan>) -> Result<Arc<Plan>> {
        let Some(tuning) = &self.tuning else {
            return Ok(plan);
        };
        // What products have to emulate takes its time in any form.
        if plan.fused && !self.pipelines.traits.fuses {
            return Ok(plan);
        }
        if let Some(unknown) = tuning.unknown(&plan) {
            tracing::info!(
                "measuring {} forms of products of plan {}, once for this adapter",
                unknown.plan.steps.len(),
                plan.name
            );
            let (tries, times) = (unknown.plan.steps.len() as u64, TIMES as u64);
            (self.watch)(0, tries + times);
            self.try_kernels(&unknown.plan, tries + times);
            (self.watch)(tries, tries + times);
            let measured = Arc::new(unknown.plan.clone());
            let (device, queue) = (&self.device, &self.queue);
            let (memory, pipelines) = (&mut self.memory, &mut self.pipelines);
            let loaded = Loaded::new(device, queue, memory, pipelines, measured)?;
            let mut done = tries;
            let profile = || {
                let profile = profile::profile(device, queue, &self.faults, &loaded)?;
                done += 1;
                (self.watch)(done, tries + times);
                Ok(profile.seconds)
            };
            let tuning = self.tuning.as_mut().expect("it is being tuned");
            tuning.measure(&unknown, profile)?;
        }
        let tuning = self.tuning.as_ref().expect("it is being tuned");
        Ok(Arc::new(tuning.apply(&plan)))
    }

    /// What the device can hold in one piece: plans are made to fit.
    pub fn byte_limits(&self) -> Limits {
        self.limits
    }

    /// Ends the device as a driver does that fails: every call from now on is an error of
    /// [`Kind::Device`](crate::error::Kind::Device). For whoever wants to see what becomes of a lost device.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Encodes copies of the first elements of a tensor to where the host can read them.
    fn copy_out(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        name: &str,
        len: usize,
    ) -> Result<Copies> {
        let tensor = self.memory.persistent(name);
        let dtype = tensor.dtype;
        let mut targets = Vec::new();
        for (source, first, len) in tensor.parts(0, len) {
            let size = bytes_of(len, dtype);
            // Those of the step before: each finds its own.
            let free = self.free_reads.iter().map(wgpu::Buffer::size);
            let target = match best_fit(free, size) {
                Some(at) => self.free_reads.swap_remove(at),
                None => buffer(
                    &self.device,
                    &|| format!("the transfer of `{name}`"),
                    size,
                    wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                )?,
            };
            let offset = first as u64 * width(dtype);
            encoder.copy_buffer_to_buffer(source, offset, &target, 0, size);
            targets.push((target, len));
        }
        Ok(Copies { targets, dtype })
    }

    /// Hands elements of a tensor to the queue.
    fn hand_over(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        let tensor = self.memory.persistent(name);
        let mut rest = values;
        for (buffer, first, len) in tensor.parts(start, values.len()) {
            let (part, others) = rest.split_at(len);
            rest = others;
            let offset = first as u64 * width(tensor.dtype);
            let what = || format!("the transfer of `{name}`");
            let halves: Vec<f16>;
            let bytes = match tensor.dtype {
                Dtype::Real => bytemuck::cast_slice(part),
                Dtype::Half => {
                    let padding = part.len() % 2;
                    let rounded = part.iter().map(|&value| f16::from_f32(value));
                    halves = rounded.chain(vec![f16::ZERO; padding]).collect();
                    bytemuck::cast_slice(&halves)
                }
                Dtype::Index => panic!("`{name}` is not real"),
            };
            guarded(&self.device, what, || {
                self.queue.write_buffer(buffer, offset, bytes);
            })?;
        }
        Ok(())
    }

    /// Waits for the oldest run that is on the way and reads its outputs.
    fn retire(&mut self) -> Result<Outputs> {
        let run = self.pending.pop_front().expect("every run was fetched");
        wait(&self.device, Some(run.submission))?;
        arrived(&self.faults, &run.mapped)?;
        let plan = &mut self.plans[run.plan.0];
        let outputs = read_words(&run.staging, .., |words| plan.outputs(words))?;
        plan.free.push(run.staging);
        Ok(outputs)
    }
}

impl Executor for GpuExecutor {
    fn describe(&self) -> String {
        format!(
            "gpu {}, {}",
            self.adapter.summary.name, self.adapter.summary.backend
        )
    }

    fn check(&self) -> Result<()> {
        self.faults.check()
    }

    fn room(&self) -> Room {
        let room = self.adapter.room();
        Room {
            // What was free when it was opened.
            bytes: self.memory.budget().or(room.bytes),
            ..room
        }
    }

    fn taken(&self) -> u64 {
        self.memory.used()
    }

    fn limits(&self) -> placement::Limits {
        let elements = |bytes: u64| usize::try_from(bytes / 4).unwrap_or(usize::MAX);
        placement::Limits {
            arena: elements(self.limits.buffer_bytes),
            slice: elements(self.limits.binding_bytes),
            packed: true,
            units: self.uses_units,
            workgroups: self.adapter.summary.workgroups(),
        }
    }

    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool {
        let f16 = self.device.features().contains(wgpu::Features::SHADER_F16);
        let types = match kernel.needs_units() {
            true => halves.has(0) && halves.has(1),
            false => halves.is_empty() || f16,
        };
        types && matmul::fits(kernel, self.pipelines.traits)
    }

    fn in_flight(&self) -> usize {
        2
    }

    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId> {
        self.faults.check()?;
        let halves = plan.steps.iter().any(|step| !plan.halves(step).is_empty());
        if halves && !self.device.features().contains(wgpu::Features::SHADER_F16) {
            return Err(Error::device(
                "mixed precision needs a device with f16, which this one does not have",
            )
            .help(
                "use `--set train.precision=f32`, or `--device cpu`, which rounds as such a device does",
            ));
        }
        let plan = self.on_units(plan);
        let plan = self.tuned(plan)?;
        self.try_kernels(&plan, 0);
        let (device, queue) = (&self.device, &self.queue);
        let (memory, pipelines) = (&mut self.memory, &mut self.pipelines);
        let loaded = Loaded::new(device, queue, memory, pipelines, plan)?;
        self.faults.check()?;
        self.plans.push(loaded);
        Ok(PlanId(self.plans.len() - 1))
    }

    fn len(&self, name: &str) -> usize {
        self.memory.persistent(name).shape.len()
    }

    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        for (k, part) in values.chunks(CHUNK).enumerate() {
            self.hand_over(name, start + k * CHUNK, part)?;
            self.unsent += part.len();
            // Without this the copies of all parts would be in memory until the next run.
            if self.unsent > CHUNK {
                self.unsent = 0;
                let submission = self.queue.submit([]);
                wait(&self.device, Some(submission))?;
            }
        }
        self.faults.check()
    }

    fn send(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.hand_over(name, 0, values)?;
        self.faults.check()
    }

    fn start_read(&mut self, name: &str, len: usize) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let copies = self.copy_out(&mut encoder, name, len)?;
        let submission = self.queue.submit([encoder.finish()]);
        self.reads.push_back(copies.submitted(submission));
        self.faults.check()
    }

    fn forget_reads(&mut self) {
        self.reads.clear();
    }

    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()> {
        let read = self.reads.pop_front().expect("a read that was begun");
        wait(&self.device, Some(read.submission))?;
        for (source, len, mapped) in read.parts {
            arrived(&self.faults, &mapped)?;
            read_words(&source, ..bytes_of(len, read.dtype), |words| {
                match read.dtype {
                    Dtype::Half => {
                        let (first, halves) =
                            (values.len(), bytemuck::cast_slice::<u32, f16>(words));
                        values.resize(first + len, 0.0);
                        halves[..len].convert_to_f32_slice(&mut values[first..]);
                    }
                    Dtype::Real | Dtype::Index => {
                        values.extend_from_slice(bytemuck::cast_slice(words))
                    }
                }
            })?;
            self.free_reads.push(source);
        }
        Ok(())
    }

    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        let tensor = self.memory.persistent(name);
        let width = width(tensor.dtype);
        let whole = |len: usize| (len as u64 * width).next_multiple_of(WORD);
        let bytes = whole(values.len().min(CHUNK));
        let transfer = match self.transfer.take() {
            Some(transfer) if transfer.size() >= bytes => transfer,
            _ => buffer(
                &self.device,
                &|| format!("the transfer of `{name}`"),
                bytes,
                wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            )?,
        };
        let mut rest = values;
        for (buffer, first, len) in tensor.parts(start, rest.len()) {
            let (of_buffer, others) = std::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            for (k, part) in of_buffer.chunks_mut(CHUNK).enumerate() {
                let (offset, size) = ((first + k * CHUNK) as u64 * width, whole(part.len()));
                let mut encoder = self.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(buffer, offset, &transfer, 0, size);
                let submission = self.queue.submit([encoder.finish()]);
                let mapped = map(&transfer, ..size);
                wait(&self.device, Some(submission))?;
                arrived(&self.faults, &mapped)?;
                read_words(&transfer, ..size, |words| match tensor.dtype {
                    Dtype::Real => part.copy_from_slice(bytemuck::cast_slice(words)),
                    Dtype::Half => {
                        let halves: &[f16] = bytemuck::cast_slice(words);
                        halves[..part.len()].convert_to_f32_slice(part);
                    }
                    Dtype::Index => panic!("`{name}` is not real"),
                })?;
            }
        }
        self.transfer = Some(transfer);
        self.faults.check()
    }

    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()> {
        self.run_reading(plan, inputs, &[])
    }

    fn run_reading(
        &mut self,
        plan: PlanId,
        inputs: &Inputs,
        reads: &[(usize, &str, usize)],
    ) -> Result<()> {
        self.faults.check()?;
        while self.plans[plan.0].free.is_empty() {
            let outputs = self.retire()?;
            self.ready.push_back(outputs);
        }
        let loaded = &mut self.plans[plan.0];
        let staging = loaded.free.pop().expect("there is a free one");
        loaded.write_inputs(&self.queue, inputs);
        let mut done = 0;
        for reads in reads.chunk_by(|one, next| one.0 == next.0) {
            let end = reads[0].0 + 1;
            let mut encoder = self.device.create_command_encoder(&Default::default());
            self.plans[plan.0].encode(&mut encoder, done..end);
            done = end;
            let mut copies = Vec::with_capacity(reads.len());
            for (_, name, len) in reads {
                copies.push(self.copy_out(&mut encoder, name, *len)?);
            }
            let submission = self.queue.submit([encoder.finish()]);
            let submitted = copies
                .into_iter()
                .map(|copies| copies.submitted(submission.clone()));
            self.reads.extend(submitted);
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let loaded = &self.plans[plan.0];
        loaded.encode(&mut encoder, done..loaded.dispatches());
        loaded.encode_outputs(&mut encoder, &staging);
        let submission = self.queue.submit([encoder.finish()]);
        let mapped = map(&staging, ..staging.size());
        self.pending.push_back(Pending {
            plan,
            staging,
            submission,
            mapped,
        });
        self.faults.check()
    }

    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile> {
        self.faults.check()?;
        let loaded = &mut self.plans[plan.0];
        loaded.write_inputs(&self.queue, inputs);
        let profile = profile::profile(&self.device, &self.queue, &self.faults, loaded)?;
        self.faults.check()?;
        Ok(profile)
    }

    fn fetch(&mut self) -> Result<Outputs> {
        match self.ready.pop_front() {
            Some(outputs) => Ok(outputs),
            None => self.retire(),
        }
    }
}

impl Copies {
    /// They were submitted.
    fn submitted(self, submission: wgpu::SubmissionIndex) -> Read {
        let dtype = self.dtype;
        let parts = self.targets.into_iter().map(|(target, len)| {
            let mapped = map(&target, ..bytes_of(len, dtype));
            (target, len, mapped)
        });
        Read {
            parts: parts.collect(),
            dtype,
            submission,
        }
    }
}

/// The bytes of so many elements, in whole words.
fn bytes_of(len: usize, dtype: Dtype) -> u64 {
    (len as u64 * width(dtype)).next_multiple_of(WORD)
}

/// Asks for the bytes of a buffer as soon as what was submitted is done.
pub(super) fn map(
    buffer: &wgpu::Buffer,
    range: std::ops::RangeTo<u64>,
) -> Receiver<Result<(), wgpu::BufferAsyncError>> {
    let (sender, receiver) = channel();
    buffer
        .slice(range)
        .map_async(wgpu::MapMode::Read, move |result| {
            // Nobody listens any more when the executor is dropped with runs on the way.
            let _ = sender.send(result);
        });
    receiver
}

/// Whether the bytes are there, after waiting for them.
pub(super) fn arrived(
    faults: &Faults,
    mapped: &Receiver<Result<(), wgpu::BufferAsyncError>>,
) -> Result<()> {
    faults.check()?;
    let failed = || Error::device("the GPU did not hand over its results");
    match mapped.try_recv() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed().because(error)),
        Err(TryRecvError::Empty | TryRecvError::Disconnected) => Err(failed()),
    }
}

/// Looks at the words of a mapped buffer, then unmaps it.
pub(super) fn read_words<T>(
    buffer: &wgpu::Buffer,
    range: impl std::ops::RangeBounds<u64>,
    look: impl FnOnce(&[u32]) -> T,
) -> Result<T> {
    let view = buffer
        .slice(range)
        .get_mapped_range()
        .map_err(|error| Error::device("cannot read what the GPU computed").because(error))?;
    let result = look(bytemuck::cast_slice(&view));
    drop(view);
    buffer.unmap();
    Ok(result)
}
