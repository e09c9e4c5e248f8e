//! The form of [`super::product`] that stages blocks of both operands in workgroup memory, for GPUs that have it on the chip.
//! With large blocks it reads less; with small ones there are more workgroups.

use crate::kernel::{Constants, Kernel};

use super::product;

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = with_block::<64, 64>("matmul/product_tiled");

/// Blocks of 128 rows and 64 columns.
pub static TALL: Kernel = with_block::<128, 64>("matmul/product_tiled 128x64");

/// Blocks of 128 x 128.
pub static WIDE: Kernel = with_block::<128, 128>("matmul/product_tiled 128x128");

const fn with_block<const ROWS: u32, const COLUMNS: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_tiled.wgsl"),
        constants: constants::<ROWS, COLUMNS>,
        grid: product::blocks::<ROWS, COLUMNS>,
        form_of: Some(&product::KERNEL),
        ..product::BASE
    }
}

fn constants<const ROWS: u32, const COLUMNS: u32>(raw: &[u32]) -> Constants {
    let mut constants = (product::BASE.constants)(raw);
    constants.extend([("ROWS", ROWS), ("COLUMNS", COLUMNS)]);
    constants
}
