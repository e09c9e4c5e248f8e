//! `product_g = left_g right_g + bias_g`, or `+=`, for groups `g` in one dispatch.
//!
//! `product_g [rows, columns]`, `left_g [rows, depth]`, `right_g [depth, columns]`, `bias [groups * columns]`. Each operand
//! may be stored transposed. Rows of a stored matrix are `*_stride` elements apart, groups `*_group`. With several `pieces`,
//! each sum is divided into that many parts, and `product` consists of `[pieces]` products, which [`super::sum_pieces`] adds
//! up. The derivatives are products too: `dleft = dproduct right'`, `dright = left' dproduct`.
//!
//! Other kernels of this folder are forms of this one, or replace it on matrix units. Most forms are rows of the table in
//! `table.rs`: the texts `shaders/matmul/product.wgsl` and `product_units.wgsl` have directives, and a row sets their constants.

use crate::kernel::{Binding, Constants, ElementSizes, FUSED, Kernel, Params as _, Snippet, Work};
use crate::twin;

mod cases;
mod cpu;
mod params;
mod split;
mod storage;
mod twin;

pub use params::{PIECE_TERMS, Params};
pub(super) use split::DEPTH;
use twin::twin as reference;

/// See the module.
pub static KERNEL: Kernel = BASE;

/// The beginning of the shaders of all forms.
static INTERFACE: Snippet = Snippet {
    name: "product",
    wgsl: include_str!("../../../shaders/shared/product.wgsl"),
};

/// The snippets of shaders that multiply on matrix units.
pub(super) static ON_UNITS: [&Snippet; 1] = [&INTERFACE];

/// The common parts of all forms.
pub(super) const BASE: Kernel = Kernel {
    name: "matmul/product",
    wgsl: include_str!("../../../shaders/matmul/product.wgsl"),
    snippets: &[&INTERFACE, &FUSED],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("left").or_half(),
        Binding::read("right").or_half(),
        Binding::read("bias").or_half(),
        Binding::read_write("product").or_half(),
    ],
    constants,
    grid: |raw| blocks(Params::of(raw), [64, 64]),
    work: Some(work),
    split: Some(split::split),
    reduced: Some(|raw, most| Params::of(raw).reduced(most).to_raw()),
    twin: twin!(reference),
    cpu: Some(cpu::cpu),
    cases: cases::cases,
    ..Kernel::DEFAULT
};

fn constants(raw: &[u32]) -> Constants {
    let params = Params::of(raw);
    vec![
        ("TRANSPOSE_LEFT", params.transpose_left),
        ("TRANSPOSE_RIGHT", params.transpose_right),
    ]
}

/// The grid of workgroups that compute a block of this many rows and columns each, of one piece of one group.
pub(super) fn blocks(params: &Params, [rows, columns]: [u32; 2]) -> [u32; 3] {
    [
        params.columns.div_ceil(columns),
        params.rows.div_ceil(rows),
        params.groups * params.pieces,
    ]
}

fn work(raw: &[u32], sizes: ElementSizes) -> Work {
    let p = Params::of(raw);
    let [groups, rows, columns, depth] = [p.groups, p.rows, p.columns, p.depth].map(u64::from);
    let moved = if p.accumulate != 0 { 2 } else { 1 };
    let product = rows * columns * moved * u64::from(p.pieces);
    Work {
        flops: 2 * p.multiply_adds(),
        bytes: groups * (sizes[0] * rows * depth + sizes[1] * depth * columns + sizes[3] * product),
    }
}
