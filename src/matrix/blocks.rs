//! Products on all threads, block by block.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gemm::SMALL;
use super::product::multiply;
use super::view::{View, ViewMut, reach};
use crate::team::{self, Bounds};

/// The number of multiply-adds above which another thread is worthwhile.
const GRAIN: usize = 1 << 16;

/// The parts into which a product with this many multiply-adds is divided: at most one for each thread.
pub fn parts(multiply_adds: usize) -> usize {
    (multiply_adds / GRAIN).clamp(1, team::threads())
}

/// Divides the longer side of a matrix of `long * short` elements into at most `parts` parts. Blocks of 16 fill the vector
/// registers of the inner loop, and no part is so small that `gemm` would compute it in another order than the whole.
fn bounds(long: usize, short: usize, parts: usize) -> Bounds {
    let least = (SMALL / short.max(1) + 1).next_multiple_of(UNIT);
    Bounds::even(long, UNIT, parts.min(long / least).max(1))
}

/// Products are divided at multiples of this.
const UNIT: usize = 16;

/// A matrix that threads write in blocks of rows. Each block is taken once.
pub struct RowBlocks<'a> {
    whole: ViewMut<'a>,
    bounds: Bounds,
    /// One bit for each block.
    taken: AtomicU64,
}

// SAFETY: threads share blocks, each of which is given to one thread only, and distinct ones share no element.
unsafe impl Sync for RowBlocks<'_> {}

impl<'a> RowBlocks<'a> {
    /// The number of blocks.
    pub fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The first row of block `k`, and the block.
    ///
    /// # Panics
    ///
    /// If it was taken already.
    pub fn take(&self, k: usize) -> (usize, ViewMut<'a>) {
        let (begin, end) = (self.bounds[k], self.bounds[k + 1]);
        let before = self.taken.fetch_or(1 << k, Ordering::Relaxed);
        assert!(before & 1 << k == 0, "block {k} is taken twice");
        let whole = &self.whole;
        let skip = if begin == end {
            0
        } else {
            begin * whole.row_stride
        };
        let block = ViewMut {
            // SAFETY: the first row of a block that is not empty is a row of the matrix, by the check of `into_rows`.
            start: unsafe { whole.start.add(skip) },
            rows: end - begin,
            columns: whole.columns,
            row_stride: whole.row_stride,
            life: PhantomData,
        };
        (begin, block)
    }
}

impl<'a> ViewMut<'a> {
    /// Divides the rows into blocks.
    ///
    /// # Panics
    ///
    /// If the bounds do not ascend to the number of rows.
    pub fn into_rows(self, bounds: Bounds) -> RowBlocks<'a> {
        assert!(
            bounds.is_sorted() && bounds.last() == Some(&self.rows),
            "bounds of blocks"
        );
        RowBlocks {
            whole: self,
            bounds,
            taken: AtomicU64::new(0),
        }
    }
}

/// How the matrices of several groups are stored in one slice: one after another, or side by side in the same rows.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// Matrices.
    pub count: usize,
    /// Elements from one to the next.
    pub stride: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub columns: usize,
    /// Elements from a row to the next.
    pub row_stride: usize,
}

/// One block of one of several matrices.
pub struct GroupBlock<'a> {
    /// Which matrix.
    pub group: usize,
    /// Its first row.
    pub row: usize,
    /// Its first column.
    pub column: usize,
    /// Its elements.
    pub out: ViewMut<'a>,
}

impl GroupBlock<'_> {
    /// Computes this block of the product `left right` of its whole matrix, or adds it.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    pub fn multiply(self, accumulate: bool, left: View<'_>, right: View<'_>) {
        let left = left.rows(self.row, self.out.rows);
        let right = right.columns(self.column, self.out.columns);
        multiply(self.out, accumulate, left, right);
    }
}

/// Calls `work` on all threads for about `parts` blocks that cover every matrix of `groups` in `slice`. Each element is in one
/// block.
///
/// # Panics
///
/// If the matrices overlap or leave the slice.
pub fn each_block(
    slice: &mut [f32],
    groups: Groups,
    parts: usize,
    work: impl Fn(GroupBlock<'_>) + Sync,
) {
    let Groups {
        count,
        stride,
        rows,
        columns,
        row_stride,
    } = groups;
    if count == 0 || rows == 0 || columns == 0 {
        return;
    }
    let one = reach(rows, columns, row_stride);
    assert!(
        rows == 1 || row_stride >= columns,
        "rows of {columns} every {row_stride}"
    );
    assert!(
        (count - 1) * stride + one <= slice.len(),
        "matrices of groups leave their slice"
    );
    let side_by_side = (count - 1) * stride + columns <= row_stride && stride >= columns;
    assert!(
        count == 1 || stride >= one || side_by_side,
        "matrices of groups overlap"
    );
    let by_rows = rows > columns;
    let bounds = bounds(rows.max(columns), rows.min(columns), parts.div_ceil(count));
    let blocks = bounds.len() - 1;
    let start = SharedStart(slice.as_mut_ptr());
    let start = &start;
    team::each(if parts == 1 { 1 } else { count * blocks }, |k| {
        let range = if parts == 1 {
            0..count * blocks
        } else {
            k..k + 1
        };
        for k in range {
            let (group, k) = (k / blocks, k % blocks);
            let (begin, len) = (bounds[k], bounds[k + 1] - bounds[k]);
            let (row, column) = if by_rows { (begin, 0) } else { (0, begin) };
            let out = ViewMut {
                // SAFETY: a block lies within its matrix, and matrices do not overlap and lie within the slice, as checked
                // above; every block comes once.
                start: unsafe { start.0.add(group * stride + row * row_stride + column) },
                rows: if by_rows { len } else { rows },
                columns: if by_rows { columns } else { len },
                row_stride,
                life: PhantomData,
            };
            work(GroupBlock {
                group,
                row,
                column,
                out,
            });
        }
    });
}

/// The beginning of a slice that threads write in distinct blocks.
struct SharedStart(*mut f32);

// SAFETY: see `each_block`, its only user.
unsafe impl Sync for SharedStart {}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(left: &[f32], right: &[f32], m: usize, k: usize, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                out[i * n + j] = (0..k).map(|q| left[i * k + q] * right[q * n + j]).sum();
            }
        }
        out
    }

    /// One dense matrix of `rows` rows, `row_stride` apart.
    fn one(rows: usize, columns: usize, row_stride: usize) -> Groups {
        Groups {
            count: 1,
            stride: 0,
            rows,
            columns,
            row_stride,
        }
    }

    #[test]
    fn products_of_strided_and_transposed_views() {
        for (m, k, n) in [(1, 1, 1), (7, 13, 5), (33, 64, 200), (300, 70, 90)] {
            let left: Vec<f32> = (0..m * k).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
            let right: Vec<f32> = (0..k * n).map(|i| ((i * 5) % 13) as f32 - 6.0).collect();
            let want = plain(&left, &right, m, k, n);
            let mut out = vec![f32::NAN; m * (n + 3)];
            each_block(&mut out, one(m, n, n + 3), 3, |block| {
                block.multiply(false, View::new(&left, m, k, k), View::new(&right, k, n, n));
            });
            for i in 0..m {
                assert_eq!(out[i * (n + 3)..][..n], want[i * n..][..n]);
                assert!(
                    i + 1 == m || out[i * (n + 3) + n].is_nan(),
                    "written past a row"
                );
            }
            // (left right)' = right' left'
            let mut out = vec![1.0; n * m];
            each_block(&mut out, one(n, m, m), 3, |block| {
                block.multiply(
                    true,
                    View::new(&right, k, n, n).transposed(),
                    View::new(&left, m, k, k).transposed(),
                );
            });
            for i in 0..n {
                for j in 0..m {
                    assert_eq!(out[i * m + j], want[j * n + i] + 1.0);
                }
            }
        }
    }

    #[test]
    fn parts_give_the_bits_of_the_whole() {
        for (m, k, n) in [(2, 3000, 500), (257, 1500, 40), (64, 4096, 256)] {
            let number = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f32 / 5e5 - 1.0;
            let left: Vec<f32> = (0..m * k).map(number).collect();
            let right: Vec<f32> = (0..k * n).map(|i| number(i + 77)).collect();
            let product = |parts| {
                let mut out = vec![0.0; m * n];
                let (left, right) = (View::new(&left, m, k, k), View::new(&right, n, k, k));
                each_block(&mut out, one(m, n, n), parts, |block| {
                    block.multiply(false, left, right.transposed());
                });
                out
            };
            let whole = product(1);
            for parts in [2, 3, 8] {
                assert!(product(parts) == whole, "{m}x{k}x{n} in {parts} parts");
            }
        }
    }
}
