//! [`super::product`] by subgroups of 8 threads, which read the left operand together and hand it round in registers. Another
//! form of the same kernel, with the same interface, twin and bits. It is for GPUs in software ([`Traits::subgroup`]), whose
//! loads cost far more than what is done with them: a block of 32 x 64 takes 96 of each term, where
//! a thread of [`super::product`] takes 16 for a block of 8 x 8.
//!
//! [`Traits::subgroup`]: crate::kernel::Traits::subgroup

use crate::kernel::Kernel;

use super::product;

/// See the module. A workgroup, which is a subgroup, makes a block of 32 x 64.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/product_subgroup",
    wgsl: include_str!("../../../shaders/matmul/product_subgroup.wgsl"),
    snippets: &product::IN_TILES,
    grid: product::blocks::<32, 64>,
    ..product::FORM
};
