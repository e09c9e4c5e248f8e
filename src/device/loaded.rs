//! A plan loaded on a GPU: its buffers, pipelines and bind groups. A run only writes inputs, encodes and submits.

use std::ops::Range;
use std::sync::Arc;

use super::executor::{Data, Inputs, Outputs};
use super::handle::Handle;
use super::memory::{Buffers, Memory};
use super::memory_model::{BindingRange, BufferLimits, RUNS_IN_FLIGHT, U32_BYTES, width};
use super::pipelines::{Pipelines, Variant};
use crate::error::{Error, Result};
use crate::graph::plan::{Plan, Step, Storage};
use crate::kernel::{Access, DeviceTraits, Kernel};
use crate::numbers::bytes;
use crate::tensor::Dtype;

/// A dispatch ready to encode.
struct Command {
    pipeline: wgpu::ComputePipeline,
    /// Whether the previous command uses another pipeline.
    changes_pipeline: bool,
    bind_group: wgpu::BindGroup,
    grid: [u32; 3],
    /// The position of the index of the step's condition in the packed inputs.
    condition: Option<usize>,
}

/// A loaded plan; see the module.
pub(super) struct Loaded {
    plan: Arc<Plan>,
    buffers: Buffers,
    commands: Vec<Command>,
    /// The packed inputs of the next run, or zeros before the first. Reused, so that runs allocate nothing.
    packed: Vec<u32>,
    /// Staging buffers for outputs that no run uses.
    pub free: Vec<wgpu::Buffer>,
}

impl Loaded {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The kernel of each step.
    pub fn kernels(&self) -> Vec<&'static Kernel> {
        self.plan.kernels()
    }

    /// Creates everything that runs of `plan` need.
    pub fn new(
        handle: &Handle,
        memory: &mut Memory,
        pipelines: &mut Pipelines,
        plan: Arc<Plan>,
    ) -> Result<Loaded> {
        plan.check();
        check_bindings(&plan, memory.limits())?;
        let halves = plan.steps.iter().any(|step| !plan.halves(step).is_empty());
        assert!(
            plan.packed || !halves,
            "plan {}: not built for a device",
            plan.name
        );
        let buffers = memory.allocate(handle, &plan)?;
        let variants: Vec<Variant> = plan
            .steps
            .iter()
            .map(|step| Variant {
                kernel: step.kernel,
                constants: [
                    (step.kernel.constants)(&step.params),
                    step.kernel.device_constants(DeviceTraits {
                        fuses: pipelines.traits.fuses || !plan.fused,
                        ..pipelines.traits
                    }),
                ]
                .concat(),
                aliased: aliased(&buffers, step),
                halves: plan.halves(step),
                trusted: pipelines.trusts(step.kernel, plan.halves(step)),
            })
            .collect();
        pipelines.prepare(handle, &variants)?;
        let commands = commands(handle, pipelines, &plan, &buffers, &variants)?;
        let size = buffers.output.size();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let what = || format!("the outputs of plan {}", plan.name);
        let free: Result<Vec<wgpu::Buffer>> = (0..RUNS_IN_FLIGHT)
            .map(|_| handle.buffer(what, size, usage))
            .collect();
        Ok(Loaded {
            packed: vec![0; buffers.inputs.elements],
            free: free?,
            buffers,
            commands,
            plan,
        })
    }

    /// Passes the inputs of a run to the queue.
    ///
    /// # Panics
    ///
    /// If an input is missing, unknown, or of another type or size than in the plan.
    pub fn write_inputs(&mut self, queue: &wgpu::Queue, inputs: &Inputs) {
        let plan = &self.plan.name;
        let tensors = &self.buffers.inputs.tensors;
        assert_eq!(inputs.len(), tensors.len(), "plan {plan}: number of inputs");
        for tensor in tensors {
            let name = &tensor.name;
            let data = inputs.iter().find(|(given, _)| given == name);
            let (_, data) =
                data.unwrap_or_else(|| panic!("plan {plan}: input `{name}` is missing"));
            let packed = &mut self.packed[tensor.start..tensor.start + tensor.len];
            let same_len = |len| {
                assert_eq!(len, tensor.len, "plan {plan}: elements of input `{name}`");
            };
            match (tensor.dtype, data) {
                (Dtype::Real, Data::Real(values)) => {
                    same_len(values.len());
                    for (bits, value) in packed.iter_mut().zip(values) {
                        *bits = (*value as f32).to_bits();
                    }
                }
                (Dtype::Index, Data::Index(values)) => {
                    same_len(values.len());
                    packed.copy_from_slice(values);
                }
                (dtype, _) => panic!("plan {plan}: input `{name}` must be of type {dtype:?}"),
            }
        }
        if !self.packed.is_empty() {
            queue.write_buffer(&self.buffers.input, 0, bytemuck::cast_slice(&self.packed));
        }
    }

    /// Encodes some steps of a run in one pass.
    pub fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        steps: Range<usize>,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        if steps.is_empty() {
            return;
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: timestamps,
        });
        // The previous command was encoded in this pass.
        let mut follows = false;
        for command in &self.commands[steps] {
            if self.skips(command) {
                follows = false;
                continue;
            }
            if command.changes_pipeline || !follows {
                pass.set_pipeline(&command.pipeline);
            }
            follows = true;
            pass.set_bind_group(0, &command.bind_group, &[]);
            let [x, y, z] = command.grid;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// For each step, whether the inputs of the next run skip it.
    pub fn skipped(&self) -> Vec<bool> {
        let commands = self.commands.iter();
        commands.map(|command| self.skips(command)).collect()
    }

    /// Whether the inputs of the next run skip a command.
    fn skips(&self, command: &Command) -> bool {
        command
            .condition
            .is_some_and(|at| Step::is_skipped(self.packed[at]))
    }

    /// Encodes the copy of the outputs of a run to a staging buffer.
    pub fn encode_outputs(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(&self.buffers.output, 0, staging, 0, staging.size());
    }

    /// The number of dispatches of a run.
    pub fn dispatches(&self) -> usize {
        self.commands.len()
    }

    /// Encodes dispatch `k` in a separate pass, which is empty if the inputs skip it.
    pub fn encode_one(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        k: usize,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        let command = &self.commands[k];
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: timestamps,
        });
        if self.skips(command) {
            return;
        }
        pass.set_pipeline(&command.pipeline);
        pass.set_bind_group(0, &command.bind_group, &[]);
        let [x, y, z] = command.grid;
        pass.dispatch_workgroups(x, y, z);
    }

    /// The outputs in the contents of a staging buffer.
    pub fn outputs(&self, data: &[u32]) -> Outputs {
        let tensors = self.buffers.outputs.tensors.iter();
        tensors
            .map(|tensor| {
                let data = data[tensor.start..tensor.start + tensor.len].iter();
                let values = match tensor.dtype {
                    Dtype::Real => data.map(|&bits| f32::from_bits(bits).into()).collect(),
                    Dtype::Half => unreachable!("outputs are never f16"),
                    Dtype::Index => data.map(|&index| index.into()).collect(),
                };
                (tensor.name.clone(), values)
            })
            .collect()
    }
}

/// Whether a buffer is bound both for reading and for writing in this step, which devices refuse.
fn aliased(buffers: &Buffers, step: &Step) -> bool {
    let written = |access| access != Access::Read;
    let bindings = step.kernel.bindings.iter().zip(&step.slices);
    bindings.clone().any(|(reader, read)| {
        !written(reader.access)
            && bindings.clone().any(|(writer, write)| {
                written(writer.access)
                    && buffers.bound(*read).buffer == buffers.bound(*write).buffer
            })
    })
}

/// Checks that every slice can be bound, before anything is allocated.
fn check_bindings(plan: &Plan, limits: BufferLimits) -> Result<()> {
    for step in &plan.steps {
        for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
            let info = plan.tensor(slice.tensor);
            // All other storage begins at an aligned offset.
            let start = match info.storage {
                Storage::Arena { offset, .. } => offset,
                _ => 0,
            };
            let within = slice.offset % info.piece;
            let first = start as u64 * U32_BYTES + within as u64 * width(info.dtype);
            let size = BindingRange::of(first, slice.len, info.dtype).size;
            if size > limits.binding_bytes {
                return Err(Error::device(format!(
                    "{} of `{}` {} takes {} in `{}` ({}), and this device binds at most {}",
                    binding.name,
                    info.name,
                    info.shape,
                    bytes(size),
                    step.label,
                    step.kernel.name,
                    bytes(limits.binding_bytes)
                ))
                .help("use a smaller batch or vocabulary, or `--device cpu`"));
            }
        }
    }
    Ok(())
}

/// Creates the bind groups of all steps. Params and starts of all steps share one uniform buffer.
fn commands(
    handle: &Handle,
    pipelines: &Pipelines,
    plan: &Plan,
    buffers: &Buffers,
    variants: &[Variant],
) -> Result<Vec<Command>> {
    let align =
        handle.device.limits().min_uniform_buffer_offset_alignment as usize / U32_BYTES as usize;
    let mut uniform: Vec<u32> = Vec::new();
    // OpenGL requires uniform bindings to be multiples of 16 bytes.
    let mut place = |values: &mut dyn Iterator<Item = u32>| {
        uniform.resize(uniform.len().next_multiple_of(align), 0);
        let start = uniform.len();
        uniform.extend(values);
        uniform.resize((uniform.len().max(start + 1)).next_multiple_of(4), 0);
        (
            start as u64 * U32_BYTES,
            (uniform.len() - start) as u64 * U32_BYTES,
        )
    };
    let mut places = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let params = place(&mut step.params.iter().copied());
        let bindings = step.kernel.bindings.iter().zip(&step.slices);
        let starts = place(
            &mut bindings
                .map(|(binding, slice)| (buffers.bound(*slice).range.skip / binding.lanes) as u32),
        );
        places.push((params, starts));
    }
    let what = || format!("the params of plan {}", plan.name);
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniforms = handle.buffer(what, uniform.len().max(4) as u64 * U32_BYTES, usage)?;
    handle
        .queue
        .write_buffer(&uniforms, 0, bytemuck::cast_slice(&uniform));

    let mut commands: Vec<Command> = Vec::with_capacity(plan.steps.len());
    for ((step, variant), &(params, starts)) in plan.steps.iter().zip(variants).zip(&places) {
        let pipeline = pipelines.get(variant);
        let storage = step.slices.iter().map(|slice| {
            let bound = buffers.bound(*slice);
            (bound.buffer, bound.range.offset, bound.range.size)
        });
        let entries: Vec<wgpu::BindGroupEntry<'_>> = [params, starts]
            .map(|(offset, size)| (&uniforms, offset, size))
            .into_iter()
            .chain(storage)
            .zip(0..)
            .map(|((buffer, offset, size), binding)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: wgpu::BufferSize::new(size),
                }),
            })
            .collect();
        let what = || format!("the buffers of `{}` ({})", step.label, step.kernel.name);
        let bind_group = handle.guarded(what, || {
            handle.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            })
        })?;
        commands.push(Command {
            changes_pipeline: commands
                .last()
                .is_none_or(|last| last.pipeline != pipeline.compute),
            pipeline: pipeline.compute.clone(),
            bind_group,
            grid: step.grid,
            condition: step.condition.map(|slice| buffers.input_at(slice)),
        });
    }
    Ok(commands)
}
