//! Kernels alone: the cases of the tests that are large enough, timed, and what they reach of what the device could.

use serde::Serialize;

use super::step::median;
use crate::device::Executor;
use crate::device::single::time_case;
use crate::error::Result;
use crate::kernel::{Case, Fill, Halves, Kernel};
use crate::kernels::catalogue;
use crate::kernels::pointwise::{copy, multiply_add};

/// What a device reached at best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peaks {
    /// FLOPs a second in `f32`, of multiplications and additions in registers.
    pub flops_per_second: f64,
    /// Bytes a second, read and written, of a copy that no cache holds.
    pub bytes_per_second: f64,
}

impl Peaks {
    /// The part of the device's best that work of these rates is: of arithmetic or of memory, whichever is more.
    pub fn share(&self, flops_per_second: f64, bytes_per_second: f64) -> f64 {
        let arithmetic = flops_per_second / self.flops_per_second;
        arithmetic.max(bytes_per_second / self.bytes_per_second)
    }
}

/// A case that was timed.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: &'static str,
    /// The case.
    pub case: &'static str,
    /// `f32`, or `mixed` where operands and results are `f16`.
    pub precision: &'static str,
    /// The median.
    pub seconds: f64,
    /// FLOPs of products a second; 0 for kernels without.
    pub flops_per_second: f64,
    /// Bytes a second, each element counted once.
    pub bytes_per_second: f64,
    /// See [`Peaks::share`]. Small cases live in caches, and can be above 1.
    pub share_of_peak: f64,
}

/// Every case that was timed.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTimes {
    /// The device.
    pub device: String,
    /// What it reached at best.
    pub peaks: Peaks,
    /// The cases.
    pub kernels: Vec<KernelTime>,
}

/// Runs of a case.
const TIMES: usize = 15;

/// Measures what a device can do at best.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if it has no room or is lost.
pub fn peaks(executor: &mut dyn Executor) -> Result<Peaks> {
    let len = 1 << 20;
    let arithmetic = multiply_add::Params {
        len,
        rounds: 512,
        factor: 0.5,
        term: 0.25,
    };
    let fill = |len: u32| vec![Fill::signed(len as usize), Fill::Output(len as usize)];
    let arithmetic = Case::new("peak", &arithmetic, 1, fill(len));
    let len = 8 << 20;
    let memory = Case::new("peak", &copy::Params { len }, 1, fill(len));
    let (flops, _) = best(executor, &multiply_add::KERNEL, &arithmetic)?;
    let (_, bytes) = best(executor, &copy::KERNEL, &memory)?;
    Ok(Peaks {
        flops_per_second: flops,
        bytes_per_second: bytes,
    })
}

/// FLOPs and bytes a second of the shortest run.
fn best(executor: &mut dyn Executor, kernel: &'static Kernel, case: &Case) -> Result<(f64, f64)> {
    let mut times = time_case(executor, kernel, case, TIMES, Halves::NONE)?;
    times.sort_by(f64::total_cmp);
    Ok(rates(kernel, case, times[0], Halves::NONE))
}

fn rates(kernel: &Kernel, case: &Case, seconds: f64, halves: Halves) -> (f64, f64) {
    let lens = case.buffers.iter().map(|fill| fill.len());
    let work = kernel.cost(&case.params, lens, halves);
    (work.flops as f64 / seconds, work.bytes as f64 / seconds)
}

/// Times the kernels whose name contains `filter`.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device has no room or is lost.
pub fn kernels(executor: &mut dyn Executor, filter: &str) -> Result<KernelTimes> {
    let peaks = peaks(executor)?;
    let mut found = Vec::new();
    for kernel in catalogue().filter(|kernel| kernel.name.contains(filter)) {
        for case in (kernel.cases)().iter().filter(|case| case.timed) {
            for (precision, halves) in [("f32", Halves::NONE), ("mixed", Halves::all(kernel))] {
                let is_twice = precision == "mixed" && halves.is_empty();
                if is_twice || !executor.runs(kernel, halves) {
                    continue;
                }
                let mut times = time_case(executor, kernel, case, TIMES, halves)?;
                let seconds = median(&mut times);
                let (flops, bytes) = rates(kernel, case, seconds, halves);
                found.push(KernelTime {
                    kernel: kernel.name,
                    case: case.label,
                    precision,
                    seconds,
                    flops_per_second: flops,
                    bytes_per_second: bytes,
                    share_of_peak: peaks.share(flops, bytes),
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
