//! Products of matrices, in pieces where that fills a device.

use super::pieces::pieces;
use crate::graph::Graph;
use crate::graph::builder::Builder;
use crate::graph::plan::Slice;
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
        None => pieces(builder.limits(), params, on_units(builder)),
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

/// Whether products of this plan run on matrix units.
fn on_units(builder: &Builder) -> bool {
    builder.is_mixed() && builder.limits().units
}
