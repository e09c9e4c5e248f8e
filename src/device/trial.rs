//! Kernels held against their twins on this machine, before a device runs them in a way that nobody has checked: on its matrix
//! units, or without the run-time checks of wgpu. On an executor of its own, so that what fails takes nothing with it.

use super::Executor;
use super::adapter::Adapter;
use super::gpu::GpuExecutor;
use super::pipelines::Trust;
use super::single::{Layout, compare, fill, reference, rounded, run_case};
use crate::error::{Kind, Result};
use crate::graph::plan::Plan;
use crate::kernel::{Halves, Kernel, Unit};
use crate::kernels::matmul::product_units;

/// What is wrong with a kernel on an executor, if anything; an error says that the trial failed, and nothing of the kernel. The
/// cases are those of the tests but for timing, with all slices in one buffer, as in plans.
fn disagreement(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    halves: Halves,
) -> Result<Option<String>> {
    let place = |label: &str, what: String| {
        let place = format!("{} ({label}): {what}", kernel.name);
        Ok(Some(place))
    };
    for case in (kernel.cases)().iter().filter(|case| !case.timed) {
        let contents = rounded(fill(kernel, case, 1), halves);
        let want = reference(kernel, case, &contents);
        match run_case(executor, kernel, case, &contents, Layout::Together, halves) {
            Err(error) if error.kind() == Kind::Mismatch => {
                return place(case.label, error.chain().to_string());
            }
            Err(error) => return Err(error),
            Ok(got) => match compare(kernel, case, &got, &want, halves) {
                Some(worst) if !worst.is_tolerable() => {
                    return place(case.label, worst.to_string());
                }
                _ => {}
            },
        }
    }
    Ok(None)
}

/// What is wrong with the matrix units of an adapter, if anything.
fn units_disagree(adapter: &Adapter, unit: Unit) -> Option<String> {
    let mut executor = match GpuExecutor::open(adapter, Some(unit)) {
        Ok(executor) => executor,
        Err(error) => return Some(error.chain().to_string()),
    };
    let all = Halves::all(&product_units::KERNEL);
    // As in plans: products of halves with a bias and without (then the left operand stands in its place), and gradients of
    // weights.
    let (bias, product) = (2, 3);
    for halves in [all, all.without(bias), all.without(product)] {
        let forms = product_units::KERNEL.forms(halves);
        for form in forms.filter(|form| product_units::fits(form, unit)) {
            match disagreement(&mut executor, form, halves) {
                Ok(None) => {}
                Ok(Some(reason)) => return Some(reason),
                Err(error) => return Some(error.chain().to_string()),
            }
        }
    }
    None
}

impl GpuExecutor {
    /// Opens an adapter for mixed precision: with its matrix units, if it has them in hardware and they compute right. If they do
    /// not, that is said, and products are computed without. Software adapters only play such units, more slowly than products
    /// without.
    ///
    /// # Errors
    ///
    /// Device, if the driver refuses.
    pub fn mixed(adapter: &Adapter) -> Result<GpuExecutor> {
        let unit = adapter.summary.unit();
        let Some(unit) = unit.filter(|_| adapter.summary.is_real()) else {
            return GpuExecutor::new(adapter);
        };
        match units_disagree(adapter, unit) {
            None => GpuExecutor::with_units(adapter),
            Some(reason) => {
                tracing::warn!(
                    "the matrix units of {} are left out: {reason}",
                    adapter.summary.name
                );
                GpuExecutor::new(adapter)
            }
        }
    }

    /// Tries the kernels of a plan of which it is not known whether they compute right without run-time checks: a part of `all` that
    /// is watched, if that is not 0.
    pub(super) fn try_kernels(&mut self, plan: &Plan, all: u64) {
        let Trust::Tried(trusted) = &mut self.pipelines.trust else {
            return;
        };
        let (mut probe, mut is_new) = (None, false);
        for (k, step) in plan.steps.iter().enumerate() {
            if all > 0 {
                (self.watch)(k as u64, all);
            }
            let (kernel, halves) = (step.kernel, plan.halves(step));
            if trusted.contains_key(&(kernel.name, halves)) {
                continue;
            }
            let known = self.tuning.as_ref().and_then(|t| t.trusts(kernel, halves));
            if known == Some(false) {
                tracing::warn!(
                    "{} keeps its run-time checks, as an earlier run found it to compute wrong without",
                    kernel.name
                );
            }
            let good = known.unwrap_or_else(|| {
                let unit = self.pipelines.traits.unit;
                let opened = probe.get_or_insert_with(|| GpuExecutor::open(&self.adapter, unit));
                let found = match opened {
                    Err(error) => Err(error.chain().to_string()),
                    Ok(probe) => {
                        probe.trust_everything();
                        let found = disagreement(probe, kernel, halves);
                        found.map_err(|error| error.chain().to_string())
                    }
                };
                // What says nothing of the kernel is not kept.
                if let (Ok(found), Some(tuning)) = (&found, &mut self.tuning) {
                    tuning.tried(kernel, halves, found.is_none());
                    is_new = true;
                }
                if let Ok(Some(reason)) | Err(reason) = &found {
                    tracing::warn!("{} keeps its run-time checks: {reason}", kernel.name);
                    // It may have taken the device with it.
                    probe = None;
                }
                found == Ok(None)
            });
            trusted.insert((kernel.name, halves), good);
        }
        if let (true, Some(tuning)) = (is_new, &self.tuning) {
            tuning.keep();
        }
    }
}
