//! [`super::cell_forward`] on the matrix units of a device, for operands of
//! [`Dtype::Half`](crate::tensor::Dtype::Half). Like [`product_units`](crate::kernels::matmul::product_units), it is not a form of
//! the other kernel, but replaces it in steps with a product. The results of its own forms are bitwise identical.

use crate::kernel::Kernel;
use crate::kernels::matmul::form;

use super::cell_forward;
use super::forms::{Forward, UNITS};

/// See the module. A workgroup computes a block of 64 x 64 of the product.
pub static KERNEL: Kernel = Kernel {
    on_units_for: Some(&cell_forward::KERNEL),
    ..form::kernel::<Forward, UNITS>()
};
