//! `product_b = rounds * (left right)` for so many blocks `b`, on the matrix units of a device: their arithmetic without memory.
//! No model has it; it tells what a device could do at best. Where subgroups are smaller than the largest, it does more than it
//! counts, and tells less.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, Work, no_constants};
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
        /// How often.
        pub rounds: u32,
    }
}

/// See the module. `left` is `[SIDE, DEPTH]`, `right` `[DEPTH, SIDE]`.
pub static KERNEL: Kernel = Kernel {
    name: "matmul/peak_units",
    wgsl: include_str!("../../../shaders/matmul/peak_units.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::write("product"),
    ],
    constants: no_constants,
    // A workgroup has four subgroups, each with a block.
    grid: |words| crate::kernel::grid_over(Params::of(words).blocks as usize, 4),
    work: Some(|words, widths| {
        let params = Params::of(words);
        let block = (SIDE * SIDE) as u64;
        Work {
            flops: 2 * block * DEPTH as u64 * u64::from(params.blocks) * u64::from(params.rounds),
            bytes: widths[2] * block * u64::from(params.blocks),
        }
    }),
    cut: None,
    twin: twin!(twin),
    fast: None,
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, right, product) = (buffers.read(0), buffers.read(1), buffers.write(2));
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

/// So many blocks, so often.
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
