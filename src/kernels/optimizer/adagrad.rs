//! Adagrad (Duchi et al. 2011) without epsilon: `a += g^2`, `w -= lr * g / sqrt(a)`. `a` starts at 1, as in the code of the
//! paper (arXiv 1703.10722).
//!
//! See [`super::row_update`] for `g` and the slices.

use super::control;
use super::declaration::{Optimizer, State};
use super::row_update::{self, Rule};
use crate::kernel::Kernel;
use crate::real::Real;

/// The optimizer.
pub static OPTIMIZER: Optimizer = Optimizer {
    name: "adagrad",
    about: "Adagrad (Duchi et al. 2011), with an accumulator that starts at 1.",
    states: &[State {
        name: "accumulator",
        start: 1.0,
    }],
    constants: &[],
    suits_rare_rows: true,
    corrections: Optimizer::no_corrections,
    kernel: &KERNEL,
    dense: &DENSE,
};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/adagrad",
    wgsl: include_str!("../../../shaders/optimizer/adagrad.wgsl"),
    fields: row_update::fields!(),
    bindings: row_update::bindings!("accumulator"),
    cases: || row_update::cases(OPTIMIZER.constants, &[(1.0, 2.0)], &[0.2]),
    ..row_update::kernel::<Adagrad<f32>, Adagrad<f64>, 1, 0>()
};

/// The same for a dense parameter, with its moving average, its copy in `f16`, or both.
static DENSE: [Kernel; 3] = row_update::dense_kernels!("optimizer/adagrad", "accumulator");

#[derive(Clone, Copy)]
struct Adagrad<R> {
    rate: R,
}

impl<R: Real> Rule<R, 1, 0> for Adagrad<R> {
    fn new([]: [R; 0], control: &[R]) -> Adagrad<R> {
        Adagrad {
            rate: control[control::LEARNING_RATE],
        }
    }

    #[inline(always)]
    fn update(&self, w: R, [a]: [R; 1], g: R) -> (R, [R; 1]) {
        let a = a + g * g;
        (w - self.rate * g / a.sqrt(), [a])
    }
}
