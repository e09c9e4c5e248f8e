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
    /// Bytes a second, read and written, of a copy of 128 MiB, or of half the largest binding if that is less.
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

/// Elements of the copy that tells what memory can do: 128 MiB there and 128 MiB back, more than caches hold.
const MOST_COPIED: usize = 32 << 20;

/// Runs of a case.
const TIMES: usize = 15;

/// Measures what a device can do at best.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if it has no room or is lost.
pub fn peaks(executor: &mut dyn Executor) -> Result<Peaks> {
    let fill = |len: usize| vec![Fill::signed(len), Fill::Output(len)];
    let len = MOST_COPIED.min(executor.limits().slice / 2);
    let memory = Case::new("peak", &copy::Params { len: len as u32 }, 1, fill(len));
    let none = Halves::NONE;
    let seconds = shortest(executor, &copy::KERNEL, &memory, none)?;
    let (_, bytes) = rates(&copy::KERNEL, &memory, seconds, none);
    let arithmetic = |rounds| {
        let len = 1 << 22;
        let params = multiply_add::Params {
            len,
            rounds,
            factor: 0.5,
            term: 0.25,
        };
        Case::new("peak", &params, 1, fill(len as usize))
    };
    let flops = arithmetic_peak(executor, &multiply_add::KERNEL, none, 512, arithmetic)?;
    let units = &peak_units::KERNEL;
    let halves = Halves::all(units);
    let blocks = |rounds| peak_units::case("peak", 1 << 13, rounds);
    Ok(Peaks {
        flops_per_second: flops,
        bytes_per_second: bytes,
        unit_flops_per_second: match executor.runs(units, halves) {
            true => Some(arithmetic_peak(executor, units, halves, 4, blocks)?),
            false => None,
        },
    })
}

/// FLOPs a second of a kernel that repeats its arithmetic for so many rounds: of so many that more of them are no faster, as
/// starting and memory then do not count, or that take long.
fn arithmetic_peak(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    halves: Halves,
    mut rounds: u32,
    case: impl Fn(u32) -> Case,
) -> Result<f64> {
    let (more, long, most) = (1.02, 0.05, 1 << 16);
    let mut best = 0.0;
    loop {
        let case = case(rounds);
        let seconds = shortest(executor, kernel, &case, halves)?;
        let (flops, _) = rates(kernel, &case, seconds, halves);
        if flops < more * best || seconds >= long || rounds >= most {
            return Ok(flops.max(best));
        }
        best = flops;
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

/// FLOPs and bytes a second of a case that took so long.
pub(crate) fn rates(kernel: &Kernel, case: &Case, seconds: f64, halves: Halves) -> (f64, f64) {
    let lens = case.buffers.iter().map(|fill| fill.len());
    let work = kernel.cost(&case.params, lens, halves);
    (work.flops as f64 / seconds, work.bytes as f64 / seconds)
}

/// The kernels that are timed, where a device runs them.
pub fn measured() -> impl Iterator<Item = &'static Kernel> {
    catalogue().filter(|kernel| (kernel.cases)().iter().any(|case| case.timed))
}

/// Times the kernels whose name contains `filter`.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device has no room or is lost.
pub fn kernels(executor: &mut dyn Executor, filter: &str) -> Result<KernelTimes> {
    let peaks = peaks(executor)?;
    let mut found = Vec::new();
    for kernel in measured().filter(|kernel| kernel.name.contains(filter)) {
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
