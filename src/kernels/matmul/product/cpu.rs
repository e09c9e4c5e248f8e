//! The product on the CPU, by [`crate::matrix`].

use super::params::Params;
use super::storage::Axis;
use crate::kernel::{Buffers, Params as _};
use crate::matrix::{self, Groups, View};

/// An operand of a group as a view.
fn operand(
    slice: &[f32],
    transposed: u32,
    group: u32,
    rows: u32,
    columns: u32,
    stride: u32,
) -> View<'_> {
    let slice = &slice[group as usize..];
    if transposed != 0 {
        View::new(slice, columns as usize, rows as usize, stride as usize).transposed()
    } else {
        View::new(slice, rows as usize, columns as usize, stride as usize)
    }
}

/// See [`Kernel::cpu`](crate::kernel::Kernel::cpu).
pub(super) fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let p: &Params = Params::of(raw);
    let (left, right, bias, product) = (
        buffers.read("left"),
        buffers.read("right"),
        buffers.read("bias"),
        buffers.write("product"),
    );
    if p.pieces == 1 {
        return multiply(p, left, right, bias, product);
    }
    for (piece, product) in (0..).zip(product.chunks_mut(p.piece_stride() as usize)) {
        let (of_piece, first) = p.piece(piece);
        let [left_start, right_start, ..] = p.starts(Axis::Depth, first as usize);
        multiply(
            &of_piece,
            &left[left_start..],
            &right[right_start..],
            bias,
            product,
        );
    }
}

/// A product in one piece.
fn multiply(p: &Params, left: &[f32], right: &[f32], bias: &[f32], product: &mut [f32]) {
    let groups = Groups {
        count: p.groups as usize,
        stride: p.product_group as usize,
        rows: p.rows as usize,
        columns: p.columns as usize,
        row_stride: p.product_stride as usize,
    };
    let parts = matrix::parts(p.multiply_adds() as usize);
    matrix::each_block(product, groups, parts, |mut block| {
        let (rows, columns) = (block.out.row_count(), block.out.column_count());
        if p.with_bias != 0 {
            let bias = &bias[block.group * groups.columns + block.column..][..columns];
            for row in 0..rows {
                let out = block.out.row(row);
                if p.accumulate != 0 {
                    for (out, bias) in out.iter_mut().zip(bias) {
                        *out += bias;
                    }
                } else {
                    out.copy_from_slice(bias);
                }
            }
        }
        let accumulate = p.accumulate != 0 || p.with_bias != 0;
        let group = block.group as u32;
        let left = operand(
            left,
            p.transpose_left,
            group * p.left_group,
            p.rows,
            p.depth,
            p.left_stride,
        );
        let right = operand(
            right,
            p.transpose_right,
            group * p.right_group,
            p.depth,
            p.columns,
            p.right_stride,
        );
        block.multiply(accumulate, left, right);
    });
}
