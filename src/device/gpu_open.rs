//! Opens adapters: requests features, decides on matrix units, tunes kernels and tries them without run-time checks.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::adapter::Adapter;
use super::gpu::GpuExecutor;
use super::handle::Handle;
use super::host::available_memory;
use super::memory::Memory;
use super::memory_model::BufferLimits;
use super::pipelines::{Pipelines, Trust};
use super::readback::Readback;
use super::tuning::Tuning;
use crate::error::{Error, Result};
use crate::kernel::{Changes, DeviceTraits, MatrixUnits, UnitOperands};

impl GpuExecutor {
    /// Opens an adapter with all its limits.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the driver refuses.
    pub fn new(adapter: &Adapter) -> Result<GpuExecutor> {
        GpuExecutor::open(adapter, None)
    }

    /// Opens an adapter and uses its matrix units for products of these operands, without testing them.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the driver refuses or there are no matrix units.
    pub fn with_units(adapter: &Adapter, operands: UnitOperands) -> Result<GpuExecutor> {
        Ok(GpuExecutor {
            on_units: Some(operands),
            ..GpuExecutor::with_explicit_units(adapter)?
        })
    }

    /// The same with this unit.
    pub(super) fn with_unit(
        adapter: &Adapter,
        unit: MatrixUnits,
        operands: UnitOperands,
    ) -> Result<GpuExecutor> {
        Ok(GpuExecutor {
            on_units: Some(operands),
            ..GpuExecutor::open(adapter, Some(unit))?
        })
    }

    /// Opens an adapter so that kernels for its matrix units can be loaded, but never replace other kernels. For tests.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the driver refuses or there are no matrix units.
    pub fn with_explicit_units(adapter: &Adapter) -> Result<GpuExecutor> {
        match adapter.summary.unit() {
            Some(unit) => GpuExecutor::open(adapter, Some(unit)),
            None => Err(Error::device("this device has no matrix units")),
        }
    }

    /// Opens an adapter, and its matrix units if `unit` is given.
    #[allow(unsafe_code)]
    pub(super) fn open(adapter: &Adapter, unit: Option<MatrixUnits>) -> Result<GpuExecutor> {
        let limits = adapter.inner.limits();
        let subgroup = adapter.summary.subgroup();
        let mut more = wgpu::Features::empty();
        more.set(wgpu::Features::SUBGROUP, subgroup.is_some());
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if unit.is_some() {
            more = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP;
            // SAFETY: wgpu asks for an acknowledgement that experimental features may have bugs. Cooperative matrices are the
            // only one used, in products and in the kernel that measures the units; training uses them only after a trial.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let request = adapter.inner.request_device(&wgpu::DeviceDescriptor {
            label: Some("wlstm"),
            required_limits: limits.clone(),
            // For profiles, mixed precision, matrix units and subgroups. Nothing else is required.
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
        let limits = BufferLimits {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
        };
        // Software adapters use host memory.
        let budget = if adapter.summary.is_hardware() {
            None
        } else {
            available_memory()
        };
        Ok(GpuExecutor {
            adapter: adapter.clone(),
            handle: Handle::new(device, queue),
            memory: Memory::new(limits, budget),
            // GPUs have a fused multiply-add; llvmpipe rounds twice.
            pipelines: Pipelines::new(DeviceTraits {
                fuses: adapter.summary.is_hardware(),
                unit,
                subgroup,
                workgroup_bytes: adapter.summary.max_workgroup_bytes,
            }),
            on_units: None,
            without: Changes::NONE,
            tuning: None,
            watch: Box::new(|_, _| {}),
            plans: Vec::new(),
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            unsent: 0,
            readback: Readback::default(),
            loses_device: None,
        })
    }

    /// Runs each kernel of the plans loaded from now on in the form that is fastest on this adapter, and measures the forms
    /// if no earlier run has done so. Results do not depend on it. Does nothing on adapters without timestamps.
    ///
    /// `cache` is the folder that keeps the results. `watch` is called with the measurements done and their total, starting with 0; it is not called if nothing is measured.
    pub fn tune(&mut self, cache: Option<PathBuf>, watch: impl Fn(u64, u64) + Send + 'static) {
        self.watch = Box::new(watch);
        if self.adapter.summary.timestamps {
            let candidates = self.candidates();
            self.tuning = Some(Tuning::open(&self.adapter.summary, candidates, cache));
        }
    }

    /// Disables the run-time checks of wgpu for kernels of the plans loaded from now on, each after it was found (by this run or
    /// an earlier one) to compute correctly without them on this adapter. Results do not depend on it.
    pub fn trust(&mut self) {
        self.pipelines.trust = Trust::Tried(Default::default());
    }

    /// Switches changes off, in plans built for [`limits`](super::Executor::limits) and among the forms of kernels. Must be
    /// called before [`GpuExecutor::tune`].
    pub fn leave_out(&mut self, changes: Changes) {
        self.without = changes;
    }

    /// The number of kernels that run without checks, and the number that were tried.
    pub fn trusted(&self) -> (usize, usize) {
        match &self.pipelines.trust {
            Trust::Tried(found) => (found.values().filter(|good| **good).count(), found.len()),
            Trust::Nothing | Trust::Everything => (0, 0),
        }
    }

    /// Disables the run-time checks of wgpu for every kernel. For tests.
    pub fn trust_everything(&mut self) {
        self.pipelines.trust = Trust::Everything;
    }

    /// The limits of the device in bytes.
    pub fn byte_limits(&self) -> BufferLimits {
        self.memory.limits()
    }

    /// Destroys the device, as a failing driver would: every later call returns
    /// [`Kind::Device`](crate::error::Kind::Device). For tests of lost devices.
    pub fn destroy(&self) {
        self.handle.device.destroy();
    }
}
