//! A form of a product, or of a cell with a product: how operands are read, where they are staged, what multiplies them, and how
//! large a block is. The texts are `product.wgsl` and `product_units.wgsl`.

use super::product::{self, DEPTH, Params};
use crate::kernel::{
    Binding, Case, Change, Constants, Kernel, MatrixUnits, Requirements, Snippet, UnitOperands,
    Workgroup,
};

/// A form.
pub(crate) struct Form {
    pub(super) name: &'static str,
    /// How the operands and the product are accessed.
    pub(super) access: Access,
    /// Rows and columns of the block of a workgroup.
    pub(super) block: [u32; 2],
    /// What multiplies.
    pub(super) multiplier: Multiplier,
    /// Terms that are staged in workgroup memory at once; 0 without staging.
    pub(super) step: u32,
    /// Buffers of staged terms: with two, a workgroup waits once a step instead of twice.
    pub(super) buffers: u32,
    /// The change that it is a part of: see [`Kernel::part_of`].
    part_of: Option<Change>,
    /// Whether GPUs without measurements run it: see [`Kernel::unmeasured`].
    unmeasured: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Element by element: for all sizes.
    Elements,
    /// By vectors of 16 bytes, four elements or eight halves: for sizes, strides and slices that are whole vectors.
    Vectors,
}

#[derive(Clone, Copy)]
pub(crate) enum Multiplier {
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

/// A form with these terms and buffers of staging.
pub(crate) const fn form(
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
        unmeasured: false,
    }
}

/// What is computed from the sums of a product, and stored.
pub(crate) trait Epilogue: 'static {
    /// The kernel without what depends on the form.
    const BASE: Kernel;

    /// The forms.
    const FORMS: &'static [Form];

    /// The snippets of `product_units.wgsl`: all but [`FUSED`](crate::kernel::FUSED).
    const ON_UNITS: &'static [&'static Snippet];

    /// The snippets of `product.wgsl`.
    const IN_REGISTERS: &'static [&'static Snippet];

    /// The bindings of forms that read the operands in vectors of these: 1 element, 4 elements or 8 halves.
    const BINDINGS: Bindings;

    /// Whether a cell follows the product.
    const CELL: bool;

    /// The product of a step. `None` if there is none.
    fn product(raw: &[u32]) -> Option<Params>;

    /// Constants of the texts for forms that read vectors of this many elements of the operands.
    fn lanes(lanes: u32) -> Constants;
}

/// The bindings of the forms of a kernel.
pub(crate) struct Bindings {
    /// Element by element, `f32` or halves.
    pub elements: &'static [Binding],
    /// Vectors of four, `f32` or halves.
    pub fours: &'static [Binding],
    /// Vectors of eight halves.
    pub eights: &'static [Binding],
    /// Element by element, only `f32`: split operands.
    pub singles: &'static [Binding],
    /// Vectors of four, only `f32`.
    pub single_fours: &'static [Binding],
}

/// The kernel of form `N`.
pub(crate) const fn kernel<E: Epilogue, const N: usize>() -> Kernel {
    let form = &E::FORMS[N];
    let on_units = matches!(form.multiplier, Units(_) | SplitUnits(_));
    let any_size = matches!(form.access, Elements) && !E::CELL;
    Kernel {
        name: form.name,
        wgsl: if on_units {
            include_str!("../../../shaders/matmul/product_units.wgsl")
        } else {
            include_str!("../../../shaders/matmul/product.wgsl")
        },
        snippets: if on_units {
            E::ON_UNITS
        } else {
            E::IN_REGISTERS
        },
        bindings: match (form.access, form.multiplier) {
            (Elements, SplitUnits(_)) => E::BINDINGS.singles,
            (Vectors, SplitUnits(_)) => E::BINDINGS.single_fours,
            (Elements, _) => E::BINDINGS.elements,
            (Vectors, Units(_)) => E::BINDINGS.eights,
            (Vectors, _) => E::BINDINGS.fours,
        },
        requires: form.requires::<E, N>(),
        constants: constants::<E, N>,
        grid: grid::<E, N>,
        supports: if any_size {
            None
        } else {
            Some(supports::<E, N>)
        },
        cases: if any_size {
            E::BASE.cases
        } else {
            cases::<E, N>
        },
        part_of: changes(E::CELL, form.part_of),
        for_hardware: E::CELL && matches!(form.multiplier, Registers),
        unmeasured: if form.unmeasured {
            Some(many_rows::<E, N>)
        } else {
            None
        },
        ..E::BASE
    }
}

/// The changes that a form is a part of: its own, and that of the cells if a cell follows the product.
const fn changes(is_cell: bool, own: Option<Change>) -> &'static [Change] {
    use Change::{Cells, DoubleBuffer, Units};
    match (is_cell, own) {
        (false, None) => &[],
        (false, Some(Units)) => &[Units],
        (false, Some(DoubleBuffer)) => &[DoubleBuffer],
        (true, None) => &[Cells],
        (true, Some(Units)) => &[Cells, Units],
        (true, Some(DoubleBuffer)) => &[Cells, DoubleBuffer],
        _ => panic!("no form is a part of this change"),
    }
}

impl Form {
    pub(crate) const fn part_of(self, change: Change) -> Form {
        Form {
            part_of: Some(change),
            ..self
        }
    }

    /// The same form, for GPUs without measurements as well.
    pub(crate) const fn unmeasured(self) -> Form {
        Form {
            unmeasured: true,
            ..self
        }
    }

    const fn requires<E: Epilogue, const N: usize>(&self) -> Requirements {
        match self.multiplier {
            Registers => Requirements {
                workgroup_bytes: self.extra_bytes(),
                ..Requirements::NONE
            },
            Exchange => Requirements {
                subgroup_size: Some(8),
                ..Requirements::NONE
            },
            Units(_) => Requirements {
                matrix_units: Some(workgroup::<E, N>),
                ..Requirements::NONE
            },
            SplitUnits(_) => Requirements {
                matrix_units: Some(workgroup::<E, N>),
                unit_operands: UnitOperands::Split,
                ..Requirements::NONE
            },
        }
    }

    /// The bytes of workgroup memory of a form that multiplies in registers, if they exceed what every device supports; else 0.
    const fn extra_bytes(&self) -> u32 {
        let bytes = 4 * self.buffers * self.step * (self.block[0] + self.block[1]);
        if bytes > Requirements::WORKGROUP_BYTES {
            bytes
        } else {
            0
        }
    }

    /// Elements of a vector of the operands.
    pub(super) const fn lanes(&self) -> u32 {
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
    pub(super) const fn parts(&self) -> u32 {
        match self.multiplier {
            SplitUnits(_) => 2,
            _ => 1,
        }
    }

    /// Tiles of sums of a subgroup that are staged at once. Cells load the inputs of several tiles together.
    fn sum_tiles<E: Epilogue>(&self) -> u32 {
        if E::CELL && self.access == Vectors {
            2
        } else {
            1
        }
    }
}

fn constants<E: Epilogue, const N: usize>(raw: &[u32]) -> Constants {
    let form = &E::FORMS[N];
    let Some(params) = E::product(raw) else {
        panic!("{}: a step without a product", form.name);
    };
    let mut constants = E::lanes(form.lanes());
    constants.extend([
        ("TRANSPOSE_LEFT", params.transpose_left),
        ("TRANSPOSE_RIGHT", params.transpose_right),
        ("ROWS", form.block[0]),
        ("COLUMNS", form.block[1]),
        ("STEP", form.step),
        ("BUFFERS", form.buffers),
    ]);
    if E::CELL {
        let is_long = params.depth > DEPTH;
        constants.extend([("CELL", 1), ("LONG", is_long.into())]);
    }
    match form.multiplier {
        Registers => {}
        Exchange => constants.push(("EXCHANGES", 1)),
        Units([rows, columns]) | SplitUnits([rows, columns]) => constants.extend([
            ("SUBGROUP_ROWS", rows),
            ("SUBGROUP_COLUMNS", columns),
            ("PARTS", form.parts()),
            ("SUM_TILES", form.sum_tiles::<E>()),
        ]),
    }
    constants
}

fn grid<E: Epilogue, const N: usize>(raw: &[u32]) -> [u32; 3] {
    let form = &E::FORMS[N];
    E::product(raw).map_or([0; 3], |params| product::blocks(&params, form.block))
}

/// The workgroup of a form on matrix units.
fn workgroup<E: Epilogue, const N: usize>(unit: MatrixUnits) -> Option<Workgroup> {
    let form = &E::FORMS[N];
    let (Units([rows, columns]) | SplitUnits([rows, columns])) = form.multiplier else {
        return None;
    };
    let [all_rows, all_columns] = form.block;
    let subgroups = all_rows / rows * (all_columns / columns);
    // As in the shader: eights of elements, long enough for an operand and its transpose, with one of padding in each row.
    let eights = |side: u32| side * form.step / 8 + side.max(form.step);
    let staged = 16 * form.parts() * form.buffers * (eights(all_rows) + eights(all_columns));
    let sums = 4 * unit.side * unit.side * form.sum_tiles::<E>();
    Some(Workgroup {
        threads: subgroups * unit.subgroup,
        bytes: staged + sums * (subgroups + 1),
    })
}

/// Whether a form is likely to be faster than its base. Of cells, the base computes blocks of 8 rows, and wastes less on few rows.
fn many_rows<E: Epilogue, const N: usize>(raw: &[u32]) -> bool {
    E::product(raw).is_some_and(|params| !E::CELL || params.rows >= 32)
}

/// Whether form `N` supports a step: the step has a product and, if the form reads vectors, all rows, strides and offsets of the
/// operands are multiples of its vectors, and those of the product multiples of four.
fn supports<E: Epilogue, const N: usize>(raw: &[u32]) -> bool {
    let form = &E::FORMS[N];
    let Some(p) = E::product(raw) else {
        return false;
    };
    if form.access == Elements {
        return true;
    }
    let at_once = form.at_once();
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

/// The cases that a form supports.
fn cases<E: Epilogue, const N: usize>() -> Vec<Case> {
    kernel::<E, N>().supported((E::BASE.cases)())
}
