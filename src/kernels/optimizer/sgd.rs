//! Stochastic gradient descent: `w -= lr * g`.
//!
//! See [`super::row_update`] for `g` and the slices.

use super::control;
use super::declaration::Optimizer;
use super::row_update::{self, Rule};
use crate::kernel::Kernel;
use crate::real::Real;

/// The optimizer.
pub static OPTIMIZER: Optimizer = Optimizer {
    name: "sgd",
    about: "Stochastic gradient descent.",
    states: &[],
    constants: &[],
    suits_rare_rows: true,
    corrections: Optimizer::no_corrections,
    kernel: &KERNEL,
    dense: &DENSE,
};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/sgd",
    wgsl: include_str!("../../../shaders/optimizer/sgd.wgsl"),
    fields: row_update::fields!(),
    bindings: row_update::bindings!(),
    cases: || row_update::cases(OPTIMIZER.constants, &[], &[0.5]),
    ..row_update::kernel::<Sgd<f32>, Sgd<f64>, 0, 0>()
};

/// The same for a dense parameter, with its moving average, its copy in `f16`, or both.
static DENSE: [Kernel; 3] = row_update::dense_kernels!("optimizer/sgd");

#[derive(Clone, Copy)]
struct Sgd<R> {
    rate: R,
}

impl<R: Real> Rule<R, 0, 0> for Sgd<R> {
    fn new([]: [R; 0], control: &[R]) -> Sgd<R> {
        Sgd {
            rate: control[control::LEARNING_RATE],
        }
    }

    #[inline(always)]
    fn update(&self, w: R, []: [R; 0], g: R) -> (R, [R; 0]) {
        (w - self.rate * g, [])
    }
}
