//! Runs every kernel on all its cases, in every variant that devices compile, and compares the results with its `f64` twin.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bench::median;
use crate::bench::peaks::rates;
use crate::device::Executor;
use crate::device::single::{
    Layout, as_stored, compare, fill, reference, rounded, run_case, run_on_host, time_case,
};
use crate::error::{Error, Kind, Result};
use crate::kernel::{Access, Case, CpuFn, Halves, Kernel};
use crate::kernels::is_form;
use crate::real::Real;
use crate::tensor::Dtype;

/// Both layouts, because devices compile different code for each.
pub const LAYOUTS: [Layout; 2] = [Layout::Apart, Layout::Together];

/// The seed of the contents of the cases.
const SEED: u64 = 1;

/// The number of timed runs of a case. Its time is their median.
const TIMED_RUNS: usize = 5;

/// Elements below this share of the largest element of their output have no relative error: cancellation leaves them few correct
/// digits. Subnormal numbers have none either.
const SMALL: f64 = 1.0 / 1024.0;

/// Which variants of a kernel are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every variant of every form.
    Full,
    /// Every variant of the first form of a kernel. Of the other forms, two variants of each case that is not timed. For software
    /// adapters, which take minutes to compile all variants.
    Reduced,
}

/// The element with the largest error of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LargestError {
    /// The error. Infinite if it is undefined, for example because one of the values is NaN; `null` in JSON.
    pub error: f64,
    /// The label of the case.
    pub case: &'static str,
    /// The variant, for example `f32, one buffer`.
    pub variant: String,
    /// The name of the binding.
    pub binding: &'static str,
    /// The index of the element in its slice.
    pub element: usize,
    /// The computed value.
    pub got: f64,
    /// The value of the reference.
    pub want: f64,
}

/// How the results of a kernel compare with its reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelReport {
    /// The name of the kernel.
    pub kernel: &'static str,
    /// The number of cases that ran.
    pub cases: usize,
    /// The number of runs: one for each variant of each case.
    pub runs: usize,
    /// The largest `|got - want|`. None if all results are exact.
    pub absolute: Option<LargestError>,
    /// The largest `|got - want| / |want|` among the elements that are at least 1/1024 of the largest element of their output.
    pub relative: Option<LargestError>,
    /// The largest `|got - want|` among the same elements, in units in the last place of `want`, of `f32` or
    /// `f16` as the output is.
    pub ulp: Option<LargestError>,
    /// The largest error as a share of its tolerance. The kernel is wrong if it exceeds 1.
    pub of_tolerance: f64,
    /// The time of one case.
    pub timed: Option<Timed>,
    /// The first failure, if any.
    pub failure: Option<String>,
    /// Why the kernel did not run, if it did not.
    pub left_out: Option<&'static str>,
}

/// The speed of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// The label of the case.
    pub case: &'static str,
    /// The median time in seconds.
    pub seconds: f64,
    /// FLOPs of matrix products per second; 0 for other kernels.
    pub flops_per_second: f64,
    /// Bytes per second, each element counted once.
    pub bytes_per_second: f64,
}

/// All variants of a case, by the bindings stored in `f16`: none, and every one that may be. Cases that are
/// not timed add two: the bindings that are only read, and the others.
pub fn variants(kernel: &Kernel, case: &Case) -> BTreeSet<Halves> {
    let some = |read: bool| {
        Halves::of(kernel.bindings.iter().map(|binding| {
            if binding.half && (binding.access == Access::Read) == read {
                Dtype::Half
            } else {
                binding.dtype
            }
        }))
    };
    let mut variants = BTreeSet::from([Halves::NONE, kernel.all_halves()]);
    if !case.timed {
        variants.extend([some(true), some(false)]);
    }
    variants.retain(|halves| kernel.takes(*halves));
    variants
}

/// The variants of a case to compare.
pub fn chosen(kernel: &Kernel, case: &Case, coverage: Coverage) -> BTreeSet<Halves> {
    if coverage == Coverage::Full || !is_form(kernel) {
        variants(kernel, case)
    } else if case.timed {
        BTreeSet::new()
    } else {
        BTreeSet::from([Halves::NONE, kernel.all_halves()])
    }
}

/// Compares a kernel with its reference on a device, and times one case.
///
/// # Errors
///
/// [`Kind::Device`] if the device is lost or out of memory. A wrong result is not an error: see [`KernelReport::failure`].
pub fn kernel(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    coverage: Coverage,
) -> Result<KernelReport> {
    let mut report = KernelReport::new(kernel);
    for case in (kernel.cases)() {
        let mut ran = false;
        for halves in chosen(kernel, &case, coverage) {
            if !executor.runs(kernel, halves) {
                continue;
            }
            ran = true;
            let contents = rounded(fill(kernel, &case, SEED), halves);
            let want = reference(kernel, &case, &contents);
            for layout in LAYOUTS {
                let variant = variant(kernel, halves, layout);
                match run_case(executor, kernel, &case, &contents, layout, halves) {
                    Ok(got) => report.add(kernel, &case, &got, &want, halves, variant),
                    Err(error) => report.add_failure(&*executor, &case, &variant, error)?,
                }
            }
        }
        report.cases += usize::from(ran);
    }
    if report.runs == 0 {
        report.left_out = Some(if kernel.needs_units() {
            "the device has no matrix units that multiply f16 and add in f32"
        } else {
            "the device does not have the subgroups that they require"
        });
    } else if report.failure.is_none() {
        report.timed = time(executor, kernel)?;
    }
    Ok(report)
}

/// Compares the CPU implementations of a kernel with its reference: the `f32` twin, and [`Kernel::cpu`] if
/// there is one. Times one case on the executor of the CPU.
///
/// # Errors
///
/// [`Kind::Device`] if memory runs out.
pub fn on_host(executor: &mut dyn Executor, kernel: &'static Kernel) -> Result<KernelReport> {
    let mut report = KernelReport::new(kernel);
    if is_form(kernel) || kernel.needs_units() {
        report.left_out = Some("the CPU has one form of a kernel");
        return Ok(report);
    }
    let implementations: Vec<(&str, CpuFn<f32>)> =
        [("twin", Some(kernel.twin.single)), ("fast", kernel.cpu)]
            .into_iter()
            .filter_map(|(name, run)| Some((name, run?)))
            .collect();
    for case in (kernel.cases)() {
        let contents = fill(kernel, &case, SEED);
        let want = reference(kernel, &case, &contents);
        for (name, run) in &implementations {
            let got: Vec<Vec<f32>> = run_on_host(kernel, *run, &case.params, &contents);
            let variant = format!("f32, {name}");
            report.add(kernel, &case, &got, &want, Halves::NONE, variant);
        }
        report.cases += 1;
    }
    if report.failure.is_none() {
        report.timed = time(executor, kernel)?;
    }
    Ok(report)
}

/// Describes a variant: `f32, one buffer` for example.
fn variant(kernel: &Kernel, halves: Halves, layout: Layout) -> String {
    let bindings = kernel.bindings.iter().enumerate();
    let names = bindings.filter(|(k, _)| halves.has(*k));
    let names: Vec<&str> = names.map(|(_, binding)| binding.name).collect();
    let halves = if names.is_empty() {
        "f32".to_owned()
    } else {
        format!("f16 in {}", names.join(" "))
    };
    let layout = match layout {
        Layout::Apart => "buffers apart",
        Layout::Together => "one buffer",
    };
    format!("{halves}, {layout}")
}

/// Times the largest case among those marked as timed. Without one, times the largest case. None if the device does not run the
/// kernel in this precision.
fn time(executor: &mut dyn Executor, kernel: &'static Kernel) -> Result<Option<Timed>> {
    let halves = if kernel.needs_units() {
        kernel.all_halves()
    } else {
        Halves::NONE
    };
    if !executor.runs(kernel, halves) {
        return Ok(None);
    }
    let cost = |case: &Case| {
        let lens = case.buffers.iter().map(|fill| fill.len());
        let work = kernel.cost(&case.params, lens, halves);
        (case.timed, work.flops, work.bytes)
    };
    let Some(case) = (kernel.cases)().into_iter().max_by_key(cost) else {
        return Ok(None);
    };
    let mut times = time_case(executor, kernel, &case, TIMED_RUNS, halves)?;
    let seconds = median(&mut times);
    let (flops_per_second, bytes_per_second) = rates(kernel, &case, seconds, halves);
    Ok(Some(Timed {
        case: case.label,
        seconds,
        flops_per_second,
        bytes_per_second,
    }))
}

impl KernelReport {
    fn new(kernel: &Kernel) -> KernelReport {
        KernelReport {
            kernel: kernel.name,
            cases: 0,
            runs: 0,
            absolute: None,
            relative: None,
            ulp: None,
            of_tolerance: 0.0,
            timed: None,
            failure: None,
            left_out: None,
        }
    }

    /// Adds the results of a run.
    fn add<R: Real>(
        &mut self,
        kernel: &Kernel,
        case: &Case,
        got: &[Vec<R>],
        want: &[Vec<f64>],
        halves: Halves,
        variant: String,
    ) {
        self.runs += 1;
        if let Some(worst) = compare(kernel, case, got, want, halves) {
            let share = if worst.error.is_nan() {
                f64::INFINITY
            } else {
                worst.error / worst.tolerance
            };
            self.of_tolerance = self.of_tolerance.max(share);
            if !worst.is_tolerable() && self.failure.is_none() {
                self.failure = Some(format!("{} ({variant}): {worst}", case.label));
            }
        }
        for (k, (binding, (got, want))) in
            kernel.bindings.iter().zip(got.iter().zip(want)).enumerate()
        {
            if binding.access == Access::Read || binding.dtype == Dtype::Index {
                continue;
            }
            let finite = want.iter().filter(|value| value.is_finite());
            let largest = finite.fold(0.0, |most: f64, value| most.max(value.abs()));
            let smallest_normal = if halves.has(k) {
                f64::from(half::f16::MIN_POSITIVE)
            } else {
                f64::from(f32::MIN_POSITIVE)
            };
            let small = smallest_normal.max(SMALL * largest);
            for (element, (got, &want)) in got.iter().zip(want).enumerate() {
                let got = got.to_f64();
                let want = as_stored(want, halves.has(k));
                if got == want {
                    continue;
                }
                let at = |error: f64| LargestError {
                    error: if error.is_nan() { f64::INFINITY } else { error },
                    case: case.label,
                    variant: variant.clone(),
                    binding: binding.name,
                    element,
                    got,
                    want,
                };
                let difference = (got - want).abs();
                keep_largest(&mut self.absolute, difference, at);
                if !(want.abs() < small) {
                    keep_largest(&mut self.relative, difference / want.abs(), at);
                    let unit = unit_in_the_last_place(want, halves.has(k));
                    keep_largest(&mut self.ulp, difference / unit, at);
                }
            }
        }
    }

    /// Adds a run that failed. Fails if the device is lost.
    fn add_failure(
        &mut self,
        executor: &dyn Executor,
        case: &Case,
        variant: &str,
        error: Error,
    ) -> Result<()> {
        executor.check()?;
        self.runs += 1;
        if self.failure.is_none() {
            let chain = error.chain().to_string();
            let chain = chain.trim_start_matches("error: ");
            self.failure = Some(match error.kind() {
                Kind::Mismatch => format!("({variant}) {chain}"),
                _ => format!("{} ({variant}) cannot be run: {chain}", case.label),
            });
        }
        Ok(())
    }
}

/// Replaces `largest` by `at(error)` if `error` is larger. NaN is larger than any number.
fn keep_largest(largest: &mut Option<LargestError>, error: f64, at: impl Fn(f64) -> LargestError) {
    let is_larger =
        |kept: &LargestError| error > kept.error || (error.is_nan() && kept.error.is_finite());
    if largest.as_ref().is_none_or(is_larger) {
        *largest = Some(at(error));
    }
}

/// The distance between adjacent numbers of `f32`, or of `f16` if `half`, at `value`.
fn unit_in_the_last_place(value: f64, half: bool) -> f64 {
    let (digits, least) = if half { (10, -14) } else { (23, -126) };
    let exponent = if value == 0.0 || !value.is_finite() {
        least
    } else {
        // The exponent field of an f64.
        ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least)
    };
    2f64.powi(exponent - digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_the_last_place_are_those_of_the_type() {
        assert_eq!(unit_in_the_last_place(1.0, false), f64::from(f32::EPSILON));
        assert_eq!(
            unit_in_the_last_place(-1.99, false),
            f64::from(f32::EPSILON)
        );
        assert_eq!(
            unit_in_the_last_place(2.0, false),
            2.0 * f64::from(f32::EPSILON)
        );
        assert_eq!(unit_in_the_last_place(0.0, false), 2f64.powi(-149));
        assert_eq!(unit_in_the_last_place(1.0, true), 2f64.powi(-10));
        assert_eq!(unit_in_the_last_place(0.0, true), 2f64.powi(-24));
    }
}
