//! [`super::product`] on the matrix units of a device, for operands in `f32`, which the units multiply as parts in `f16`
//! (Ootomo and Yokota, arXiv 2203.03341).
//!
//! Each element is split, `x = h + l / 2048` with `h = f16(x)` and `l = f16(2048 (x - h))`, which keeps 22 bits. The units compute
//! the sums of `h h'` and of `h l' + l h'`; the product is the first plus 1/2048 of the second. Every 128 terms, the first sum is
//! added to a total in `f32`, since units may round sums towards zero.
//!
//! The root mean square of the error is at most that of [`super::product`] for numbers between 6e-5 and 65,504, below which an
//! element loses digits and above which it overflows. As with [`super::product_units`], sums have the order of the unit; the
//! results of its own forms are bitwise identical.

use crate::kernel::Kernel;

use super::{product, table};

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = Kernel {
    on_units_for: Some(&product::KERNEL),
    ..table::kernel::<{ table::SPLIT }>()
};
