//! [`super::product`] for few rows or columns and many terms: pieces of the sums are added up side by side in a workgroup, then
//! one after the other, so that there are more workgroups and the same bits. Another form of the same kernel for products in
//! `f32`; the executor chooses.

use crate::kernel::{Binding, Kernel};

use super::product;

/// See the module. A workgroup makes a block of 32 x 32.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/product_split",
    wgsl: include_str!("../../../shaders/matmul/product_split.wgsl"),
    // A product of halves has its sums in one piece.
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::read("bias").or_half(),
        Binding::read_write("product"),
    ],
    grid: product::blocks::<32, 32>,
    ..product::FORM
};
