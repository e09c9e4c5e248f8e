//! Runs one case of one kernel on any executor, runs its twins on the same data, and compares the two.
//!
//! A case becomes a plan of one step, so tests use the same code as training: real slices are persistent tensors, index slices
//! are inputs. Every slice begins at an odd offset in a longer tensor, and the elements around it are checked afterwards.

mod contents;
mod difference;
mod plan;
mod reference;

use std::sync::Arc;

pub use contents::{Contents, fill, rounded};
pub use difference::{Difference, as_stored, compare};
pub use plan::Layout;
use plan::one_step;
pub use reference::{reference, run_on_host};

use super::executor::{Data, Executor, Inputs, PlanId};
use crate::error::{Error, Kind, Result};
use crate::graph::plan::{Plan, Slice};
use crate::kernel::{Access, Case, Halves, Kernel};

/// Runs a case on an executor, with the bindings in `halves` as `f16`. Returns the contents of each real
/// binding afterwards (empty for index bindings).
///
/// # Errors
///
/// [`Kind::Mismatch`] if the kernel changed an element that it must not write; otherwise the errors of the executor.
pub fn run_case(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    contents: &[Contents],
    layout: Layout,
    halves: Halves,
) -> Result<Vec<Vec<f32>>> {
    let packed = executor.limits().packed;
    let (plan, mut images) = one_step(kernel, case, contents, layout, halves, packed);
    let (slices, tensors) = (plan.steps[0].slices.clone(), plan.tensors.clone());
    let (id, inputs) = load(executor, plan, &images)?;
    executor.run(id, &inputs)?;
    executor.fetch()?;

    let mismatch = |what: String| {
        let place = format!("{} ({})", kernel.name, case.label);
        Error::new(Kind::Mismatch, format!("{place}: {what}"))
    };
    for (k, (info, image)) in tensors.iter().zip(&mut images).enumerate() {
        let Contents::Real(before) = image else {
            continue;
        };
        let after = executor.read(&info.name)?;
        for (at, (old, new)) in before.iter().zip(&after).enumerate() {
            let writable = kernel.bindings.iter().zip(&slices).any(|(binding, slice)| {
                binding.access != Access::Read
                    && slice.tensor.0 as usize == k
                    && (slice.offset..slice.offset + slice.len).contains(&at)
            });
            if !writable && old.to_bits() != new.to_bits() {
                let (name, element) = nearest(kernel, &slices, k, at);
                return Err(mismatch(format!(
                    "`{name}`[{element}], which it must not write, changed from {old} to {new}"
                )));
            }
        }
        *before = after;
    }
    let results = slices
        .iter()
        .map(|slice| match &images[slice.tensor.0 as usize] {
            Contents::Real(values) => values[slice.offset..slice.offset + slice.len].to_vec(),
            Contents::Index(_) => Vec::new(),
        });
    Ok(results.collect())
}

/// Runs a case `times` times on an executor. Returns the seconds of each run.
///
/// # Errors
///
/// Those of the executor.
pub fn time_case(
    executor: &mut dyn Executor,
    kernel: &'static Kernel,
    case: &Case,
    times: usize,
    halves: Halves,
) -> Result<Vec<f64>> {
    let contents = rounded(fill(kernel, case, 1), halves);
    let packed = executor.limits().packed;
    let (mut plan, images) = one_step(kernel, case, &contents, Layout::Apart, halves, packed);
    plan.fused = false;
    let step = plan.steps[0].clone();
    plan.steps.resize(times, step);
    let (id, inputs) = load(executor, plan, &images)?;
    Ok(executor.profile(id, &inputs)?.seconds)
}

/// Loads the plan of a case and writes its tensors. Returns its inputs.
fn load(executor: &mut dyn Executor, plan: Plan, images: &[Contents]) -> Result<(PlanId, Inputs)> {
    let (step, tensors) = (plan.steps[0].clone(), plan.tensors.clone());
    let id = executor.load(Arc::new(plan))?;
    let mut inputs = Inputs::new();
    for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
        if let Contents::Index(image) = &images[slice.tensor.0 as usize] {
            inputs.push((binding.name, Data::Index(image.clone())));
        }
    }
    for (info, image) in tensors.iter().zip(images) {
        if let Contents::Real(values) = image {
            executor.write(&info.name, values)?;
        }
    }
    Ok((id, inputs))
}

/// The binding whose slice is nearest to element `at` of tensor `tensor`, and the index of that element relative to the slice.
fn nearest(kernel: &Kernel, slices: &[Slice], tensor: usize, at: usize) -> (&'static str, i64) {
    let bindings = kernel.bindings.iter().zip(slices);
    let here = bindings.filter(|(_, slice)| slice.tensor.0 as usize == tensor);
    let distance = |slice: &Slice| {
        let end = slice.offset + slice.len;
        slice
            .offset
            .saturating_sub(at)
            .max((at + 1).saturating_sub(end))
    };
    let (binding, slice) = here
        .min_by_key(|(_, slice)| distance(slice))
        .expect("every tensor of a case has a slice");
    (binding.name, at as i64 - slice.offset as i64)
}
