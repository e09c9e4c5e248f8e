//! The forms of the cell and of its gradient with the text of a product: a workgroup computes a block of the product in registers
//! or on matrix units, then the cells of the block, so that the product is never in memory. They pay where many streams share the
//! weights.
//!
//! The columns of the product of [`cell_forward`] are gates, four neighbouring ones those of a unit; the columns of the product of
//! [`cell_backward`] are units.

use crate::kernel::{Binding, Change, Constants, Kernel, Params as _, Snippet};
use crate::kernels::matmul::form::Access::{Elements, Vectors};
use crate::kernels::matmul::form::Multiplier::{Exchange, Registers, SplitUnits, Units};
use crate::kernels::matmul::form::{Bindings, Epilogue, Form, form};
use crate::kernels::matmul::product;

use super::{cell_backward, cell_forward};

/// The row of [`super::cell_forward_units`] and [`super::cell_backward_units`].
pub(super) const UNITS: usize = 6;

/// The row of [`super::cell_forward_f32x3`] and [`super::cell_backward_f32x3`].
pub(super) const SPLIT: usize = 11;

/// The rows of each table.
pub(super) const ROWS: usize = 13;

/// The table of the forward or the backward pass. As in that of the products, each row has a name, the access, the block, the
/// multiplier, and the terms and buffers of staging.
macro_rules! table {
    ($name:literal) => {
        [
            form(
                concat!($name, " subgroup"),
                Elements,
                [32, 64],
                Exchange,
                [0, 1],
            ),
            form(
                concat!($name, " tiled 128x64"),
                Elements,
                [128, 64],
                Registers,
                [16, 1],
            )
            .unmeasured(),
            form(
                concat!($name, " vector 128x64"),
                Vectors,
                [128, 64],
                Registers,
                [16, 1],
            ),
            form(
                concat!($name, " vector 64x64 double"),
                Vectors,
                [64, 64],
                Registers,
                [16, 2],
            )
            .unmeasured()
            .part_of(Change::DoubleBuffer),
            form(
                concat!($name, " vector 128x64 double"),
                Vectors,
                [128, 64],
                Registers,
                [16, 2],
            )
            .part_of(Change::DoubleBuffer),
            form(
                concat!($name, " vector 128x128 double"),
                Vectors,
                [128, 128],
                Registers,
                [16, 2],
            )
            .part_of(Change::DoubleBuffer),
            // On matrix units. For any size:
            form(
                concat!($name, "_units"),
                Elements,
                [64, 64],
                Units([32, 32]),
                [32, 1],
            ),
            form(
                concat!($name, "_units vector 64x64"),
                Vectors,
                [64, 64],
                Units([32, 32]),
                [32, 1],
            )
            .unmeasured(),
            // For a batch of 128: many workgroups, or few that read the left operand.
            form(
                concat!($name, "_units vector 128x64 of 64x32 double"),
                Vectors,
                [128, 64],
                Units([64, 32]),
                [32, 2],
            )
            .part_of(Change::Units),
            form(
                concat!($name, "_units vector 128x128 of 64x32"),
                Vectors,
                [128, 128],
                Units([64, 32]),
                [32, 1],
            )
            .part_of(Change::Units),
            form(
                concat!($name, "_units vector 128x256 of 64x64 double"),
                Vectors,
                [128, 256],
                Units([64, 64]),
                [16, 2],
            )
            .part_of(Change::Units),
            // With split operands.
            form(
                concat!($name, "_f32x3"),
                Elements,
                [64, 64],
                SplitUnits([32, 32]),
                [16, 1],
            ),
            form(
                concat!($name, "_f32x3 vector 128x64"),
                Vectors,
                [128, 64],
                SplitUnits([32, 32]),
                [16, 1],
            )
            .unmeasured(),
        ]
    };
}

/// A cell after its product.
pub(super) struct Forward;

/// The gradient of a cell after the product that it begins with.
pub(super) struct Backward;

static FORWARD: [Form; ROWS] = table!("lstm/cell_forward");
static BACKWARD: [Form; ROWS] = table!("lstm/cell_backward");

impl Epilogue for Forward {
    const BASE: Kernel = cell_forward::BASE;
    const FORMS: &'static [Form] = &FORWARD;
    const ON_UNITS: &'static [&'static Snippet] = &cell_forward::ON_UNITS;
    const IN_REGISTERS: &'static [&'static Snippet] = cell_forward::BASE.snippets;
    const BINDINGS: Bindings = Bindings {
        elements: &cell_forward::bindings(
            Binding::read("left").or_half(),
            Binding::read("weight").or_half(),
            true,
        ),
        fours: &cell_forward::bindings(
            Binding::read("left").vec4().or_half(),
            Binding::read("weight").vec4().or_half(),
            true,
        ),
        eights: &cell_forward::bindings(
            Binding::read("left").eights(),
            Binding::read("weight").eights(),
            true,
        ),
        singles: &cell_forward::bindings(Binding::read("left"), Binding::read("weight"), false),
        single_fours: &cell_forward::bindings(
            Binding::read("left").vec4(),
            Binding::read("weight").vec4(),
            false,
        ),
    };
    const CELL: bool = true;

    fn product(raw: &[u32]) -> Option<product::Params> {
        cell_forward::Params::of(raw).product()
    }

    fn lanes(lanes: u32) -> Constants {
        vec![("LANES", lanes), ("WEIGHT_LANES", lanes)]
    }
}

impl Epilogue for Backward {
    const BASE: Kernel = cell_backward::BASE;
    const FORMS: &'static [Form] = &BACKWARD;
    const ON_UNITS: &'static [&'static Snippet] = &cell_backward::ON_UNITS;
    const IN_REGISTERS: &'static [&'static Snippet] = cell_backward::BASE.snippets;
    const BINDINGS: Bindings = Bindings {
        elements: cell_backward::BASE.bindings,
        fours: &cell_backward::in_vectors(
            Binding::read("left").vec4().or_half(),
            Binding::read("weight").vec4().or_half(),
            Binding::read_write("z").vec4().or_half(),
        ),
        eights: &cell_backward::in_vectors(
            Binding::read("left").eights(),
            Binding::read("weight").eights(),
            Binding::read_write("z").vec4().or_half(),
        ),
        singles: &cell_backward::in_elements(
            Binding::read("left"),
            Binding::read("weight"),
            Binding::read_write("z").vec4(),
        ),
        single_fours: &cell_backward::in_vectors(
            Binding::read("left").vec4(),
            Binding::read("weight").vec4(),
            Binding::read_write("z").vec4(),
        ),
    };
    const CELL: bool = true;

    fn product(raw: &[u32]) -> Option<product::Params> {
        cell_backward::Params::of(raw).product()
    }

    fn lanes(lanes: u32) -> Constants {
        vec![
            ("LANES", lanes),
            ("WEIGHT_LANES", lanes),
            ("CELL_LANES", lanes.min(4)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::kernel::{Kernel, MatrixUnits};
    use crate::kernels::matmul::{product_f32x3, product_units};

    use super::super::{cell_backward_f32x3, cell_backward_units};
    use super::super::{cell_forward_f32x3, cell_forward_units};

    /// Plans rely on this: they do not check whether cells fit into the workgroup memory of a device with matrix units.
    #[test]
    fn cells_run_on_every_unit_on_which_products_do() {
        for (side, subgroup) in [(8, 8), (8, 32), (16, 16), (16, 32), (16, 64)] {
            let unit = MatrixUnits {
                side,
                subgroup,
                workgroup_bytes: 16 << 10,
                vector_bytes: 16,
            };
            let workgroup = |kernel: &Kernel| {
                let workgroup = kernel.requires.matrix_units.expect("a kernel for units");
                workgroup(unit)
            };
            for (product, cells) in [
                (
                    &product_units::KERNEL,
                    [&cell_forward_units::KERNEL, &cell_backward_units::KERNEL],
                ),
                (
                    &product_f32x3::KERNEL,
                    [&cell_forward_f32x3::KERNEL, &cell_backward_f32x3::KERNEL],
                ),
            ] {
                for cell in cells {
                    assert_eq!(workgroup(cell), workgroup(product), "{}", cell.name);
                }
            }
        }
    }
}
