//! Compute pipelines: one for each kernel, set of constants, and way of binding, made once.

use std::collections::HashMap;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::faults::guarded;
use crate::error::Result;
use crate::kernel::{Access, Constants, Halves, Kernel, Traits};

/// What a pipeline is made from.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// What is compiled in.
    pub constants: Constants,
    /// Whether read-only bindings are declared `read_write`: see [`Kernel::source`].
    pub aliased: bool,
    /// The bindings that are arrays of `f16`.
    pub halves: Halves,
}

/// The address of the kernel (names may repeat between tests), its constants, whether it is aliased, its halves.
type Key = (usize, Constants, bool, Halves);

impl Variant {
    fn key(&self) -> Key {
        let address = std::ptr::from_ref(self.kernel).addr();
        (address, self.constants.clone(), self.aliased, self.halves)
    }
}

/// A compiled kernel.
#[derive(Clone)]
pub(super) struct Pipeline {
    /// To dispatch.
    pub compute: wgpu::ComputePipeline,
    /// To make bind groups.
    pub layout: wgpu::BindGroupLayout,
}

/// Every pipeline of a device so far.
pub(super) struct Pipelines {
    /// What kernels must know of the device.
    pub traits: Traits,
    made: HashMap<Key, Pipeline>,
}

impl Pipelines {
    /// None yet.
    pub fn new(traits: Traits) -> Pipelines {
        Pipelines {
            traits,
            made: HashMap::new(),
        }
    }

    /// Makes the pipelines that are not there yet, several at a time: drivers take up to a second for one.
    pub fn prepare(&mut self, device: &wgpu::Device, variants: &[Variant]) -> Result<()> {
        let mut missing: HashMap<Key, &Variant> = HashMap::new();
        for variant in variants {
            let key = variant.key();
            if !self.made.contains_key(&key) {
                missing.insert(key, variant);
            }
        }
        let made: Result<Vec<(Key, Pipeline)>> = missing
            .into_par_iter()
            .map(|(key, variant)| Ok((key, make(device, variant)?)))
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

fn make(device: &wgpu::Device, variant: &Variant) -> Result<Pipeline> {
    let kernel = variant.kernel;
    let what = || format!("the kernel {} {:?}", kernel.name, variant.constants);
    guarded(device, what, || {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(
                kernel
                    .source(&variant.constants, variant.aliased, variant.halves)
                    .into(),
            ),
        });
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
            compilation_options: wgpu::PipelineCompilationOptions::default(),
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
