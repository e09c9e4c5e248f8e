//! [`super::product`] on the matrix units of a device, for operands of
//! [`Dtype::Half`](crate::tensor::Dtype::Half): the units multiply `f16` and add in `f32`, in their own order. Its
//! results are not bitwise identical to those of the product, so it is not a form of the product: it replaces the
//! product on devices whose units have passed a check. The results of its own forms are bitwise identical.

use crate::kernel::{Constants, Kernel, MatrixUnits, Requirements, Workgroup};

use super::product;

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = Kernel {
    on_units_for: Some(&product::KERNEL),
    ..with_block::<64>("matmul/product_units")
};

/// The form with blocks of 128 x 128.
pub static WIDE: Kernel = Kernel {
    form_of: Some(&KERNEL),
    ..with_block::<128>("matmul/product_units 128")
};

const fn with_block<const BLOCK: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_units.wgsl"),
        snippets: &product::ON_UNITS,
        requires: Requirements {
            matrix_units: Some(workgroup::<BLOCK>),
            ..Requirements::NONE
        },
        constants: constants::<BLOCK>,
        grid: product::blocks::<BLOCK, BLOCK>,
        ..product::BASE
    }
}

/// The subgroups of a block compute 4 x 4 tiles each, or 2 x 2 where the block has no more than 4 tiles a side.
fn workgroup<const BLOCK: u32>(unit: MatrixUnits) -> Option<Workgroup> {
    let side = if BLOCK / unit.side > 4 { 4 } else { 2 };
    let across = BLOCK / (side * unit.side);
    let subgroups = across * across;
    // As in the shader: larger blocks stage fewer terms, and staged rows are padded.
    let step = if BLOCK > 64 { 16 } else { 32 };
    let staged = 2 * (BLOCK * (step + 8) + step * (BLOCK + 8));
    Some(Workgroup {
        threads: subgroups * unit.subgroup,
        bytes: staged + 4 * (subgroups + 1) * unit.side * unit.side,
    })
}

fn constants<const BLOCK: u32>(raw: &[u32]) -> Constants {
    let mut constants = (product::BASE.constants)(raw);
    constants.push(("BLOCK", BLOCK));
    constants
}
