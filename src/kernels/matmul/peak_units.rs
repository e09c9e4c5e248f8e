//! `product_b = rounds * (left right)` for each block `b`, on the matrix units of a device, from registers. No model uses it: it
//! measures the peak FLOPs of a device. Where subgroups are smaller than the largest, it computes more than it counts,
//! and the measured rate is too low.

use crate::kernel::{
    Binding, Buffers, Case, Fill, Kernel, MatrixUnits, Params as _, Requirements, Work, Workgroup,
    grid_over,
};
use crate::real::Real;
use crate::{params, twin};

/// Rows and columns of a block.
pub const SIDE: usize = 32;

/// Terms of each sum.
pub const DEPTH: usize = 16;

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Blocks of `product`, `[blocks, SIDE, SIDE]`.
        pub blocks: u32,
        /// How often the product is added up.
        pub rounds: u32,
    }
}

/// Subgroups of a workgroup, each with a block.
const SUBGROUPS: u32 = 4;

/// See the module. `left` is `[SIDE, DEPTH]`, `right` `[DEPTH, SIDE]`.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/peak_units",
    wgsl: include_str!("../../../shaders/matmul/peak_units.wgsl"),
    fields: Params::FIELDS,
    requires: Requirements {
        matrix_units: Some(workgroup),
        ..Requirements::NONE
    },
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::write("product"),
    ],
    grid: |raw| grid_over(Params::of(raw).blocks as usize, SUBGROUPS as usize),
    work: Some(|raw, sizes| {
        let params = Params::of(raw);
        let block = (SIDE * SIDE) as u64;
        Work {
            flops: 2 * block * DEPTH as u64 * u64::from(params.blocks) * u64::from(params.rounds),
            bytes: sizes[2] * block * u64::from(params.blocks),
        }
    }),
    twin: twin!(twin),
    cases,
    no_gradient: Some("measures a device, is in no model"),
    ..Kernel::DEFAULT
};

fn workgroup(unit: MatrixUnits) -> Option<Workgroup> {
    let tiles = (SUBGROUPS + 1) * unit.side * unit.side;
    Some(Workgroup {
        threads: SUBGROUPS * unit.subgroup,
        bytes: 2 * 2 * (SIDE * DEPTH) as u32 + 4 * tiles,
    })
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, right, product) = (
        buffers.read("left"),
        buffers.read("right"),
        buffers.write("product"),
    );
    for block in product.chunks_exact_mut(SIDE * SIDE) {
        for (i, row) in block.chunks_exact_mut(SIDE).enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = R::ZERO;
                for _ in 0..params.rounds {
                    for k in 0..DEPTH {
                        *sum += left[i * DEPTH + k] * right[k * SIDE + j];
                    }
                }
            }
        }
    }
}

/// A case of `blocks` blocks.
pub fn case(label: &'static str, blocks: u32, rounds: u32) -> Case {
    let params = Params { blocks, rounds };
    let buffers = vec![
        Fill::signed(SIDE * DEPTH),
        Fill::signed(DEPTH * SIDE),
        Fill::Output(blocks as usize * SIDE * SIDE),
    ];
    Case::new(label, &params, rounds as usize * DEPTH, buffers)
}

fn cases() -> Vec<Case> {
    vec![
        case("one block", 1, 1),
        case("an odd number of blocks", 13, 3),
    ]
}
