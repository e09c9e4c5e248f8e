//! Splits steps whose slices a device cannot bind: the size of a binding is limited (to 128 MiB on some devices), and a larger
//! tensor is stored in several buffers.
//!
//! The kernel declares how its work can be divided ([`Kernel::split`](crate::kernel::Kernel::split)); this module decides
//! where. Tensors that are kept ([`Storage::Persistent`]) are stored in pieces of whole rows, so that the rows of a table are
//! split where its buffers end. Plans whose slices all fit stay as they are.

use super::memory::{ALIGNMENT, Limits};
use super::plan::{Plan, Slice, Step, Storage, TensorInfo};
use crate::kernel::{Oversized, PartialStep};
use crate::tensor::Dtype;

/// The elements of a piece of a tensor: all of them if one buffer can hold them, else as many whole rows as can be bound.
pub(super) fn piece(plan: &Plan, info: &TensorInfo, limits: &Limits) -> usize {
    let (len, per_word) = (info.shape.len(), per_word(plan, info));
    let whole = match info.storage {
        Storage::Persistent(_) => limits.slice,
        Storage::Arena { .. } => limits.arena,
        Storage::Input | Storage::Output => usize::MAX,
    };
    if len.div_ceil(per_word) <= whole {
        return len;
    }
    let width = *info.shape.0.last().unwrap_or(&1);
    (limits.slice.saturating_mul(per_word) / width).max(1) * width
}

/// Elements in a `u32`.
fn per_word(plan: &Plan, info: &TensorInfo) -> usize {
    match info.dtype {
        Dtype::Half if plan.packed => 2,
        _ => 1,
    }
}

/// Splits every step of a plan whose slices are too large, repeatedly. A step that cannot be split is kept: see
/// [`oversized`].
pub(super) fn split(plan: &mut Plan, limits: &Limits) {
    let steps = std::mem::take(&mut plan.steps);
    // The parts of a step that are still to be checked, last one first.
    let mut waiting: Vec<Step> = Vec::new();
    for step in steps {
        waiting.push(step);
        while let Some(step) = waiting.pop() {
            match cut(plan, &step, limits) {
                Some([first, second]) => waiting.extend([second, first]),
                None => plan.steps.push(step),
            }
        }
    }
}

fn cut(plan: &Plan, step: &Step, limits: &Limits) -> Option<[Step; 2]> {
    let lens: Vec<usize> = step.slices.iter().map(|slice| slice.len).collect();
    let excesses = step
        .slices
        .iter()
        .enumerate()
        .filter_map(|(binding, slice)| {
            let most = most(plan, *slice, limits);
            (slice.len > most).then_some((binding, most))
        });
    for (binding, most) in excesses {
        let oversized = Oversized {
            lens: &lens,
            binding,
            most,
        };
        let parts = step.kernel.split.filter(|_| most > 0);
        if let Some(parts) = parts.and_then(|split| split(&step.params, &oversized)) {
            return Some(parts.map(|part| narrowed(step, part)));
        }
    }
    None
}

fn narrowed(step: &Step, part: PartialStep) -> Step {
    let slices = step.slices.iter().zip(part.ranges);
    Step {
        label: step.label.clone(),
        kernel: step.kernel,
        grid: (step.kernel.grid)(&part.params),
        params: part.params,
        condition: step.condition,
        slices: slices
            .map(|(slice, range)| slice.part(range.start, range.len()))
            .collect(),
    }
}

/// The maximum number of elements that can be bound, counted from the first element of a slice.
fn most(plan: &Plan, slice: Slice, limits: &Limits) -> usize {
    let info = plan.tensor(slice.tensor);
    let within = slice.offset % info.piece;
    // A binding begins at an aligned element.
    let per_word = per_word(plan, info);
    let skip = within % (ALIGNMENT * per_word);
    let bound = limits.slice.saturating_mul(per_word).saturating_sub(skip);
    bound.min(info.piece - within)
}

/// The first step with a slice that is too large to bind, the name of the binding and the tensor.
pub fn oversized<'a>(
    plan: &'a Plan,
    limits: &Limits,
) -> Option<(&'a Step, &'static str, &'a TensorInfo)> {
    plan.steps.iter().find_map(|step| {
        let bindings = step.kernel.bindings.iter().zip(&step.slices);
        let mut large = bindings.filter(|(_, slice)| slice.len > most(plan, **slice, limits));
        let (binding, slice) = large.next()?;
        Some((step, binding.name, plan.tensor(slice.tensor)))
    })
}

/// Whether a step can bind a slice without being split.
pub(super) fn fits(plan: &Plan, slice: Slice, limits: &Limits) -> bool {
    slice.len <= most(plan, slice, limits)
}
