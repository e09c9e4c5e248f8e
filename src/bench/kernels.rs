//! Each kernel alone: the test cases that are large enough to time.

use serde::Serialize;

use super::median;
use super::micro::{Micro, copies, dispatches};
use super::peaks::{Peaks, RUNS, rates};
use super::products::{ProductTime, products};
use crate::device::Executor;
use crate::device::single::time_case;
use crate::error::Result;
use crate::kernel::{Halves, Kernel, UnitOperands};
use crate::kernels::catalogue;

/// A timed case.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTime {
    /// The name of the kernel.
    pub kernel: &'static str,
    /// The label of the case.
    pub case: &'static str,
    /// `f32`; `f32x3` with split operands on matrix units; `mixed` if operands and results are `f16`.
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
    /// The cases; empty if they were not measured.
    pub kernels: Vec<KernelTime>,
    /// The matrix products of the paper's models; empty if they were not measured.
    pub products: Vec<ProductTime>,
    /// Copies and short dispatches, if they were measured.
    pub micro: Option<Micro>,
}

impl KernelTimes {
    /// Whether nothing was measured except peaks.
    pub fn is_empty(&self) -> bool {
        self.kernels.is_empty() && self.products.is_empty() && self.micro.is_none()
    }
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The cases of every kernel.
    Cases,
    /// The matrix products of the paper's models.
    Products,
    /// Copies and short dispatches.
    Micro,
}

impl Part {
    /// All parts.
    pub const ALL: [Part; 3] = [Part::Cases, Part::Products, Part::Micro];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::Cases => "cases",
            Part::Products => "products",
            Part::Micro => "micro",
        }
    }
}

/// The kernels that have a case to time.
pub fn measured() -> impl Iterator<Item = &'static Kernel> {
    catalogue().filter(|kernel| (kernel.cases)().iter().any(|case| case.timed))
}

/// Measures some parts: kernels whose name contains `filter`, in every precision that the device runs.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
pub fn kernels(executor: &mut dyn Executor, parts: &[Part], filter: &str) -> Result<KernelTimes> {
    let copies = copies(executor)?;
    let peaks = Peaks::with(executor, &copies)?;
    let has = |part| parts.contains(&part);
    let micro = if has(Part::Micro) {
        let dispatches = dispatches(executor)?;
        Some(Micro { copies, dispatches })
    } else {
        None
    };
    let products = if has(Part::Products) {
        products(executor, &peaks, filter)?
    } else {
        Vec::new()
    };
    let cases = if has(Part::Cases) {
        cases(executor, &peaks, filter)?
    } else {
        Vec::new()
    };
    Ok(KernelTimes {
        device: executor.describe(),
        peaks,
        kernels: cases,
        products,
        micro,
    })
}

/// Times the cases of kernels.
fn cases(executor: &mut dyn Executor, peaks: &Peaks, filter: &str) -> Result<Vec<KernelTime>> {
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
                let precision = match kernel.requires.unit_operands {
                    UnitOperands::Split => "f32x3",
                    UnitOperands::Halves => precision,
                };
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
    Ok(found)
}
