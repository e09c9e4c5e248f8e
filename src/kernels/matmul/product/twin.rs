//! The product in plain loops.

use super::params::Params;
use crate::kernel::Buffers;
use crate::real::Real;

/// The specification: see [`super`].
pub(super) fn twin<R: Real>(p: &Params, buffers: &mut Buffers<'_, R>) {
    let (left, right, bias, product) = (
        buffers.read("left"),
        buffers.read("right"),
        buffers.read("bias"),
        buffers.write("product"),
    );
    let at = |transposed: u32, group: u32, row: u32, column: u32, stride: u32| {
        let (row, column) = if transposed != 0 {
            (column, row)
        } else {
            (row, column)
        };
        (group + row * stride + column) as usize
    };
    let pieces = (0..p.pieces).flat_map(|piece| (0..p.groups).map(move |g| (piece, g)));
    for (piece, g) in pieces {
        let (of_piece, first) = p.piece(piece);
        for row in 0..p.rows {
            for column in 0..p.columns {
                let mut sum = R::ZERO;
                for k in first..first + of_piece.depth {
                    sum += left[at(p.transpose_left, g * p.left_group, row, k, p.left_stride)]
                        * right[at(
                            p.transpose_right,
                            g * p.right_group,
                            k,
                            column,
                            p.right_stride,
                        )];
                }
                if p.with_bias != 0 {
                    sum += bias[(g * p.columns + column) as usize];
                }
                let at = g * p.product_group + row * p.product_stride + column;
                let out = &mut product[(piece * p.piece_stride() + at) as usize];
                *out = if p.accumulate != 0 { *out + sum } else { sum };
            }
        }
    }
}
