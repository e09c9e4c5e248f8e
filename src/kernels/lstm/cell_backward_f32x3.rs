//! [`super::cell_backward`] on the matrix units of a device, for operands in `f32`, which are split: see
//! [`product_f32x3`](crate::kernels::matmul::product_f32x3). The results of its own forms are bitwise identical.

use crate::kernel::Kernel;
use crate::kernels::matmul::form;

use super::cell_backward;
use super::forms::{Backward, SPLIT};

/// See the module. A workgroup computes a block of 64 x 64 of the product.
pub static KERNEL: Kernel = Kernel {
    on_units_for: Some(&cell_backward::KERNEL),
    ..form::kernel::<Backward, SPLIT>()
};
