//! The form of [`super::product`] for subgroups of 8 threads, which read the left operand together and
//! exchange it in registers. It is for software GPUs ([`DeviceTraits::subgroup`]), whose loads cost far more
//! than their arithmetic: a block of 32 x 64 takes 96 loads for each term, where a thread of
//! [`super::product`] takes 16 for a block of 8 x 8.
//!
//! [`DeviceTraits::subgroup`]: crate::kernel::DeviceTraits::subgroup

use crate::kernel::{Kernel, Requirements};

use super::product;

/// See the module. A workgroup, which is a subgroup, computes a block of 32 x 64.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/product_subgroup",
    wgsl: include_str!("../../../shaders/matmul/product_subgroup.wgsl"),
    requires: Requirements {
        subgroup_size: Some(8),
        ..Requirements::NONE
    },
    snippets: &product::IN_TILES,
    grid: product::blocks::<32, 64>,
    form_of: Some(&product::KERNEL),
    ..product::BASE
};
