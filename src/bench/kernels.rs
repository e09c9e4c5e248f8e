//! Kernels alone: the cases of the tests that are large enough, timed, and what they reach of what the device could.

use serde::Serialize;

use super::step::median;
use crate::device::Executor;
use crate::device::single::time_case;
use crate::error::Result;
use crate::kernel::{Case, Fill, Halves, Kernel};
use crate::kernels::catalogue;
use crate::kernels::matmul::peak_units;
use crate::kernels::pointwise::{copy, multiply_add};

/// What a device reached at best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peaks {
    /// FLOPs a second in `f32`, of multiplications and additions in registers.
    pub flops_per_second: f64,
    /// Bytes a second, read and written, of a copy that no cache holds.
    pub bytes_per_second: f64,
    /// FLOPs a second of its matrix units, from registers; none where it has none, or they are not used.
    pub unit_flops_per_second: Option<f64>,
}

impl Peaks {
    /// The part of the device's best that work of these rates is: of the arithmetic that the kernel uses or of memory, whichever
    /// is more.
    pub fn share(&self, kernel: &Kernel, flops_per_second: f64, bytes_per_second: f64) -> f64 {
        let best = match self.unit_flops_per_second {
            Some(best) if kernel.needs_units() => best,
            _ => self.flops_per_second,
        };
        let arithmetic = flops_per_second / best;
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
    let none = Halves::NONE;
    let seconds = shortest(executor, &multiply_add::KERNEL, &arithmetic, none)?;
    let (flops, _) = rates(&multiply_add::KERNEL, &arithmetic, seconds, none);
    let seconds = shortest(executor, &copy::KERNEL, &memory, none)?;
    let (_, bytes) = rates(&copy::KERNEL, &memory, seconds, none);
    Ok(Peaks {
        flops_per_second: flops,
        bytes_per_second: bytes,
        unit_flops_per_second: unit_peak(executor)?,
    })
}

/// FLOPs a second of matrix units.
fn unit_peak(executor: &mut dyn Executor) -> Result<Option<f64>> {
    let kernel = &peak_units::KERNEL;
    let halves = Halves::all(kernel);
    if !executor.runs(kernel, halves) {
        return Ok(None);
    }
    // Devices differ a thousandfold: as many rounds as take half a millisecond, so that starting does not count.
    let (enough, most) = (5e-4, 1 << 14);
    let mut rounds = 4;
    loop {
        let case = peak_units::case("peak", 8192, rounds);
        let seconds = shortest(executor, kernel, &case, halves)?;
        if seconds >= enough || rounds >= most {
            return Ok(Some(rates(kernel, &case, seconds, halves).0));
        }
        rounds *= 4;
    }
}

/// Seconds of the shortest run.
fn shortest(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    halves: Halves,
) -> Result<f64> {
    let times = time_case(executor, kernel, case, TIMES, halves)?;
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
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
