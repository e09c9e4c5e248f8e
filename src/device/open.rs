//! From a chosen device to its executor.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::cpu::CpuExecutor;
use super::executor::{Executor, LossTest};
use super::gpu::GpuExecutor;
use super::memory_model::MemoryInfo;
use super::selector::Device;
use crate::error::{Error, Result};
use crate::files::cache_folder;
use crate::graph::memory::Limits;
use crate::kernel::{Changes, UnitOperands};
use crate::team;

/// What an executor is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Plans in `f32`.
    F32,
    /// Plans in mixed precision: products of `f16` run on the matrix units of a GPU that has them.
    Mixed,
    /// Plans in `f32` whose products run on the matrix units of a GPU that has them, with split operands.
    F32x3,
    /// Single kernels, each in the requested form, including those for matrix units.
    Kernels,
}

/// How a device runs its kernels. `without` can change how results are rounded, on all devices. The other options affect only the
/// speed, and only on GPUs.
///
/// Matrix units change results, so they are no option: each executor decides on them when it is opened. One for
/// [`Workload::Mixed`] or [`Workload::F32x3`] uses them if its device has them and they pass a test.
#[derive(Clone)]
pub struct ExecutorOptions {
    /// Uses the fastest form of each kernel. A GPU that is new to this machine is measured first. Without it, every kernel runs
    /// in its default form. Default: true.
    pub tune: bool,
    /// Keeps the run-time checks of wgpu in all kernels, even in those that are known to compute correctly
    /// without them. Default: false.
    pub checked: bool,
    /// The folder of tuning results, one file `tuning-*.json` for each adapter and driver. `None`: results are not stored.
    /// Default: [`cache_folder`], which is `WLSTM_CACHE`, or `wlstm` in the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Changes that are switched off, to measure what they gain. Default: none.
    pub without: Changes,
    /// Called during tuning with the number of measurements done and the number of all measurements. Default: none.
    pub on_tuning: Option<TuningObserver>,
    /// Called with the name of each plan that starts to run on a GPU. If it returns true, the device is destroyed during this
    /// run, as if the driver had failed. For tests of lost devices. Default: none.
    pub loses_device: Option<LossTest>,
}

/// Called with the measurements that are done, from 0, and all of them.
pub type TuningObserver = Arc<dyn Fn(u64, u64) + Send + Sync>;

impl Default for ExecutorOptions {
    fn default() -> ExecutorOptions {
        ExecutorOptions {
            tune: true,
            checked: false,
            cache: cache_folder(),
            without: Changes::NONE,
            on_tuning: None,
            loses_device: None,
        }
    }
}

impl fmt::Debug for ExecutorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorOptions")
            .field("tune", &self.tune)
            .field("checked", &self.checked)
            .field("cache", &self.cache)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the driver returns an error, or a thread cannot be started.
    pub fn open(&self, workload: Workload, options: &ExecutorOptions) -> Result<Box<dyn Executor>> {
        team::start().map_err(Error::no_thread)?;
        let Device::Gpu(adapter) = self else {
            return Ok(Box::new(CpuExecutor::<f32>::without(options.without)));
        };
        let cache = options.cache.clone().filter(|_| options.tune);
        let on_units = |operands| GpuExecutor::with_tried_units(adapter, operands, cache.clone());
        let mut executor = match workload {
            Workload::Mixed => on_units(UnitOperands::Halves)?,
            Workload::F32x3 => on_units(UnitOperands::Split)?,
            Workload::Kernels if adapter.summary.unit().is_some() => {
                GpuExecutor::with_explicit_units(adapter)?
            }
            Workload::F32 | Workload::Kernels => GpuExecutor::new(adapter)?,
        };
        executor.leave_out(options.without);
        if options.tune && workload != Workload::Kernels {
            let observer = options.on_tuning.clone();
            executor.tune(options.cache.clone(), move |done, all| {
                if let Some(observer) = &observer {
                    observer(done, all);
                }
            });
        }
        executor.loses_device.clone_from(&options.loses_device);
        // Software adapters are slower without the checks.
        if !options.checked && adapter.summary.is_hardware() {
            executor.trust();
        }
        Ok(Box::new(executor))
    }

    /// The limits that plans for this workload must keep to, without opening the device.
    pub fn limits(&self, workload: Workload) -> Limits {
        match self {
            Device::Cpu => CpuExecutor::<f32>::new().limits(),
            Device::Gpu(adapter) => {
                let on_units = matches!(workload, Workload::Mixed | Workload::F32x3);
                adapter.limits(on_units)
            }
        }
    }

    /// The memory of the device, without opening it.
    pub fn memory_info(&self) -> MemoryInfo {
        match self {
            Device::Cpu => CpuExecutor::<f32>::new().memory_info(),
            Device::Gpu(adapter) => adapter.memory_info(),
        }
    }
}
