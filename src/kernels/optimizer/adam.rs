//! Adam (Kingma and Ba 2015) at step `t`, counted from 1:
//!
//! ```text
//! m = beta1 * m + (1 - beta1) * g             v = beta2 * v + (1 - beta2) * g^2
//! w -= lr * (m / c1) / (sqrt(v / c2) + epsilon)       c1 = 1 - beta1^t, c2 = 1 - beta2^t
//! ```
//!
//! `c1` and `c2` are elements of [`control`]. See [`super::row_update`] for `g` and the slices.

use super::control;
use super::declaration::{Optimizer, State};
use super::row_update::{self, Rule};
use crate::kernel::Kernel;
use crate::real::Real;

/// The decay of the first and of the second moment.
const BETAS: [f64; 2] = [0.9, 0.999];

/// The optimizer.
pub static OPTIMIZER: Optimizer = Optimizer {
    name: "adam",
    about: "Adam (Kingma and Ba 2015), with decays 0.9 and 0.999.",
    states: &[
        State {
            name: "first",
            start: 0.0,
        },
        State {
            name: "second",
            start: 0.0,
        },
    ],
    constants: &[BETAS[0] as f32, BETAS[1] as f32, 1e-8],
    // The moments of a row decay only in the steps that use it, so that each of its updates has full size.
    suits_rare_rows: false,
    corrections: |step| BETAS.map(|beta| 1.0 - beta.powf(step as f64 + 1.0)),
    kernel: &KERNEL,
    dense: &DENSE,
};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/adam",
    wgsl: include_str!("../../../shaders/optimizer/adam.wgsl"),
    fields: row_update::fields!("beta1", "beta2", "epsilon"),
    bindings: row_update::bindings!("first", "second"),
    cases: || row_update::cases(OPTIMIZER.constants, &MOMENTS, &CONTROL),
    ..row_update::kernel::<Adam<f32>, Adam<f64>, 2, 3>()
};

/// The same for a dense parameter, with its moving average, its copy in `f16`, or both.
static DENSE: [Kernel; 3] = row_update::dense_kernels!("optimizer/adam", "first", "second");

/// The moments and the first elements of `control` of its cases.
const MOMENTS: [(f32, f32); 2] = [(-1.0, 1.0), (0.1, 1.0)];
const CONTROL: [f32; 5] = [0.01, 10.0, 0.999, 0.271, 0.002_997];

#[derive(Clone, Copy)]
struct Adam<R> {
    rate: R,
    betas: [R; 2],
    epsilon: R,
    corrections: [R; 2],
}

impl<R: Real> Rule<R, 2, 3> for Adam<R> {
    fn new([beta1, beta2, epsilon]: [R; 3], control: &[R]) -> Adam<R> {
        Adam {
            rate: control[control::LEARNING_RATE],
            betas: [beta1, beta2],
            epsilon,
            corrections: [
                control[control::FIRST_CORRECTION],
                control[control::SECOND_CORRECTION],
            ],
        }
    }

    #[inline(always)]
    fn update(&self, w: R, [m, v]: [R; 2], g: R) -> (R, [R; 2]) {
        let ([beta1, beta2], [c1, c2]) = (self.betas, self.corrections);
        let m = beta1 * m + (R::ONE - beta1) * g;
        let v = beta2 * v + (R::ONE - beta2) * g * g;
        let (mean, square) = (m / c1, v / c2);
        (
            w - self.rate * mean / (square.sqrt() + self.epsilon),
            [m, v],
        )
    }
}
