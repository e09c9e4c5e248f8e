//! Stochastic gradient descent with momentum (Polyak 1964): `v = momentum * v + g`, `w -= lr * v`.
//!
//! See [`super::row_update`] for `g` and the slices.

use super::control;
use super::declaration::{Optimizer, State};
use super::row_update::{self, Rule};
use crate::kernel::Kernel;
use crate::real::Real;

/// The optimizer.
pub static OPTIMIZER: Optimizer = Optimizer {
    name: "momentum",
    about: "Stochastic gradient descent with momentum 0.9 (Polyak 1964).",
    states: &[State {
        name: "velocity",
        start: 0.0,
    }],
    constants: &[0.9],
    suits_rare_rows: true,
    corrections: Optimizer::no_corrections,
    kernel: &KERNEL,
    dense: &DENSE,
};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/momentum",
    wgsl: include_str!("../../../shaders/optimizer/momentum.wgsl"),
    fields: row_update::fields!("momentum"),
    bindings: row_update::bindings!("velocity"),
    cases: || row_update::cases(OPTIMIZER.constants, &[(-1.0, 1.0)], &[0.5]),
    ..row_update::kernel::<Momentum<f32>, Momentum<f64>, 1, 1>()
};

/// The same for a dense parameter, with its moving average, its copy in `f16`, or both.
static DENSE: [Kernel; 3] = row_update::dense_kernels!("optimizer/momentum", "velocity");

#[derive(Clone, Copy)]
struct Momentum<R> {
    rate: R,
    momentum: R,
}

impl<R: Real> Rule<R, 1, 1> for Momentum<R> {
    fn new([momentum]: [R; 1], control: &[R]) -> Momentum<R> {
        Momentum {
            rate: control[control::LEARNING_RATE],
            momentum,
        }
    }

    #[inline(always)]
    fn update(&self, w: R, [v]: [R; 1], g: R) -> (R, [R; 1]) {
        let v = self.momentum * v + g;
        (w - self.rate * v, [v])
    }
}
