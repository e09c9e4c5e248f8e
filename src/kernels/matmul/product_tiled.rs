//! [`super::product`] with blocks of both operands staged in the memory of the workgroup: what GPUs want that have such memory
//! on the chip. Another form of the same kernel, with the same interface, twin and bits; the executor chooses.

use crate::kernel::{Constants, Kernel, Params as _};

use super::product::{self, Params};

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/product_tiled",
    wgsl: include_str!("../../../shaders/matmul/product_tiled.wgsl"),
    constants,
    grid,
    ..product::FORM
};

/// Rows and columns of the block of a workgroup: larger ones read less, smaller ones are more.
fn block(params: &Params) -> (u32, u32) {
    let blocks =
        |size: u32| params.rows.div_ceil(size) * params.columns.div_ceil(size) * params.groups;
    // As many large blocks as large GPUs have processors.
    if params.rows >= 128 && params.columns >= 128 && blocks(128) >= 128 {
        (128, 128)
    } else {
        (64, 64)
    }
}

fn constants(words: &[u32]) -> Constants {
    let params = Params::of(words);
    let (rows, columns) = block(params);
    let mut constants = (product::FORM.constants)(words);
    constants.extend([("ROWS", rows), ("COLUMNS", columns)]);
    constants
}

fn grid(words: &[u32]) -> [u32; 3] {
    let params = Params::of(words);
    let (rows, columns) = block(params);
    [
        params.columns.div_ceil(columns),
        params.rows.div_ceil(rows),
        params.groups,
    ]
}
