//! [`super::product`] on the matrix units of a device, for operands of
//! [`Dtype::Half`](crate::tensor::Dtype::Half): the units multiply `f16` and add in `f32`, in their own order. Its
//! results are not bitwise identical to those of the product, so it is not a form of the product: it replaces the
//! product on devices whose units have passed a check. The results of its own forms are bitwise identical.

use crate::kernel::Kernel;

use super::{product, table};

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = Kernel {
    on_units_for: Some(&product::KERNEL),
    ..table::kernel::<{ table::UNITS }>()
};
