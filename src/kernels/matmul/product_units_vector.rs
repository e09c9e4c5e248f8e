//! The form of [`super::product_units`] for operands that can be read by vectors of eight, and products that can be written by
//! vectors of four.

use crate::kernel::{Constants, Kernel, MatrixUnits, Requirements, Workgroup};

use super::{product, product_units, product_vector};

/// See the module. A workgroup computes a block of 64 x 64.
pub static KERNEL: Kernel = with_block::<64, 64>("matmul/product_units_vector");

/// Blocks of 128 rows and 64 columns.
pub static TALL: Kernel = with_block::<128, 64>("matmul/product_units_vector 128x64");

/// Terms that are staged at once.
const STEP: u32 = 32;

const fn with_block<const ROWS: u32, const COLUMNS: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_units_vector.wgsl"),
        snippets: &product::ON_UNITS,
        bindings: &product_vector::BINDINGS,
        requires: Requirements {
            matrix_units: Some(workgroup::<ROWS, COLUMNS>),
            ..Requirements::NONE
        },
        constants: constants::<ROWS, COLUMNS>,
        grid: product::blocks::<ROWS, COLUMNS>,
        supports: Some(|raw| product_vector::supports(raw, 8)),
        cases: || product_vector::cases(8),
        form_of: Some(&product_units::KERNEL),
        ..product::BASE
    }
}

fn constants<const ROWS: u32, const COLUMNS: u32>(raw: &[u32]) -> Constants {
    let mut constants = (product::BASE.constants)(raw);
    constants.extend([
        ("ROWS", ROWS),
        ("COLUMNS", COLUMNS),
        ("STEP", STEP),
        ("PRODUCT_LANES", 4),
    ]);
    constants
}

/// Only for units of 16 x 16: a subgroup computes 2 x 2 tiles of them, and a thread stages at most two vectors of each
/// operand.
fn workgroup<const ROWS: u32, const COLUMNS: u32>(unit: MatrixUnits) -> Option<Workgroup> {
    let subgroups = ROWS / 32 * (COLUMNS / 32);
    let threads = subgroups * unit.subgroup;
    let staged = |side: u32| side * STEP / 8 + side.max(STEP);
    let fits = unit.side == 16 && ROWS.max(COLUMNS) * STEP / 8 <= 2 * threads;
    fits.then_some(Workgroup {
        threads,
        bytes: 16 * (staged(ROWS) + staged(COLUMNS)) + 4 * 16 * 16 * (subgroups + 1),
    })
}
