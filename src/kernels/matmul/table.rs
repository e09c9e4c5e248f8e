//! The forms of [`super::product`], [`super::product_units`] and [`super::product_f32x3`], in a table. The results of all forms of a
//! kernel are bitwise identical, so the executor may choose the fastest.

use crate::kernel::{Binding, Change, Constants, Kernel, Params as _, Snippet};

use super::form::Access::{Elements, Vectors};
use super::form::Multiplier::{Exchange, Registers, SplitUnits, Units};
use super::form::{self, Bindings, Epilogue, Form, form};
use super::product::{self, Params};

/// The product itself is stored.
struct Product;

impl Epilogue for Product {
    const BASE: Kernel = product::BASE;
    const FORMS: &'static [Form] = &TABLE;
    const ON_UNITS: &'static [&'static Snippet] = &product::ON_UNITS;
    const IN_REGISTERS: &'static [&'static Snippet] = product::BASE.snippets;
    const BINDINGS: Bindings = Bindings {
        elements: product::BASE.bindings,
        fours: &FOURS,
        eights: &EIGHTS,
        singles: &SINGLES,
        single_fours: &SINGLE_FOURS,
    };
    const CELL: bool = false;

    fn product(raw: &[u32]) -> Option<Params> {
        Some(*Params::of(raw))
    }

    fn lanes(lanes: u32) -> Constants {
        vec![("LANES", lanes), ("PRODUCT_LANES", lanes.min(4))]
    }
}

/// The kernel of row `N` of the table.
pub(super) const fn kernel<const N: usize>() -> Kernel {
    form::kernel::<Product, N>()
}

/// The row of [`super::product_units`].
pub(super) const UNITS: usize = 10;

/// The row of [`super::product_f32x3`].
pub(super) const SPLIT: usize = 21;

/// All forms. Each row has a name, the access, the block, the multiplier, and the terms and buffers of staging.
#[rustfmt::skip]
pub(super) const TABLE: [Form; 26] = [
    form("matmul/product_subgroup", Elements, [32, 64], Exchange, [0, 1]),
    // For GPUs, which have workgroup memory on the chip. Large blocks read less; with small ones there are more workgroups.
    form("matmul/product_tiled", Elements, [64, 64], Registers, [16, 1]),
    form("matmul/product_tiled 128x64", Elements, [128, 64], Registers, [16, 1]).unmeasured(),
    form("matmul/product_tiled 128x128", Elements, [128, 128], Registers, [16, 1]),
    form("matmul/product_vector", Vectors, [64, 64], Registers, [16, 1]).unmeasured(),
    form("matmul/product_vector 128", Vectors, [128, 128], Registers, [16, 1]),
    // One barrier per step instead of two, for products with too few workgroups per multiprocessor to hide memory latency. The last
    // form needs as much memory as 64x64, so that more workgroups are resident.
    form("matmul/product_vector 64x64 double", Vectors, [64, 64], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x64 double", Vectors, [128, 64], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x128 double", Vectors, [128, 128], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x128 double short", Vectors, [128, 128], Registers, [8, 2]).part_of(Change::DoubleBuffer),
    // On matrix units. For any size:
    form("matmul/product_units", Elements, [64, 64], Units([32, 32]), [32, 1]),
    form("matmul/product_units 128", Elements, [128, 128], Units([64, 64]), [16, 1]),
    // Little workgroup memory.
    form("matmul/product_units_vector", Vectors, [64, 64], Units([32, 32]), [32, 1]).unmeasured(),
    form("matmul/product_units_vector 128x64", Vectors, [128, 64], Units([32, 32]), [32, 1]),
    // A subgroup with R x C multiplies R C / (R + C) times for each element that it reads from workgroup memory: 16 times for
    // 32x32, 21 for 64x32, 32 for 64x64. For small products, many workgroups:
    form("matmul/product_units_vector 64x64 double", Vectors, [64, 64], Units([32, 32]), [32, 2]).part_of(Change::Units),
    // For products of 128 rows, a batch:
    form("matmul/product_units_vector 128x64 of 64x32 double", Vectors, [128, 64], Units([64, 32]), [32, 2]).part_of(Change::Units),
    // Many subgroups in a workgroup, or many registers in each, and short or long steps:
    form("matmul/product_units_vector 128x128 of 64x32", Vectors, [128, 128], Units([64, 32]), [32, 1]).part_of(Change::Units),
    form("matmul/product_units_vector 128x128 of 64x64", Vectors, [128, 128], Units([64, 64]), [32, 1]).part_of(Change::Units),
    form("matmul/product_units_vector 128x128 of 64x64 double", Vectors, [128, 128], Units([64, 64]), [16, 2]).part_of(Change::Units),
    // For the largest products, on devices with 46 KiB of workgroup memory:
    form("matmul/product_units_vector 256x128 of 64x64 double", Vectors, [256, 128], Units([64, 64]), [16, 2]).part_of(Change::Units),
    // The same for products of 128 rows, with half as many workgroups that read the left operand.
    form("matmul/product_units_vector 128x256 of 64x64 double", Vectors, [128, 256], Units([64, 64]), [16, 2]).part_of(Change::Units),
    // On matrix units, with three products of halves for one of f32, and three tiles of sums for each tile of the product.
    form("matmul/product_f32x3", Elements, [64, 64], SplitUnits([32, 32]), [16, 1]),
    form("matmul/product_f32x3_vector", Vectors, [64, 64], SplitUnits([32, 32]), [16, 1]).unmeasured(),
    form("matmul/product_f32x3_vector 128x64", Vectors, [128, 64], SplitUnits([32, 32]), [16, 1]),
    form("matmul/product_f32x3_vector 128x64 double", Vectors, [128, 64], SplitUnits([32, 32]), [16, 2]),
    form("matmul/product_f32x3_vector 128x128 of 64x32", Vectors, [128, 128], SplitUnits([64, 32]), [16, 1]),
];

static FOURS: [Binding; 4] = [
    Binding::read("left").vec4().or_half(),
    Binding::read("right").vec4().or_half(),
    Binding::read("bias").or_half(),
    Binding::read_write("product").vec4().or_half(),
];

static SINGLES: [Binding; 4] = [
    Binding::read("left"),
    Binding::read("right"),
    Binding::read("bias"),
    Binding::read_write("product"),
];

static SINGLE_FOURS: [Binding; 4] = [
    Binding::read("left").vec4(),
    Binding::read("right").vec4(),
    Binding::read("bias"),
    Binding::read_write("product").vec4(),
];

static EIGHTS: [Binding; 4] = [
    Binding::read("left").eights(),
    Binding::read("right").eights(),
    Binding::read("bias").or_half(),
    Binding::read_write("product").vec4().or_half(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kernels::matmul::product::PIECE_TERMS;

    #[test]
    fn steps_divide_pieces_and_blocks_divide_among_threads() {
        for form in &TABLE {
            let [rows, columns] = form.block;
            assert!(
                form.step == 0 || PIECE_TERMS.is_multiple_of(form.step),
                "{}",
                form.name
            );
            match form.multiplier {
                Registers => assert!(rows % 32 == 0 && columns % 64 == 0, "{}", form.name),
                Exchange => assert_eq!((rows % 8, columns), (0, 64), "{}", form.name),
                Units([down, across]) | SplitUnits([down, across]) => {
                    let whole = rows % down == 0 && columns % across == 0;
                    assert!(whole && down % 16 == 0 && across % 16 == 0, "{}", form.name);
                }
            }
        }
    }

    #[test]
    fn no_two_forms_are_the_same() {
        let shape = |form: &Form| {
            let tile = match form.multiplier {
                Registers => [0, 0],
                Exchange => [1, 1],
                Units(tile) | SplitUnits(tile) => tile,
            };
            (
                form.lanes(),
                form.parts(),
                form.block,
                tile,
                form.step,
                form.buffers,
            )
        };
        let shapes: BTreeSet<_> = TABLE.iter().map(shape).collect();
        assert_eq!(shapes.len(), TABLE.len());
    }
}
