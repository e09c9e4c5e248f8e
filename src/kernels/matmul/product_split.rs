//! The form of [`super::product`] for few rows or columns and many terms, in `f32`. The threads of a workgroup add up pieces of
//! the sums in parallel, then add the pieces in order. This allows more workgroups, with bitwise identical results.

use crate::kernel::{Binding, Kernel, Params as _};

use super::product::{self, Params};

/// See the module. A workgroup computes a block of 32 x 32.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/product_split",
    wgsl: include_str!("../../../shaders/matmul/product_split.wgsl"),
    // Not for a product of halves, whose sums are in one piece.
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::read("bias").or_half(),
        Binding::read_write("product"),
    ],
    grid: |raw| product::blocks(Params::of(raw), [32, 32]),
    form_of: Some(&product::KERNEL),
    ..product::BASE
};
