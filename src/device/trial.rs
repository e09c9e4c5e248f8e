//! Kernels held against their twins on this machine, before a device runs them in a way that nobody has checked: on its matrix
//! units, or without the run-time checks of wgpu. On an executor of its own, so that what fails takes nothing with it.

use super::Executor;
use super::single::{Layout, compare, fill, reference, rounded, run_case};
use crate::error::{Kind, Result};
use crate::kernel::{Halves, Kernel};

/// What is wrong with a kernel on an executor, if anything; an error says that the trial failed, and nothing of the kernel: the cases of the tests but those made for timing, with all slices in
/// one buffer, as in plans.
pub(super) fn disagreement(
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
