//! Products of matrices, in pieces where that fills a device.

use crate::graph::Graph;
use crate::graph::memory::Limits;
use crate::graph::plan::Slice;
use crate::kernel::Change;
use crate::kernels::matmul::{product, sum_pieces};

/// Emits a product. A product with few blocks and many terms runs in pieces, if the device can run more workgroups
/// at once.
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
        None => pieces(builder.limits(), params),
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

/// Rows and columns of the blocks that are counted: those of the forms of a product whose threads share operands.
const BLOCK: (u32, u32) = (128, 64);

/// The number of pieces of a product.
fn pieces(limits: &Limits, params: &product::Params) -> u32 {
    if limits.without.has(Change::Pieces) {
        return 1;
    }
    let p = params;
    // Pieces are contiguous: their sum is the product only if the product has no gaps.
    let is_dense =
        p.product_stride == p.groups * p.columns && (p.groups == 1 || p.product_group == p.columns);
    let blocks = p.groups * p.rows.div_ceil(BLOCK.0) * p.columns.div_ceil(BLOCK.1);
    let wanted = (limits.workgroups as u32).div_ceil(blocks);
    let pieces = p.in_at_most(wanted).pieces;
    let elements = u64::from(pieces) * u64::from(p.rows) * u64::from(p.product_stride);
    if is_dense && elements <= limits.slice.min(limits.arena) as u64 {
        pieces
    } else {
        1
    }
}
