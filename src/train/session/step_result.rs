//! The results of a training step.

use crate::device::Outputs;
use crate::train::update::Norm;

/// What a training step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// The mean loss over all positions of the batch, in nats. The plan divides by the number of positions, padding included.
    pub loss: f64,
    /// The norm of the gradients.
    pub norm: Norm,
}

impl StepResult {
    /// Reads the outputs of a training plan.
    pub(super) fn of(outputs: &Outputs) -> StepResult {
        StepResult {
            loss: output(outputs, "loss")[0],
            norm: Norm::of(output(outputs, "norm")),
        }
    }
}

/// An output of a plan of a step.
///
/// # Panics
///
/// If the plan does not have it.
pub(super) fn output<'a>(outputs: &'a Outputs, name: &str) -> &'a [f64] {
    let found = outputs.iter().find(|(output, _)| output == name);
    let (_, values) = found.unwrap_or_else(|| panic!("the plan has no output `{name}`"));
    values
}
