//! [`super::product`] for few rows or columns and many terms: pieces of the sums are added up side by side in a workgroup, then
//! one after the other, so that there are more workgroups and the same bits. Another form of the same kernel for products in
//! `f32`; the executor chooses.

use crate::kernel::{Binding, Kernel, Params as _};

use super::product::{self, Params};

/// See the module.
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
    grid,
    ..product::FORM
};

/// A workgroup makes a block of 32 x 32.
fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    [
        params.columns.div_ceil(32),
        params.rows.div_ceil(32),
        params.groups,
    ]
}
