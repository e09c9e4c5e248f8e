//! Plans whose steps are timed. Their tensors are activations, which share memory with the plans of a model, and are filled with
//! random numbers.

use std::sync::Arc;

use crate::device::{Data, Executor, Inputs};
use crate::error::Result;
use crate::graph::builder::Builder;
use crate::graph::plan::{Plan, Slice};
use crate::kernel::Kernel;
use crate::kernels;
use crate::kernels::pointwise::copy;
use crate::random::{Purpose, Stream};

/// The input with the numbers that tensors are filled with.
const NUMBERS: &str = "numbers";

/// Elements of it.
const COUNT: usize = 1 << 20;

/// Emits steps that fill a slice with numbers. Zeros would need less power and so run faster.
pub(super) fn fill(builder: &mut Builder, slice: Slice) {
    let numbers = builder.real_input(NUMBERS, [COUNT]);
    for start in (0..slice.len).step_by(COUNT) {
        let len = COUNT.min(slice.len - start);
        let params = copy::Params { len: len as u32 };
        let slices = [numbers.part(0, len), slice.part(start, len)];
        builder.step("fill", &copy::KERNEL, &params, &slices);
    }
}

/// The inputs of a plan with steps of [`fill`].
fn inputs() -> Inputs {
    let mut stream = Stream::new(1, Purpose::Initialise, u64::MAX);
    let numbers = (0..COUNT).map(|_| 2.0 * stream.uniform() - 1.0);
    vec![(NUMBERS, Data::Real(numbers.collect()))]
}

/// Repeats the last `timed` steps of a plan, those to measure, `rounds` times. The steps before them fill the tensors.
pub(super) fn repeated(mut plan: Plan, timed: usize, rounds: usize) -> Plan {
    let first = plan.steps.len() - timed;
    let steps = plan.steps.split_off(first);
    for _ in 0..rounds {
        plan.steps.extend(steps.iter().cloned());
    }
    plan
}

/// Runs a plan of [`repeated`] and returns the seconds of each timed step, the shortest of all rounds but the first.
pub(super) fn shortest(
    executor: &mut dyn Executor,
    plan: Plan,
    timed: usize,
    rounds: usize,
) -> Result<Vec<f64>> {
    let first = plan.steps.len() - timed * rounds;
    let id = executor.load(Arc::new(plan))?;
    let seconds = executor.profile(id, &inputs())?.seconds;
    let mut best = vec![f64::INFINITY; timed];
    for round in seconds[first..].chunks(timed).skip(1) {
        for (best, seconds) in best.iter_mut().zip(round) {
            *best = best.min(*seconds);
        }
    }
    Ok(best)
}

/// The forms to time: on devices, all of `forms`; on the CPU, only the first, because one implementation serves all of them.
pub(super) fn forms_of(
    executor: &dyn Executor,
    forms: impl Iterator<Item = &'static Kernel>,
) -> Vec<&'static Kernel> {
    let is_device = executor.limits().packed;
    forms.take(if is_device { usize::MAX } else { 1 }).collect()
}

/// All forms of a kernel that runs in `f32`.
pub(super) fn all_forms(executor: &dyn Executor, kernel: &'static Kernel) -> Vec<&'static Kernel> {
    forms_of(
        executor,
        kernels::forms(kernel, crate::kernel::Halves::NONE),
    )
}
