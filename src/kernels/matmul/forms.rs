//! The forms of [`super::product`], [`super::product_units`] and [`super::product_f32x3`], in a table. A form says how operands are read, where they are
//! staged, what multiplies them, and how large a block is; the texts are `product.wgsl` and `product_units.wgsl`. The results of all
//! forms of a kernel are bitwise identical, so the executor may choose the fastest.

use crate::kernel::{
    Binding, Case, Change, Constants, Kernel, MatrixUnits, Params as _, Requirements, UnitOperands,
    Workgroup,
};

use super::product::{self, Params};

/// A form.
pub(super) struct Form {
    name: &'static str,
    /// How the operands and the product are accessed.
    access: Access,
    /// Rows and columns of the block of a workgroup.
    block: [u32; 2],
    /// What multiplies.
    multiplier: Multiplier,
    /// Terms that are staged in workgroup memory at once; 0 without staging.
    step: u32,
    /// Buffers of staged terms: with two, a workgroup waits once a step instead of twice.
    buffers: u32,
    /// See [`Kernel::part_of`].
    part_of: Option<Change>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Element by element: for all sizes.
    Elements,
    /// By vectors of 16 bytes, four elements or eight halves: for sizes, strides and slices that are whole vectors.
    Vectors,
}

#[derive(Clone, Copy)]
enum Multiplier {
    /// Registers: a thread computes 8 x 8 elements.
    Registers,
    /// Registers of a workgroup that is a subgroup of 8 threads, which read the left operand together and exchange it. It is for
    /// software GPUs ([`DeviceTraits::subgroup`](crate::kernel::DeviceTraits::subgroup)), whose loads cost far more than their
    /// arithmetic: a block of 32 x 64 takes 96 loads for each term, where a thread with 8 x 8 elements takes 16.
    Exchange,
    /// Matrix units: a subgroup computes this many rows and columns.
    Units([u32; 2]),
    /// The same with operands in `f32`: see [`super::product_f32x3`].
    SplitUnits([u32; 2]),
}

use Access::{Elements, Vectors};
use Multiplier::{Exchange, Registers, SplitUnits, Units};

const fn form(
    name: &'static str,
    access: Access,
    block: [u32; 2],
    multiplier: Multiplier,
    [step, buffers]: [u32; 2],
) -> Form {
    Form {
        name,
        access,
        block,
        multiplier,
        step,
        buffers,
        part_of: None,
    }
}

/// The row of [`super::product_units`].
pub(super) const UNITS: usize = 10;

/// The row of [`super::product_f32x3`].
pub(super) const SPLIT: usize = 20;

/// All forms. Each row has a name, the access, the block, the multiplier, and the terms and buffers of staging.
#[rustfmt::skip]
pub(super) const TABLE: [Form; 25] = [
    form("matmul/product_subgroup", Elements, [32, 64], Exchange, [0, 1]),
    // For GPUs, which have workgroup memory on the chip. Large blocks read less; with small ones there are more workgroups.
    form("matmul/product_tiled", Elements, [64, 64], Registers, [16, 1]),
    form("matmul/product_tiled 128x64", Elements, [128, 64], Registers, [16, 1]),
    form("matmul/product_tiled 128x128", Elements, [128, 128], Registers, [16, 1]),
    form("matmul/product_vector", Vectors, [64, 64], Registers, [16, 1]),
    form("matmul/product_vector 128", Vectors, [128, 128], Registers, [16, 1]),
    // With one barrier a step instead of two: for few workgroups per processor, which do not hide each other's waits. The last one
    // needs as much memory as 64x64, so that more workgroups are resident.
    form("matmul/product_vector 64x64 double", Vectors, [64, 64], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x64 double", Vectors, [128, 64], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x128 double", Vectors, [128, 128], Registers, [16, 2]).part_of(Change::DoubleBuffer),
    form("matmul/product_vector 128x128 double short", Vectors, [128, 128], Registers, [8, 2]).part_of(Change::DoubleBuffer),
    // On matrix units. For any size:
    form("matmul/product_units", Elements, [64, 64], Units([32, 32]), [32, 1]),
    form("matmul/product_units 128", Elements, [128, 128], Units([64, 64]), [16, 1]),
    // Little workgroup memory.
    form("matmul/product_units_vector", Vectors, [64, 64], Units([32, 32]), [32, 1]),
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
    // For the largest products, where 46 KiB of workgroup memory are to be had:
    form("matmul/product_units_vector 256x128 of 64x64 double", Vectors, [256, 128], Units([64, 64]), [16, 2]).part_of(Change::Units),
    // On matrix units, with three products of halves for one of f32, and three tiles of sums for each tile of the product.
    form("matmul/product_f32x3", Elements, [64, 64], SplitUnits([32, 32]), [16, 1]),
    form("matmul/product_f32x3_vector", Vectors, [64, 64], SplitUnits([32, 32]), [16, 1]),
    form("matmul/product_f32x3_vector 128x64", Vectors, [128, 64], SplitUnits([32, 32]), [16, 1]),
    form("matmul/product_f32x3_vector 128x64 double", Vectors, [128, 64], SplitUnits([32, 32]), [16, 2]),
    form("matmul/product_f32x3_vector 128x128 of 64x32", Vectors, [128, 128], SplitUnits([64, 32]), [16, 1]),
];

/// The kernel of row `N` of the table.
pub(super) const fn kernel<const N: usize>() -> Kernel {
    let form = &TABLE[N];
    let base = match form.multiplier {
        Registers => Kernel {
            requires: Requirements {
                workgroup_bytes: form.extra_bytes(),
                ..Requirements::NONE
            },
            ..product::BASE
        },
        Exchange => Kernel {
            requires: Requirements {
                subgroup_size: Some(8),
                ..Requirements::NONE
            },
            ..product::BASE
        },
        Units(_) | SplitUnits(_) => Kernel {
            wgsl: include_str!("../../../shaders/matmul/product_units.wgsl"),
            snippets: &product::ON_UNITS,
            requires: Requirements {
                matrix_units: Some(workgroup::<N>),
                unit_operands: match form.multiplier {
                    SplitUnits(_) => UnitOperands::Split,
                    _ => UnitOperands::Halves,
                },
                ..Requirements::NONE
            },
            ..product::BASE
        },
    };
    let base = match (form.access, form.multiplier) {
        (Elements, SplitUnits(_)) => Kernel {
            bindings: &SINGLES,
            ..base
        },
        (Elements, _) => base,
        (Vectors, multiplier) => Kernel {
            bindings: match multiplier {
                Units(_) => &EIGHTS,
                SplitUnits(_) => &SINGLE_FOURS,
                _ => &FOURS,
            },
            supports: Some(supports::<N>),
            cases: cases::<N>,
            ..base
        },
    };
    Kernel {
        name: form.name,
        constants: constants::<N>,
        grid: grid::<N>,
        part_of: form.part_of,
        ..base
    }
}

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

impl Form {
    const fn part_of(self, change: Change) -> Form {
        Form {
            part_of: Some(change),
            ..self
        }
    }

    /// The bytes of workgroup memory of a form that multiplies in registers, if every device need not have them.
    const fn extra_bytes(&self) -> u32 {
        let bytes = 4 * self.buffers * self.step * (self.block[0] + self.block[1]);
        if bytes > Requirements::WORKGROUP_BYTES {
            bytes
        } else {
            0
        }
    }

    /// Elements of a vector of the operands.
    const fn lanes(&self) -> u32 {
        match (self.access, self.multiplier) {
            (Elements, _) => 1,
            (Vectors, Units(_)) => 8,
            (Vectors, _) => 4,
        }
    }

    /// Elements of the operands that are read at once.
    const fn at_once(&self) -> u32 {
        match (self.access, self.multiplier) {
            (Vectors, SplitUnits(_)) => 8,
            _ => self.lanes(),
        }
    }

    /// Parts of an element of an operand.
    const fn parts(&self) -> u32 {
        match self.multiplier {
            SplitUnits(_) => 2,
            _ => 1,
        }
    }
}

fn constants<const N: usize>(raw: &[u32]) -> Constants {
    let form = &TABLE[N];
    let mut constants = (product::BASE.constants)(raw);
    let product_lanes = if form.access == Vectors { 4 } else { 1 };
    constants.extend([
        ("LANES", form.lanes()),
        ("PRODUCT_LANES", product_lanes),
        ("ROWS", form.block[0]),
        ("COLUMNS", form.block[1]),
        ("STEP", form.step),
        ("BUFFERS", form.buffers),
    ]);
    match form.multiplier {
        Registers => {}
        Exchange => constants.push(("EXCHANGES", 1)),
        Units([rows, columns]) | SplitUnits([rows, columns]) => constants.extend([
            ("SUBGROUP_ROWS", rows),
            ("SUBGROUP_COLUMNS", columns),
            ("PARTS", form.parts()),
        ]),
    }
    constants
}

fn grid<const N: usize>(raw: &[u32]) -> [u32; 3] {
    product::blocks(raw, TABLE[N].block)
}

/// The workgroup of a form on matrix units.
fn workgroup<const N: usize>(unit: MatrixUnits) -> Option<Workgroup> {
    let form = &TABLE[N];
    let (Units([rows, columns]) | SplitUnits([rows, columns])) = form.multiplier else {
        return None;
    };
    let [all_rows, all_columns] = form.block;
    let subgroups = all_rows / rows * (all_columns / columns);
    // As in the shader: eights of elements, long enough for an operand and its transpose, with one of padding in each row.
    let eights = |side: u32| side * form.step / 8 + side.max(form.step);
    let staged = 16 * form.parts() * form.buffers * (eights(all_rows) + eights(all_columns));
    Some(Workgroup {
        threads: subgroups * unit.subgroup,
        bytes: staged + 4 * unit.side * unit.side * (subgroups + 1),
    })
}

/// Whether the stored rows of both operands are whole vectors, and those of the product whole vectors of four.
fn supports<const N: usize>(raw: &[u32]) -> bool {
    let (p, at_once): (&Params, u32) = (Params::of(raw), TABLE[N].at_once());
    let width = |transposed: u32, plain, other| if transposed != 0 { other } else { plain };
    let operands = [
        width(p.transpose_left, p.depth, p.rows),
        width(p.transpose_right, p.columns, p.depth),
        p.left_stride,
        p.left_group,
        p.right_stride,
        p.right_group,
    ];
    let product = [p.columns, p.product_stride, p.product_group];
    operands.iter().all(|n| n % at_once == 0) && product.iter().all(|n| n % 4 == 0)
}

/// The cases of the product that a form supports.
fn cases<const N: usize>() -> Vec<Case> {
    let mut cases = (product::BASE.cases)();
    cases.retain(|case| supports::<N>(&case.params));
    cases
}

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
