//! Compute pipelines, created once for each kernel, set of constants and kind of bindings.

use std::collections::HashMap;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::handle::Handle;
use crate::error::Result;
use crate::kernel::{Access, Constants, DeviceTraits, Halves, Kernel};

/// What determines a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The constants to compile in.
    pub constants: Constants,
    /// Whether read-only bindings are declared `read_write`: see [`Kernel::source`].
    pub aliased: bool,
    /// The bindings that are arrays of `f16`.
    pub halves: Halves,
    /// Whether it runs without run-time checks.
    pub trusted: bool,
}

/// Which kernels run without the run-time checks of wgpu.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// None of them.
    Nothing,
    /// Those that passed a trial: `true` in the map.
    Tried(HashMap<(&'static str, Halves), bool>),
    /// All of them.
    Everything,
}

/// The address of the kernel (tests reuse names), its constants, whether it is aliased, its `f16` bindings,
/// whether it is trusted.
type Key = (usize, Constants, bool, Halves, bool);

impl Variant {
    fn key(&self) -> Key {
        let address = std::ptr::from_ref(self.kernel).addr();
        (
            address,
            self.constants.clone(),
            self.aliased,
            self.halves,
            self.trusted,
        )
    }
}

/// A compiled kernel.
#[derive(Clone)]
pub(super) struct Pipeline {
    /// For dispatches.
    pub compute: wgpu::ComputePipeline,
    /// For bind groups.
    pub layout: wgpu::BindGroupLayout,
}

/// The pipelines of a device.
pub(super) struct Pipelines {
    /// The properties of the device that kernels depend on.
    pub traits: DeviceTraits,
    /// Which kernels run without run-time checks.
    pub trust: Trust,
    made: HashMap<Key, Pipeline>,
}

impl Pipelines {
    /// No pipelines, on a device with these properties.
    pub fn new(traits: DeviceTraits) -> Pipelines {
        Pipelines {
            traits,
            trust: Trust::Nothing,
            made: HashMap::new(),
        }
    }

    /// Whether a kernel runs without run-time checks.
    pub fn trusts(&self, kernel: &Kernel, halves: Halves) -> bool {
        match &self.trust {
            Trust::Nothing => false,
            Trust::Tried(found) => found.get(&(kernel.name, halves)) == Some(&true),
            Trust::Everything => true,
        }
    }

    /// Creates missing pipelines, in parallel: a driver can take a second for one.
    pub fn prepare(&mut self, handle: &Handle, variants: &[Variant]) -> Result<()> {
        let mut missing: HashMap<Key, &Variant> = HashMap::new();
        for variant in variants {
            let key = variant.key();
            if !self.made.contains_key(&key) {
                missing.insert(key, variant);
            }
        }
        let made: Result<Vec<(Key, Pipeline)>> = missing
            .into_par_iter()
            .map(|(key, variant)| Ok((key, make(handle, variant)?)))
            .collect();
        self.made.extend(made?);
        Ok(())
    }

    /// The pipeline of a prepared variant.
    pub fn get(&self, variant: &Variant) -> &Pipeline {
        self.made
            .get(&variant.key())
            .unwrap_or_else(|| panic!("{}: pipeline was not prepared", variant.kernel.name))
    }
}

#[allow(unsafe_code)]
fn make(handle: &Handle, variant: &Variant) -> Result<Pipeline> {
    let (device, kernel) = (&handle.device, variant.kernel);
    let what = || format!("the kernel {} {:?}", kernel.name, variant.constants);
    handle.compiled(kernel, what, || {
        let source = wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(
                kernel
                    .source(&variant.constants, variant.aliased, variant.halves)
                    .into(),
            ),
        };
        let module = if variant.trusted {
            // SAFETY: the shader is part of this crate and terminates. It stays within its bindings: it checks its params, which
            // `Plan::check` compares with the sizes of the slices, and the indices it reads were made by the host for the tables
            // of the plan. It is used without run-time checks only after its test cases, with guards around every slice, passed
            // on this adapter.
            unsafe {
                device.create_shader_module_trusted(source, wgpu::ShaderRuntimeChecks::unchecked())
            }
        } else {
            device.create_shader_module(source)
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(kernel.name),
            entries: &entries(kernel, variant.aliased),
        });
        let compute = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(
                &device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some(kernel.name),
                    bind_group_layouts: &[Some(&layout)],
                    immediate_size: 0,
                }),
            ),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: !variant.trusted,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline { compute, layout }
    })
}

/// Params, starts, then the storage bindings.
fn entries(kernel: &Kernel, aliased: bool) -> Vec<wgpu::BindGroupLayoutEntry> {
    let uniforms = [wgpu::BufferBindingType::Uniform; 2];
    let storage = kernel
        .bindings
        .iter()
        .map(|binding| wgpu::BufferBindingType::Storage {
            read_only: binding.access == Access::Read && !aliased,
        });
    uniforms
        .into_iter()
        .chain(storage)
        .zip(0..)
        .map(|(ty, binding)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect()
}
