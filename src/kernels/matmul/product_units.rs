//! [`super::product`] on the matrix units of a device, for operands of [`Dtype::Half`](crate::tensor::Dtype::Half): the units
//! multiply `f16` and add in `f32`, in an order of their own. So this kernel is no other form of the product, but stands for it
//! where the executor has found that the units can be trusted; its two forms have the same bits.

use crate::kernel::{Constants, Kernel, Unit};

use super::{product, product_units_vector};

/// See the module. A workgroup makes a block of 64 x 64.
pub static KERNEL: Kernel = Kernel {
    others: &[
        &product_units_vector::KERNEL,
        &product_units_vector::TALL,
        &WIDE,
    ],
    ..form::<64>("matmul/product_units")
};

/// The same with blocks of 128 x 128.
pub static WIDE: Kernel = form::<128>("matmul/product_units 128");

const fn form<const BLOCK: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_units.wgsl"),
        snippets: &product::ON_UNITS,
        constants: constants::<BLOCK>,
        grid: product::blocks::<BLOCK, BLOCK>,
        ..product::FORM
    }
}

/// Whether a form has no more threads than every device allows, 256, with this unit, and its memory: the subgroups of a block make
/// 4 x 4 tiles each, or 2 x 2 where the block has no more than 4 at a side.
pub fn fits(form: &Kernel, unit: Unit) -> bool {
    if let Some((rows, columns)) = product_units_vector::block(form) {
        return product_units_vector::fits(rows, columns, unit);
    }
    let block = if form == &WIDE { 128 } else { 64 };
    let side = if block / unit.side > 4 { 4 } else { 2 };
    let across = block / (side * unit.side);
    across * across * unit.subgroup <= MOST_THREADS
}

/// The most threads of a workgroup that every device allows.
pub(super) const MOST_THREADS: u32 = 256;

fn constants<const BLOCK: u32>(words: &[u32]) -> Constants {
    let mut constants = (product::FORM.constants)(words);
    constants.push(("BLOCK", BLOCK));
    constants
}
