//! Every kernel, every case, in every variant that devices compile, against its `f64` twin.

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

/// Devices compile a kernel in two ways: see [`Layout`].
pub const LAYOUTS: [Layout; 2] = [Layout::Apart, Layout::Together];

/// The key of the numbers that the cases are filled with.
const SEED: u64 = 1;

/// Runs whose median is the time of a case.
const TIMES: usize = 5;

/// Elements below this part of the largest of their output count with their absolute error alone: they are what is left where terms
/// cancel, and have no digits of their own. Nor do those that a type can hold only with fewer digits.
const SMALL: f64 = 1.0 / 1024.0;

/// What is to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thoroughness {
    /// Every variant of every form, rather than two for the other forms of a kernel and none of what is timed: software adapters
    /// take minutes to compile all.
    pub every_form: bool,
}

/// An error with its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// The error. Infinite where a number is missing or undefined; `null` in JSON.
    pub error: f64,
    /// The case.
    pub case: &'static str,
    /// What ran, as `f32, one buffer`.
    pub variant: String,
    /// The binding.
    pub binding: &'static str,
    /// The element of its slice.
    pub element: usize,
    /// What was computed.
    pub got: f64,
    /// What the reference says.
    pub want: f64,
}

/// What was found of a kernel on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelFound {
    /// The kernel.
    pub kernel: &'static str,
    /// Its cases that were run.
    pub cases: usize,
    /// Runs: cases in all their variants.
    pub runs: usize,
    /// The largest `|got - want|`; none if all were exact.
    pub absolute: Option<Place>,
    /// The largest `|got - want| / |want|`; elements below 1/1024 of the largest of their output left out.
    pub relative: Option<Place>,
    /// The largest `|got - want|` in units in the last place of `want`, of `f32` or `f16` as the output is; the same left out.
    pub ulp: Option<Place>,
    /// The largest part of its tolerance that an error was.
    pub of_tolerance: f64,
    /// The case that was timed.
    pub timed: Option<Timed>,
    /// What is wrong, if anything.
    pub failure: Option<String>,
    /// Why it was not run, if it was not.
    pub left_out: Option<&'static str>,
}

/// How fast a case was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// The case.
    pub case: &'static str,
    /// The median of some runs.
    pub seconds: f64,
    /// FLOPs of products a second; 0 for kernels without.
    pub flops_per_second: f64,
    /// Bytes a second, each element counted once.
    pub bytes_per_second: f64,
}

/// The halves of a kernel that are tried: none, all that may be; and, where nothing is timed, what is only read or what is
/// written alone.
pub fn variants(kernel: &Kernel, case: &Case) -> BTreeSet<Halves> {
    let some = |read: bool| {
        Halves::of(kernel.bindings.iter().map(|binding| {
            match binding.half && (binding.access == Access::Read) == read {
                true => Dtype::Half,
                false => binding.dtype,
            }
        }))
    };
    let mut variants = BTreeSet::from([Halves::NONE, kernel.all_halves()]);
    if !case.timed {
        variants.extend([some(true), some(false)]);
    }
    variants
}

/// The halves of a case that are run: see [`Thoroughness`].
pub fn chosen(kernel: &Kernel, case: &Case, thoroughness: Thoroughness) -> BTreeSet<Halves> {
    match thoroughness.every_form || !is_form(kernel) {
        true => variants(kernel, case),
        false if case.timed => BTreeSet::new(),
        false => BTreeSet::from([Halves::NONE, kernel.all_halves()]),
    }
}

/// Compares the kernel with its reference on a device.
///
/// # Errors
///
/// [`Kind::Device`] if the device is lost or has no room. What is wrong with the kernel is no error: see
/// [`KernelFound::failure`].
pub fn kernel(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    thoroughness: Thoroughness,
) -> Result<KernelFound> {
    let mut found = KernelFound::new(kernel);
    for case in (kernel.cases)() {
        let mut ran = false;
        for halves in chosen(kernel, &case, thoroughness) {
            if !executor.runs(kernel, halves) {
                continue;
            }
            ran = true;
            let contents = rounded(fill(kernel, &case, SEED), halves);
            let want = reference(kernel, &case, &contents);
            for layout in LAYOUTS {
                let variant = variant(kernel, halves, layout);
                match run_case(executor, kernel, &case, &contents, layout, halves) {
                    Ok(got) => found.take(kernel, &case, &got, &want, halves, variant),
                    Err(error) => found.failed(&*executor, &case, &variant, error)?,
                }
            }
        }
        found.cases += usize::from(ran);
    }
    if found.runs == 0 {
        found.left_out = Some(match kernel.needs_units() {
            true => "the device has no matrix units that multiply f16 and add in f32",
            false => "the device has not the subgroups that they are made for",
        });
    } else if found.failure.is_none() {
        found.timed = time(executor, kernel)?;
    }
    Ok(found)
}

/// Compares what the CPU runs of a kernel, the `f32` twin and the fast way where there is one, with the reference, and times it
/// on the executor of the CPU.
///
/// # Errors
///
/// [`Kind::Device`] if there is no room.
pub fn on_host(executor: &mut dyn Executor, kernel: &'static Kernel) -> Result<KernelFound> {
    let mut found = KernelFound::new(kernel);
    if is_form(kernel) || kernel.needs_units() {
        found.left_out = Some("the CPU has one form of a kernel");
        return Ok(found);
    }
    let ways: Vec<(&str, CpuFn<f32>)> = [("twin", Some(kernel.twin.single)), ("fast", kernel.cpu)]
        .into_iter()
        .filter_map(|(name, run)| Some((name, run?)))
        .collect();
    for case in (kernel.cases)() {
        let contents = fill(kernel, &case, SEED);
        let want = reference(kernel, &case, &contents);
        for (name, run) in &ways {
            let got: Vec<Vec<f32>> = run_on_host(kernel, *run, &case.params, &contents);
            let variant = format!("f32, {name}");
            found.take(kernel, &case, &got, &want, Halves::NONE, variant);
        }
        found.cases += 1;
    }
    if found.failure.is_none() {
        found.timed = time(executor, kernel)?;
    }
    Ok(found)
}

/// In words.
fn variant(kernel: &Kernel, halves: Halves, layout: Layout) -> String {
    let bindings = kernel.bindings.iter().enumerate();
    let names = bindings.filter(|(k, _)| halves.has(*k));
    let names: Vec<&str> = names.map(|(_, binding)| binding.name).collect();
    let halves = match names.is_empty() {
        true => "f32".to_owned(),
        false => format!("f16 in {}", names.join(" ")),
    };
    let layout = match layout {
        Layout::Apart => "buffers apart",
        Layout::Together => "one buffer",
    };
    format!("{halves}, {layout}")
}

/// The time of the case that is made to be timed, else of the one that costs most.
fn time(executor: &mut dyn Executor, kernel: &'static Kernel) -> Result<Option<Timed>> {
    let halves = match kernel.needs_units() {
        true => kernel.all_halves(),
        false => Halves::NONE,
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
    let mut times = time_case(executor, kernel, &case, TIMES, halves)?;
    let seconds = median(&mut times);
    let (flops_per_second, bytes_per_second) = rates(kernel, &case, seconds, halves);
    Ok(Some(Timed {
        case: case.label,
        seconds,
        flops_per_second,
        bytes_per_second,
    }))
}

impl KernelFound {
    fn new(kernel: &Kernel) -> KernelFound {
        KernelFound {
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

    /// Takes what a run gave.
    fn take<R: Real>(
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
            let part = match worst.error.is_nan() {
                true => f64::INFINITY,
                false => worst.error / worst.tolerance,
            };
            self.of_tolerance = self.of_tolerance.max(part);
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
            let least = match halves.has(k) {
                true => f64::from(half::f16::MIN_POSITIVE),
                false => f64::from(f32::MIN_POSITIVE),
            };
            let small = least.max(SMALL * largest);
            for (element, (got, &want)) in got.iter().zip(want).enumerate() {
                let got = got.to_f64();
                let want = as_stored(want, halves.has(k));
                if got == want {
                    continue;
                }
                let place = |error: f64| Place {
                    error: if error.is_nan() { f64::INFINITY } else { error },
                    case: case.label,
                    variant: variant.clone(),
                    binding: binding.name,
                    element,
                    got,
                    want,
                };
                let difference = (got - want).abs();
                worse(&mut self.absolute, difference, place);
                if !(want.abs() < small) {
                    worse(&mut self.relative, difference / want.abs(), place);
                    let unit = unit_in_the_last_place(want, halves.has(k));
                    worse(&mut self.ulp, difference / unit, place);
                }
            }
        }
    }

    /// Takes what went wrong in a run, unless the device is gone.
    fn failed(
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

/// Keeps the larger error; what is undefined is largest.
fn worse(kept: &mut Option<Place>, error: f64, place: impl Fn(f64) -> Place) {
    let is_worse = |kept: &Place| error > kept.error || (error.is_nan() && kept.error.is_finite());
    if kept.as_ref().is_none_or(is_worse) {
        *kept = Some(place(error));
    }
}

/// The distance of neighbouring numbers of `f32`, or of `f16`, at a number.
fn unit_in_the_last_place(value: f64, half: bool) -> f64 {
    let (digits, least) = if half { (10, -14) } else { (23, -126) };
    let exponent = match value == 0.0 || !value.is_finite() {
        true => least,
        // The exponent field of an f64.
        false => ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least),
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
