//! Updates of parameters: the optimizers and the moving average.
//!
//! A new optimizer needs two files, `shaders/optimizer/NAME.wgsl` and `src/kernels/optimizer/NAME.rs`, and two lines here: the
//! module and its entry in [`OPTIMIZERS`]. The files contain the rule for one element. All optimizers share the loop over rows,
//! dense or sparse, in `row_update.rs` and `shaders/shared/row_update.wgsl`. All other code uses the declaration,
//! [`Optimizer`]. The [tutorial](crate::tutorial#add-an-optimizer) shows both files of one.
//!
//! The input [`control`] contains the values that may change from step to step.

use crate::kernel::Kernel;

pub mod adagrad;
pub mod adam;
pub mod control;
mod declaration;
pub mod momentum;
pub mod moving_average;
pub mod row_update;
pub mod sgd;

pub use declaration::{Optimizer, State};

/// Every optimizer.
pub static OPTIMIZERS: &[&Optimizer] = &[
    &adagrad::OPTIMIZER,
    &sgd::OPTIMIZER,
    &momentum::OPTIMIZER,
    &adam::OPTIMIZER,
];

/// The default of `train.optimizer`.
pub static DEFAULT: &Optimizer = &adagrad::OPTIMIZER;

/// The kernels of this folder: those of the optimizers, and the moving average.
pub static KERNELS: &[&Kernel] = &{
    let mut kernels = [&moving_average::KERNEL; 4 * OPTIMIZERS.len() + 1];
    let mut k = 0;
    while k < OPTIMIZERS.len() {
        kernels[4 * k] = OPTIMIZERS[k].kernel;
        kernels[4 * k + 1] = &OPTIMIZERS[k].dense[0];
        kernels[4 * k + 2] = &OPTIMIZERS[k].dense[1];
        kernels[4 * k + 3] = &OPTIMIZERS[k].dense[2];
        k += 1;
    }
    kernels
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_the_states_and_constants_of_their_optimizers() {
        for optimizer in OPTIMIZERS {
            let kernel = optimizer.kernel;
            let states = optimizer.states.iter().map(|state| state.name);
            let names: Vec<&str> = ["weight"]
                .into_iter()
                .chain(states)
                .chain(["gradient", "rows", "control", "norm"])
                .collect();
            let bound = |kernel: &Kernel| -> Vec<&str> {
                kernel.bindings.iter().map(|binding| binding.name).collect()
            };
            assert_eq!(bound(kernel), names, "{optimizer}");
            let names: Vec<&str> = names.into_iter().filter(|&name| name != "rows").collect();
            for (averages, rounds) in [(true, false), (false, true), (true, true)] {
                let more = [(averages, "average"), (rounds, "rounded")];
                let more = more.into_iter().filter(|(has, _)| *has);
                let names: Vec<&str> = names
                    .iter()
                    .copied()
                    .chain(more.map(|(_, name)| name))
                    .collect();
                let kernel = optimizer.dense_kernel(averages, rounds);
                let kernel = kernel.expect("it has more to write");
                assert_eq!(bound(kernel), names, "{optimizer}");
            }
            let constants = kernel.fields.iter().filter(|(_, kind)| *kind == "f32");
            assert_eq!(constants.count(), optimizer.constants.len(), "{optimizer}");
        }
    }
}
