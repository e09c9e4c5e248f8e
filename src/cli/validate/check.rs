//! The check of one device: its kernels, then training steps.

use super::super::args::Invocation;
use super::super::executors::executor_options;
use super::super::progress::Live;
use super::document::{Document, Trained, cause};
use crate::config::Precision;
use crate::device::{
    AdapterSummary, CpuExecutor, Device, Executor, ExecutorOptions, GpuExecutor, describe_system,
};
use crate::error::{Error, Result};
use crate::job::workload_of;
use crate::kernel::Kernel;
use crate::kernels::catalogue;
use crate::validate::golden::{Difference, Golden, Single, Tolerance, worst};
use crate::validate::kernels::{Coverage, kernel, on_host};

/// The kernels and models to check.
pub(super) struct Selection {
    kernels: Vec<&'static Kernel>,
    models: Vec<&'static str>,
}

impl Selection {
    /// Those whose name contains `filter`.
    ///
    /// # Errors
    ///
    /// Usage, if there are none.
    pub fn new(filter: &str) -> Result<Selection> {
        let models: Vec<&'static str> = Golden::names().collect();
        let selection = Selection {
            kernels: catalogue()
                .filter(|kernel| kernel.name.contains(filter))
                .collect(),
            models: models
                .iter()
                .copied()
                .filter(|model| format!("golden/{model}").contains(filter))
                .collect(),
        };
        if selection.kernels.is_empty() && selection.models.is_empty() {
            let kernels = catalogue().map(|kernel| kernel.name.to_owned());
            let models = models.iter().map(|model| format!("golden/{model}"));
            let names: Vec<String> = kernels.chain(models).collect();
            return Err(
                Error::usage(format!("no kernel and no model has `{filter}` in its name"))
                    .help(format!("give part of one of these: {}", names.join(", "))),
            );
        }
        Ok(selection)
    }
}

/// Checks a device.
pub(super) fn check(
    device: Device,
    selection: &Selection,
    invocation: &Invocation,
) -> Result<Document> {
    let adapter = match &device {
        Device::Cpu => None,
        Device::Gpu(adapter) => Some(adapter.summary.clone()),
    };
    let mut executor = executor_of_kernels(&device)?;
    let name = executor.describe();
    let precisions: &[Precision] = match &adapter {
        Some(adapter) if !adapter.f16 => &[Precision::F32],
        Some(adapter) if adapter.trained_on().is_some() => {
            &[Precision::F32, Precision::Mixed, Precision::F32x3]
        }
        _ => &[Precision::F32, Precision::Mixed],
    };
    let all = selection.kernels.len() + precisions.len() * selection.models.len();
    let live = Live::new("validating", invocation.quiet());
    let mut done = 0;
    let mut show = |name: &str| {
        live.show_named(name, done, all as u64);
        done += 1;
    };
    let coverage = if adapter.as_ref().is_none_or(AdapterSummary::is_hardware) {
        Coverage::Full
    } else {
        Coverage::Reduced
    };
    let mut kernels = Vec::new();
    for one in &selection.kernels {
        show(one.name);
        kernels.push(match &device {
            Device::Cpu => on_host(&mut *executor, one)?,
            Device::Gpu(_) => kernel(&mut *executor, one, coverage)?,
        });
    }
    drop(executor);
    let mut options = executor_options(invocation, true);
    // The same as in training, except on software adapters, where tuning takes too long.
    options.tune &= adapter.as_ref().is_some_and(AdapterSummary::is_hardware);
    let mut training = Vec::new();
    for &precision in precisions {
        for &model in &selection.models {
            show(model);
            training.push(train(&device, &options, model, precision)?);
        }
    }
    live.end();
    let agrees = kernels.iter().all(|found| found.failure.is_none())
        && training.iter().all(|trained| trained.agrees);
    Ok(Document {
        version: env!("CARGO_PKG_VERSION"),
        system: describe_system(),
        device: name,
        adapter,
        agrees,
        kernels,
        training,
    })
}

/// An executor for single kernels. It keeps the run-time checks of all kernels.
fn executor_of_kernels(device: &Device) -> Result<Box<dyn Executor>> {
    Ok(match device {
        Device::Cpu => Box::new(CpuExecutor::<f32>::new()),
        Device::Gpu(adapter) if adapter.summary.unit().is_some() => {
            Box::new(GpuExecutor::with_explicit_units(adapter)?)
        }
        Device::Gpu(adapter) => Box::new(GpuExecutor::new(adapter)?),
    })
}

/// Trains a model for three steps and compares it with its reference. Each model has its own executor, because
/// tensors of the same name differ in size between models.
fn train(
    device: &Device,
    options: &ExecutorOptions,
    model: &'static str,
    precision: Precision,
) -> Result<Trained> {
    let mut executor = device.open(workload_of(precision), options)?;
    let tolerance = if precision.stores_halves() {
        Tolerance::MIXED
    } else {
        Tolerance::SINGLE
    };
    let found = Golden::named(model).check(&mut Single(&mut *executor), precision, tolerance);
    let (tensors, worst, failure) = match found {
        Ok(found) => (found.len(), worst(&found).cloned(), None),
        Err(error) => {
            // A lost device ends the command.
            executor.check()?;
            (0, None, Some(cause(&error)))
        }
    };
    Ok(Trained {
        model,
        precision: precision.as_str(),
        agrees: failure.is_none() && worst.as_ref().is_none_or(Difference::is_tolerable),
        tensors,
        worst,
        failure,
    })
}
