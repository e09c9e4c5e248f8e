//! The devices of a training run.

use super::distributed::LocalProcess;
use super::observer::Observer;
use super::resume::Resumed;
use crate::checkpoint::RunRecord;
use crate::config::{Config, Precision};
use crate::device::{Device, Executor, ExecutorOptions, Workload, choose_all};
use crate::error::Result;
use crate::train::watch::Event;

/// Opens devices to train with a configuration.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) for a selector that cannot be read,
/// [`Kind::Device`](crate::error::Kind::Device) if there is no such device.
pub fn training_executors<S: AsRef<str>>(
    selectors: &[S],
    config: &Config,
    options: &ExecutorOptions,
    observer: &mut Observer<'_>,
) -> Result<Vec<Box<dyn Executor>>> {
    let workload = workload_of(config.train.precision);
    let choices = choose_all(selectors, LocalProcess::current().rank)?;
    let mut executors = Vec::new();
    for choice in choices {
        observer(Event::Device {
            reason: choice.reason,
        });
        if let Some(text) = note_on_precision(&choice.device, config.train.precision) {
            observer(Event::Note {
                text: text.to_owned(),
            });
        }
        executors.push(choice.device.open(workload, options)?);
    }
    Ok(executors)
}

/// What a user should know who trains in this precision on this device.
fn note_on_precision(device: &Device, precision: Precision) -> Option<&'static str> {
    match (precision, device) {
        (Precision::Mixed, Device::Cpu) => Some(
            "Mixed precision on the CPU rounds to f16 where a GPU would store it, but is not faster than f32.",
        ),
        (Precision::F32x3, Device::Cpu) => {
            Some("The CPU has no matrix units: products of \"f32x3\" are computed in f32.")
        }
        (Precision::F32x3, Device::Gpu(adapter)) if adapter.summary.trained_on().is_none() => Some(
            "This device has no matrix units in hardware: products of \"f32x3\" are computed in f32.",
        ),
        _ => None,
    }
}

/// The workload of training in this precision.
pub fn workload_of(precision: Precision) -> Workload {
    match precision {
        Precision::F32 => Workload::F32,
        Precision::Mixed => Workload::Mixed,
        Precision::F32x3 => Workload::F32x3,
    }
}

/// Reports that a run continues on different devices than before.
pub(super) fn note_other_devices(
    resumed: &Resumed,
    executors: &[Box<dyn Executor>],
    observer: &mut Observer<'_>,
) {
    let Ok(record) = RunRecord::read(&resumed.folder) else {
        return;
    };
    // The number of CPU threads does not affect results.
    let kind = |name: &str| match name.split_once(" (") {
        Some(("cpu", _)) => "cpu".to_owned(),
        _ => name.to_owned(),
    };
    let kinds = |names: &[String]| names.iter().map(|name| kind(name)).collect::<Vec<_>>();
    let now: Vec<String> = executors
        .iter()
        .map(|executor| executor.describe())
        .collect();
    let before: Vec<String> = record.devices.into_iter().take(now.len()).collect();
    if !before.is_empty() && kinds(&before) != kinds(&now) {
        observer(Event::Note {
            text: format!(
                "The run was trained on {} and continues on {}: the results will differ by rounding from those of a run on one device.",
                before.join(" + "),
                now.join(" + ")
            ),
        });
    }
}
