//! [`super::product`] with blocks of both operands staged in the memory of the workgroup: what GPUs want that have such memory
//! on the chip. Another form of the same kernel, with the same interface, twin and bits; the executor chooses, and how large the
//! blocks are: larger ones read less, smaller ones are more.

use crate::kernel::{Constants, Kernel};

use super::product;

/// See the module. A workgroup makes a block of 64 x 64.
pub static KERNEL: Kernel = form::<64, 64>("matmul/product_tiled");

/// Blocks of 128 rows and 64 columns.
pub static TALL: Kernel = form::<128, 64>("matmul/product_tiled 128x64");

/// Blocks of 128 x 128.
pub static WIDE: Kernel = form::<128, 128>("matmul/product_tiled 128x128");

const fn form<const ROWS: u32, const COLUMNS: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_tiled.wgsl"),
        constants: constants::<ROWS, COLUMNS>,
        grid: product::blocks::<ROWS, COLUMNS>,
        ..product::FORM
    }
}

fn constants<const ROWS: u32, const COLUMNS: u32>(words: &[u32]) -> Constants {
    let mut constants = (product::FORM.constants)(words);
    constants.extend([("ROWS", ROWS), ("COLUMNS", COLUMNS)]);
    constants
}
