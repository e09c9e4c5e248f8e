//! [`super::product_units`] for operands and products that can be read by vectors, operands by eights. Another form of the same
//! kernel, with the same bits; the executor chooses where it can.

use crate::kernel::{Constants, Kernel, Unit};

use super::{product, product_units, product_vector};

/// See the module. A workgroup makes a block of 64 x 64.
pub static KERNEL: Kernel = form::<64, 64>("matmul/product_units_vector");

/// Blocks of 128 rows and 64 columns.
pub static TALL: Kernel = form::<128, 64>("matmul/product_units_vector 128x64");

/// Terms that are staged at once.
const STEP: u32 = 32;

const fn form<const ROWS: u32, const COLUMNS: u32>(name: &'static str) -> Kernel {
    Kernel {
        name,
        wgsl: include_str!("../../../shaders/matmul/product_units_vector.wgsl"),
        snippets: &product::ON_UNITS,
        bindings: &product_vector::BINDINGS,
        constants: constants::<ROWS, COLUMNS>,
        grid: product::blocks::<ROWS, COLUMNS>,
        suits: Some(|words| product_vector::suits(words, 8)),
        cases: || product_vector::cases(8),
        ..product::FORM
    }
}

fn constants<const ROWS: u32, const COLUMNS: u32>(words: &[u32]) -> Constants {
    let mut constants = (product::FORM.constants)(words);
    constants.extend([
        ("ROWS", ROWS),
        ("COLUMNS", COLUMNS),
        ("STEP", STEP),
        ("PRODUCT_LANES", 4),
    ]);
    constants
}

/// Rows and columns of the block of a form, if it is one of these.
pub(super) fn block(form: &Kernel) -> Option<(u32, u32)> {
    if form == &KERNEL {
        Some((64, 64))
    } else if form == &TALL {
        Some((128, 64))
    } else {
        None
    }
}

/// Whether a device has the threads and the memory of a workgroup that a block takes: a subgroup makes 2 x 2 tiles of 16 x 16,
/// and a thread stages up to two eights of each operand.
pub(super) fn fits(rows: u32, columns: u32, unit: Unit) -> bool {
    let subgroups = rows / 32 * (columns / 32);
    let staged = |side: u32| side * STEP / 8 + side.max(STEP);
    let bytes = 16 * (staged(rows) + staged(columns)) + 4 * 16 * 16 * (subgroups + 1);
    let threads = subgroups * unit.subgroup;
    unit.side == 16
        && threads <= product_units::MOST_THREADS
        && rows.max(columns) * STEP / 8 <= 2 * threads
        && bytes <= unit.workgroup_bytes
}
