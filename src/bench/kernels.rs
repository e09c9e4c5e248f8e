//! Each kernel alone: the test cases that are large enough to time.

use serde::Serialize;

use super::median;
use super::peaks::{Peaks, RUNS, rates};
use crate::device::Executor;
use crate::device::single::time_case;
use crate::error::Result;
use crate::kernel::{Halves, Kernel};
use crate::kernels::catalogue;

/// A timed case.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTime {
    /// The name of the kernel.
    pub kernel: &'static str,
    /// The label of the case.
    pub case: &'static str,
    /// `f32`, or `mixed` if operands and results are `f16`.
    pub precision: &'static str,
    /// The median time in seconds.
    pub seconds: f64,
    /// FLOPs of matrix products per second; 0 for other kernels.
    pub flops_per_second: f64,
    /// Bytes per second, each element counted once.
    pub bytes_per_second: f64,
    /// See [`Peaks::share`]. Can exceed 1 for cases that fit in a cache.
    pub share_of_peak: f64,
}

/// The timed cases of a device.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTimes {
    /// The device.
    pub device: String,
    /// Its peaks.
    pub peaks: Peaks,
    /// The cases.
    pub kernels: Vec<KernelTime>,
}

/// The kernels that have a case to time.
pub fn measured() -> impl Iterator<Item = &'static Kernel> {
    catalogue().filter(|kernel| (kernel.cases)().iter().any(|case| case.timed))
}

/// Times the kernels whose name contains `filter`, in every precision that the device runs.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
pub fn kernels(executor: &mut dyn Executor, filter: &str) -> Result<KernelTimes> {
    let peaks = Peaks::measure(executor)?;
    let mut found = Vec::new();
    for kernel in measured().filter(|kernel| kernel.name.contains(filter)) {
        for case in (kernel.cases)().iter().filter(|case| case.timed) {
            for (precision, halves) in [("f32", Halves::NONE), ("mixed", kernel.all_halves())] {
                let is_repeated = precision == "mixed" && halves.is_empty();
                if is_repeated || !executor.runs(kernel, halves) {
                    continue;
                }
                let mut times = time_case(executor, kernel, case, RUNS, halves)?;
                let seconds = median(&mut times);
                let (flops, bytes) = rates(kernel, case, seconds, halves);
                found.push(KernelTime {
                    kernel: kernel.name,
                    case: case.label,
                    precision,
                    seconds,
                    flops_per_second: flops,
                    bytes_per_second: bytes,
                    share_of_peak: peaks.share(kernel, flops, bytes),
                });
            }
        }
    }
    Ok(KernelTimes {
        device: executor.describe(),
        peaks,
        kernels: found,
    })
}
