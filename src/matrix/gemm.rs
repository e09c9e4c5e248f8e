//! The product of two views on one thread, with the `gemm` crate.
#![allow(unsafe_code)]

use std::cell::RefCell;

use super::view::{View, ViewMut};

/// See [`multiply`](super::multiply).
///
/// If the right operand is transposed, `gemm` would read one element of each of its long rows after another. If
/// that is slow, the product is computed transposed, or with a copy of the operand. All three methods give bitwise
/// identical results.
pub(super) fn multiply_by_gemm(
    out: ViewMut<'_>,
    accumulate: bool,
    left: View<'_>,
    right: View<'_>,
) {
    // `gemm` computes small products in another order.
    let is_small = is_small(&out) || left.columns == 0;
    let is_transposed = right.row_stride == 1 && right.column_stride > 1;
    let may_change = !is_small && left.column_stride == 1 && is_transposed;
    if may_change && out.rows <= FEW.min(out.columns) && left.columns >= LONG {
        multiply_transposed(out, accumulate, left, right);
    } else if may_change && right.column_stride.is_multiple_of(ALIASED) {
        multiply_copy(out, accumulate, left, right);
    } else {
        multiply_directly(out, accumulate, left, right);
    }
}

/// Whether `gemm` computes the sums of this output in an order of its own.
pub(super) fn is_small(out: &ViewMut<'_>) -> bool {
    out.rows < 2 || out.columns < 2 || out.rows * out.columns <= SMALL
}

/// [`multiply_by_gemm`] with the operands as they are stored.
pub(super) fn multiply_directly(
    out: ViewMut<'_>,
    accumulate: bool,
    left: View<'_>,
    right: View<'_>,
) {
    let depth = left.columns;
    let mut done = 0;
    loop {
        let count = DEPTH.min(depth - done);
        let (left, right) = (left.columns(done, count), right.rows(done, count));
        // SAFETY: pointers, sizes and strides are those of views, which cover every element that they reach;
        // `out` is exclusive.
        unsafe {
            gemm::gemm(
                out.rows,
                out.columns,
                count,
                out.start,
                1,
                out.row_stride as isize,
                accumulate || done > 0,
                left.start,
                left.column_stride as isize,
                left.row_stride as isize,
                right.start,
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        done += count;
        if done >= depth {
            return;
        }
    }
}

/// [`multiply_by_gemm`] of a few rows and a transposed matrix, as `right' left'`: `gemm` then rearranges the few rows and reads
/// the long rows of the matrix in order. This is several times as fast if these rows are whole pages, because the elements of a
/// column then share a few cache sets.
fn multiply_transposed(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    let (rows, depth) = (out.rows, left.columns);
    SPACE.with_borrow_mut(|(operand, product)| {
        for (first, columns) in column_blocks(out.columns) {
            product.resize(product.len().max(columns * rows), 0.0);
            let product = &mut product[..columns * rows];
            if accumulate {
                for i in 0..rows {
                    let row = &out.row(i)[first..][..columns];
                    for (x, y) in product[i..].iter_mut().step_by(rows).zip(row) {
                        *x = *y;
                    }
                }
            }
            let right = right.columns(first, columns).transposed();
            for start in (0..depth).step_by(DEPTH) {
                let count = DEPTH.min(depth - start);
                let left = left
                    .columns(start, count)
                    .copied(operand, PADDED)
                    .transposed();
                let product = ViewMut::new(product, columns, rows, rows);
                let right = right.columns(start, count);
                multiply_directly(product, accumulate || start > 0, right, left);
            }
            for i in 0..rows {
                let row = &mut out.row(i)[first..][..columns];
                for (x, y) in row.iter_mut().zip(product[i..].iter().step_by(rows)) {
                    *x = *y;
                }
            }
        }
    });
}

/// [`multiply_by_gemm`] of a transposed matrix, with a copy whose rows do not share cache lines.
fn multiply_copy(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    let depth = left.columns;
    SPACE.with_borrow_mut(|(operand, _)| {
        for (first, columns) in column_blocks(out.columns) {
            let right = right.columns(first, columns).transposed();
            for start in (0..depth).step_by(DEPTH) {
                let count = DEPTH.min(depth - start);
                let right = right
                    .columns(start, count)
                    .copied(operand, PADDED)
                    .transposed();
                let left = left.columns(start, count);
                let out = out.columns(first, columns);
                multiply_directly(out, accumulate || start > 0, left, right);
            }
        }
    });
}

thread_local! {
    /// A copy of a part of an operand, and a part of a product. A thread keeps this memory, at most a megabyte each.
    static SPACE: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Divides `columns` into blocks: the first column and the number of columns of each. A block has 256 to 511
/// columns, so that none is small, unless there are fewer in all.
fn column_blocks(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = (columns / SMALL).max(1);
    let edge = move |k: usize| k * columns / blocks;
    (0..blocks).map(move |k| (edge(k), edge(k + 1) - edge(k)))
}

/// The largest number of rows of an output that counts as few compared with the right operand.
const FEW: usize = 256;

/// The smallest number of terms of a sum for which a transposed product pays off.
const LONG: usize = 800;

/// If the elements between rows are a multiple of this (2 KiB), the elements of a column share few sets of the cache.
const ALIASED: usize = 512;

/// Elements between the rows of a copy: one cache line more than they have.
const PADDED: usize = DEPTH + 16;

/// Terms of a sum that `gemm` adds up before it writes the output. With more, it would divide them in another way for small
/// outputs than for large ones, and parts of a product would differ from the whole in the last bit.
pub(super) const DEPTH: usize = 512;

/// The maximum number of terms that `gemm` adds to the output one by one.
pub(super) const SHORT: usize = 2;

/// The maximum number of elements of an output that `gemm` computes in another order.
pub const SMALL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_the_same_bits() {
        let number = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f32 / 5e5 - 1.0;
        // Transposed, with a copy, directly: long and short sums, rows that share cache lines or do not, sizes at the limits.
        for (m, k, n, stride) in [
            (2, 1025, 129, 1025),
            (3, 1026, 600, 1536),
            (64, 4096, 256, 4096),
            (255, 801, 1030, 801),
            (257, 1537, 260, 2048),
            (300, 1024, 130, 1024),
            (64, 511, 1500, 512),
            (129, 513, 2, 1024),
            (70, 300, 80, 333),
        ] {
            let left: Vec<f32> = (0..m * stride).map(number).collect();
            let right: Vec<f32> = (0..n * stride).map(|i| number(i + 77)).collect();
            let left = View::new(&left, m, k, stride);
            let right = View::new(&right, n, k, stride).transposed();
            for accumulate in [false, true] {
                let product = |way: fn(ViewMut<'_>, bool, View<'_>, View<'_>)| {
                    let mut out: Vec<f32> = (0..m * (n + 5)).map(|i| number(i + 9)).collect();
                    let view = ViewMut::new(&mut out, m, n, n + 5);
                    way(view, accumulate, left, right);
                    out
                };
                let want = product(multiply_directly);
                for way in [multiply_by_gemm, multiply_transposed, multiply_copy] {
                    assert!(product(way) == want, "{m}x{k}x{n}, {accumulate}");
                }
            }
        }
    }
}
