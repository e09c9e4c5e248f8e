//! Products of matrices, in pieces where that fills a device.

use super::pieces::{Arithmetic, is_of_cell, pieces};
use crate::graph::Graph;
use crate::graph::builder::Builder;
use crate::graph::plan::Slice;
use crate::kernel::Change;
use crate::kernels::matmul::{product, sum_pieces};

/// Emits a product. A product whose workgroups would leave multiprocessors idle runs in pieces, by a fixed rule.
pub fn emit_product(
    graph: &mut Graph,
    label: impl Into<String>,
    params: &product::Params,
    left: Slice,
    right: Slice,
    bias: Option<Slice>,
    out: Slice,
) {
    let label = label.into();
    let builder = &mut graph.builder;
    let pieces = match bias {
        None => pieces(builder.limits(), params, arithmetic(builder)),
        Some(_) => 1,
    };
    // Without a bias the kernel binds the left operand in its place.
    let slices = [left, right, bias.unwrap_or(left), out];
    if pieces == 1 || !slices.iter().all(|&slice| builder.fits(slice)) {
        return builder.step(label, &product::KERNEL, params, &slices);
    }
    let parts = builder.pieces_of(pieces as usize * out.len);
    let in_pieces = product::Params {
        accumulate: 0,
        ..params.in_pieces(pieces)
    };
    let slices = [left, right, left, parts];
    builder.step(label.clone(), &product::KERNEL, &in_pieces, &slices);
    let sum = sum_pieces::Params {
        len: out.len as u32,
        pieces,
        accumulate: params.accumulate,
    };
    builder.step(label, &sum_pieces::KERNEL, &sum, &[parts, out]);
}

/// Whether a cell computes its product with these weights itself, instead of a step before it.
pub(super) fn is_in_cell(builder: &Builder, params: &product::Params, weight: Slice) -> bool {
    if !builder.fits(weight) {
        return false;
    }
    let limits = builder.limits();
    let bytes = if builder.is_mixed() { 2 } else { 4 };
    let pays = || {
        let is_off = limits.without.has(Change::Cells);
        !is_off && is_of_cell(limits, params, arithmetic(builder), bytes)
    };
    !builder.separates_products() || pays()
}

/// What multiplies in this plan. With matrix units and operands in `f32`, the operands are split.
fn arithmetic(builder: &Builder) -> Arithmetic {
    match (builder.limits().units, builder.is_mixed()) {
        (false, _) => Arithmetic::Registers,
        (true, true) => Arithmetic::Units,
        (true, false) => Arithmetic::SplitUnits,
    }
}
