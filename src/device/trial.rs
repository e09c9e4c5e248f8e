//! Trials of kernels against their CPU references, before a device runs them in an untested way: on its matrix units, or without
//! the run-time checks of wgpu. A trial uses its own executor, so that a failure does no harm.

use std::path::PathBuf;

use super::adapter::Adapter;
use super::executor::Executor;
use super::gpu::GpuExecutor;
use super::pipelines::Trust;
use super::single::{Layout, compare, fill, reference, rounded, run_case};
use super::tuning::{Tuning, TuningResults};
use crate::error::{Kind, Result};
use crate::graph::plan::Plan;
use crate::kernel::{DeviceTraits, Halves, Kernel, MatrixUnits, UnitOperands};
use crate::kernels;
use crate::kernels::lstm::{cell_backward, cell_forward};
use crate::kernels::matmul::product;

/// Runs the test cases of a kernel, except those for timing, with all slices in one buffer as in plans. Returns the first
/// disagreement with the reference, if there is one. An error means that the trial failed and says nothing about the kernel.
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

/// Runs products of these operands, and cells with such products, on the matrix units of an adapter. Returns the first
/// disagreement or failure.
fn units_disagree(adapter: &Adapter, unit: MatrixUnits, operands: UnitOperands) -> Option<String> {
    let mut executor = match GpuExecutor::open(adapter, Some(unit)) {
        Ok(executor) => executor,
        Err(error) => return Some(error.chain().to_string()),
    };
    let traits = DeviceTraits {
        unit: Some(unit),
        ..DeviceTraits::default()
    };
    for base in [
        &product::KERNEL,
        &cell_forward::KERNEL,
        &cell_backward::KERNEL,
    ] {
        let Some(kernel) = kernels::on_units(base, operands) else {
            continue;
        };
        let all = kernel.all_halves();
        let combinations = match operands {
            // Those that plans use: `f16` products with a bias and without (then the left operand is bound instead of it), and
            // gradients of weights. The forms store as the first one, so those with a bias are not repeated.
            UnitOperands::Halves if *base == product::KERNEL => {
                let (bias, product) = (2, 3);
                vec![
                    (all, usize::MAX),
                    (all.without(bias), 1),
                    (all.without(product), usize::MAX),
                ]
            }
            UnitOperands::Halves => vec![(all, usize::MAX)],
            UnitOperands::Split => vec![(Halves::NONE, usize::MAX)],
        };
        for (halves, most) in combinations {
            let forms = kernels::forms(kernel, halves);
            for form in forms
                .take(most)
                .filter(|form| form.requires.are_met_by(traits))
            {
                match disagreement(&mut executor, form, halves) {
                    Ok(None) => {}
                    Ok(Some(reason)) => return Some(reason),
                    Err(error) => return Some(error.chain().to_string()),
                }
            }
        }
    }
    None
}

impl GpuExecutor {
    /// Opens an adapter to compute products of these operands on its matrix units, if they are hardware and pass a trial, or passed
    /// it in an earlier run with the same driver and shaders. If they fail, it tries tiles in smaller vectors, then logs a warning
    /// and computes products without units. Software adapters only emulate such units, more slowly than plain products.
    ///
    /// `cache` is the folder that keeps what passed.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the driver refuses.
    pub fn with_tried_units(
        adapter: &Adapter,
        operands: UnitOperands,
        cache: Option<PathBuf>,
    ) -> Result<GpuExecutor> {
        let (summary, name) = (&adapter.summary, &adapter.summary.name);
        let Some(unit) = summary.trained_on() else {
            return GpuExecutor::new(adapter);
        };
        let with = |vector_bytes| MatrixUnits {
            vector_bytes,
            ..unit
        };
        let sizes = [16, 8, 2].into_iter();
        let sizes: Vec<u32> = sizes.filter(|bytes| *bytes <= unit.vector_bytes).collect();
        let mut results = TuningResults::open(summary, cache);
        let passed = results.unit_vectors(operands);
        if let Some(bytes) = passed.filter(|bytes| sizes.contains(bytes)) {
            return GpuExecutor::with_unit(adapter, with(bytes), operands);
        }
        for vector_bytes in sizes {
            let unit = with(vector_bytes);
            match units_disagree(adapter, unit, operands) {
                None => {
                    results.set_unit_vectors(operands, vector_bytes);
                    results.save();
                    return GpuExecutor::with_unit(adapter, unit, operands);
                }
                Some(reason) => tracing::warn!(
                    "the matrix units of {name} are not used with tiles in vectors of {vector_bytes} bytes: {reason}"
                ),
            }
        }
        GpuExecutor::new(adapter)
    }

    /// Tries the kernels of a plan that have not been tried without run-time checks.
    pub(super) fn try_kernels(&mut self, plan: &Plan) {
        let mut tuning = self.tuning.take();
        self.try_kernels_with(tuning.as_mut(), plan, 0);
        self.tuning = tuning;
    }

    /// Same as [`GpuExecutor::try_kernels`], with the store of earlier results. Reports progress out of `total` unless that is 0.
    pub(super) fn try_kernels_with(
        &mut self,
        mut tuning: Option<&mut Tuning>,
        plan: &Plan,
        total: u64,
    ) {
        let Trust::Tried(trusted) = &mut self.pipelines.trust else {
            return;
        };
        let (mut probe, mut is_new) = (None, false);
        for (k, step) in plan.steps.iter().enumerate() {
            if total > 0 {
                (self.watch)(k as u64, total);
            }
            let (kernel, halves) = (step.kernel, plan.halves(step));
            if trusted.contains_key(&(kernel.name, halves)) {
                continue;
            }
            let known = tuning
                .as_ref()
                .and_then(|t| t.results.trusts(kernel, halves));
            if known == Some(false) {
                tracing::warn!(
                    "{} keeps its run-time checks: it computed wrong results without them in an earlier run",
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
                // A failed trial is not stored: it says nothing about the kernel.
                if let (Ok(found), Some(tuning)) = (&found, &mut tuning) {
                    tuning.results.set_trusted(kernel, halves, found.is_none());
                    is_new = true;
                }
                if let Ok(Some(reason)) | Err(reason) = &found {
                    tracing::warn!("{} keeps its run-time checks: {reason}", kernel.name);
                    // The device may be unusable now.
                    probe = None;
                }
                found == Ok(None)
            });
            trusted.insert((kernel.name, halves), good);
        }
        if let (true, Some(tuning)) = (is_new, tuning) {
            tuning.results.save();
        }
    }
}
