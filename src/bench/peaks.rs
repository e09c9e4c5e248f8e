//! The best rates of a device: arithmetic in registers, matrix units, and copies of large arrays.

use serde::Serialize;

use super::micro::{CopyTime, copies};
use crate::device::Executor;
use crate::device::single::time_case;
use crate::error::Result;
use crate::kernel::{Case, Fill, Halves, Kernel, UnitOperands};
use crate::kernels::matmul::peak_units;
use crate::kernels::pointwise::multiply_add;

/// Runs of a case; the time of a case is the median or the minimum over them.
pub(super) const RUNS: usize = 15;

/// The best rates that a device reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peaks {
    /// FLOPs per second in `f32`, from multiplications and additions in registers.
    pub flops_per_second: f64,
    /// Bytes per second, read plus written, of the fastest form of a copy of 512 MiB, more than caches hold (less if the largest
    /// binding or an eighth of the memory is smaller).
    pub bytes_per_second: f64,
    /// FLOPs per second of the matrix units, from registers. `None` if the device has none or they are not used.
    pub unit_flops_per_second: Option<f64>,
}

impl Peaks {
    /// The rates of a kernel as a share of the peak that bounds it: arithmetic (of the units that the kernel uses) or memory,
    /// whichever share is larger.
    pub fn share(&self, kernel: &Kernel, flops_per_second: f64, bytes_per_second: f64) -> f64 {
        let arithmetic = flops_per_second / self.of(kernel);
        arithmetic.max(bytes_per_second / self.bytes_per_second)
    }

    /// The arithmetic peak of a kernel, in FLOPs of its product. One with split operands computes three products for one.
    pub(super) fn of(&self, kernel: &Kernel) -> f64 {
        match self.unit_flops_per_second {
            Some(best) if kernel.needs_units() => match kernel.requires.unit_operands {
                UnitOperands::Halves => best,
                UnitOperands::Split => best / 3.0,
            },
            _ => self.flops_per_second,
        }
    }

    /// Measures the peaks of a device.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
    pub fn measure(executor: &mut dyn Executor) -> Result<Peaks> {
        let copies = copies(executor)?;
        Peaks::with(executor, &copies)
    }

    /// The same with copies that are already measured.
    pub(super) fn with(executor: &mut dyn Executor, copies: &[CopyTime]) -> Result<Peaks> {
        let rates_of_copies = copies.iter().map(|copy| copy.bytes_per_second);
        let bytes = rates_of_copies.fold(0.0, f64::max);
        let fill = |len: usize| vec![Fill::signed(len), Fill::Output(len)];
        let none = Halves::NONE;
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
        let halves = units.all_halves();
        let blocks = |rounds| peak_units::case("peak", 1 << 13, rounds);
        let unit_flops = if executor.runs(units, halves) {
            Some(arithmetic_peak(executor, units, halves, 4, blocks)?)
        } else {
            None
        };
        Ok(Peaks {
            flops_per_second: flops,
            bytes_per_second: bytes,
            unit_flops_per_second: unit_flops,
        })
    }
}

/// FLOPs per second of a kernel that repeats its arithmetic for `rounds`. Increases `rounds` until the rate stops growing, so
/// that start-up and memory no longer count, or until a run takes long.
fn arithmetic_peak(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    halves: Halves,
    mut rounds: u32,
    case: impl Fn(u32) -> Case,
) -> Result<f64> {
    const GROWTH: f64 = 1.02;
    const LONG: f64 = 0.05;
    const MAX_ROUNDS: u32 = 1 << 16;
    let mut best = 0.0;
    loop {
        let case = case(rounds);
        let seconds = shortest(executor, kernel, &case, halves)?;
        let (flops, _) = rates(kernel, &case, seconds, halves);
        if flops < GROWTH * best || seconds >= LONG || rounds >= MAX_ROUNDS {
            return Ok(flops.max(best));
        }
        best = flops;
        rounds *= 4;
    }
}

/// The time of the shortest run in seconds.
fn shortest(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    halves: Halves,
) -> Result<f64> {
    let times = time_case(executor, kernel, case, RUNS, halves)?;
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}

/// FLOPs and bytes per second of a case that took `seconds`.
pub(crate) fn rates(kernel: &Kernel, case: &Case, seconds: f64, halves: Halves) -> (f64, f64) {
    let lens = case.buffers.iter().map(|fill| fill.len());
    let work = kernel.cost(&case.params, lens, halves);
    (work.flops as f64 / seconds, work.bytes as f64 / seconds)
}
