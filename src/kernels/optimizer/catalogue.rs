//! The list of optimizers.

use super::{adagrad, adam, declaration::Optimizer, momentum, moving_average, sgd};
use crate::kernel::Kernel;

/// Every optimizer.
pub static OPTIMIZERS: [&Optimizer; 4] = [
    &adagrad::OPTIMIZER,
    &sgd::OPTIMIZER,
    &momentum::OPTIMIZER,
    &adam::OPTIMIZER,
];

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &{
    let mut kernels = [&moving_average::KERNEL; OPTIMIZERS.len() + 1];
    let mut k = 0;
    while k < OPTIMIZERS.len() {
        kernels[k] = OPTIMIZERS[k].kernel;
        k += 1;
    }
    kernels
};
