//! The declaration of an optimizer.

use super::row_update::Params;
use crate::kernel::Kernel;

/// An optimizer: its state, its constants and its kernel.
pub struct Optimizer {
    /// Its name: the value of `train.optimizer`.
    pub name: &'static str,
    /// A description in one sentence, with its source.
    pub about: &'static str,
    /// The state tensors of a parameter, each of the parameter's shape, in the order of the kernel's bindings.
    pub states: &'static [State],
    /// The constants of the rule, in the order of the kernel's fields.
    pub constants: &'static [f32],
    /// Whether it suits rarely used rows of a table: the update of such a row is smaller than if it were used at every step.
    pub suits_rare_rows: bool,
    /// The elements [`FIRST_CORRECTION`](super::control::FIRST_CORRECTION) and
    /// [`SECOND_CORRECTION`](super::control::SECOND_CORRECTION) of `control` at a step, counted from 0.
    pub corrections: fn(u64) -> [f64; 2],
    /// The kernel that updates a parameter.
    pub kernel: &'static Kernel,
    /// The kernels that update a dense parameter and its moving average, its copy in `f16`, or both: see
    /// [`Optimizer::dense_kernel`].
    pub dense: &'static [Kernel; 3],
}

/// A state tensor of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Its name, as in `optimizer.PARAMETER.NAME`.
    pub name: &'static str,
    /// The value of its elements before the first step.
    pub start: f32,
}

impl Optimizer {
    /// The params of a step of the kernel.
    pub fn params(&self, rows: Params) -> Box<[u32]> {
        rows.with_constants(self.constants)
    }

    /// The kernel that updates a dense parameter and in the same pass its moving average with `averages`, and its copy in `f16`
    /// with `rounds`. None for neither.
    pub fn dense_kernel(&self, averages: bool, rounds: bool) -> Option<&'static Kernel> {
        let [averaged, rounded, both] = self.dense;
        match (averages, rounds) {
            (false, false) => None,
            (true, false) => Some(averaged),
            (false, true) => Some(rounded),
            (true, true) => Some(both),
        }
    }

    /// For optimizers without corrections.
    pub(super) fn no_corrections(_step: u64) -> [f64; 2] {
        [1.0; 2]
    }
}

impl PartialEq for Optimizer {
    fn eq(&self, other: &Optimizer) -> bool {
        self.name == other.name
    }
}

impl Eq for Optimizer {}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Display for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name)
    }
}
