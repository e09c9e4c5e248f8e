//! Strided views of `f32` matrices and their product on the CPU, through the `gemm` crate. A leaf.
//!
//! The views are what lets several threads write column blocks of one row-major matrix, and what keeps the raw pointers
//! that `gemm` takes behind bounds that are checked once. Two kernels in three spend their time here, and `gemm` is 20 to
//! 100 times the plain loops: that is why this module has `unsafe`.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::team::{self, Edges};

/// A matrix that is read.
#[derive(Clone, Copy)]
pub struct View<'a> {
    start: *const f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    life: PhantomData<&'a [f32]>,
}

/// A matrix that is written; distinct views never share an element.
pub struct ViewMut<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: a View is a shared borrow of f32s.
unsafe impl Send for View<'_> {}
// SAFETY: as above.
unsafe impl Sync for View<'_> {}
// SAFETY: a ViewMut is an exclusive borrow of the elements it reaches, and no other view reaches them.
unsafe impl Send for ViewMut<'_> {}

/// The elements that a row-major matrix reaches: 0 when it is empty.
fn reach(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    }
}

impl<'a> View<'a> {
    /// Rows of `columns` adjacent elements, `row_stride` apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    pub fn new(slice: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> View<'a> {
        let need = reach(rows, columns, row_stride);
        assert!(
            slice.len() >= need,
            "a view of {need} elements in a slice of {}",
            slice.len()
        );
        View {
            start: slice.as_ptr(),
            rows,
            columns,
            row_stride,
            column_stride: 1,
            life: PhantomData,
        }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> View<'a> {
        View {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Columns `start .. start + count`.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn columns(self, start: usize, count: usize) -> View<'a> {
        assert!(
            start + count <= self.columns,
            "columns {start}+{count} of {}",
            self.columns
        );
        // SAFETY: within the view, as just checked, or at its end when count is 0.
        let start = unsafe { self.start.add(start * self.column_stride) };
        View {
            start,
            columns: count,
            ..self
        }
    }

    /// A copy in `space`, whose rows are [`APART`], of a matrix whose rows have adjacent elements and at most [`DEPTH`] of them.
    fn copied(self, space: &mut Vec<f32>) -> View<'_> {
        assert!(self.column_stride == 1 && self.columns <= DEPTH);
        space.resize(space.len().max(self.rows * APART), 0.0);
        for (i, copy) in space.chunks_exact_mut(APART).take(self.rows).enumerate() {
            // SAFETY: row i is within what the view borrows, its elements are adjacent.
            let row = unsafe {
                std::slice::from_raw_parts(self.start.add(i * self.row_stride), self.columns)
            };
            copy[..self.columns].copy_from_slice(row);
        }
        View::new(space, self.rows, self.columns, APART)
    }

    /// Rows `start .. start + count`.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn rows(self, start: usize, count: usize) -> View<'a> {
        self.transposed().columns(start, count).transposed()
    }
}

impl<'a> ViewMut<'a> {
    /// Rows of `columns` adjacent elements, `row_stride` apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short, or rows would share elements.
    pub fn new(
        slice: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> ViewMut<'a> {
        let need = reach(rows, columns, row_stride);
        assert!(
            slice.len() >= need,
            "a view of {need} elements in a slice of {}",
            slice.len()
        );
        assert!(
            rows <= 1 || row_stride >= columns,
            "rows of {columns} elements every {row_stride}"
        );
        ViewMut {
            start: slice.as_mut_ptr(),
            rows,
            columns,
            row_stride,
            life: PhantomData,
        }
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn column_count(&self) -> usize {
        self.columns
    }

    /// Columns `start .. start + count`, for a while.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    fn columns(&mut self, start: usize, count: usize) -> ViewMut<'_> {
        assert!(
            start + count <= self.columns,
            "columns {start}+{count} of {}",
            self.columns
        );
        ViewMut {
            // SAFETY: within the view, as just checked, which is borrowed meanwhile.
            start: unsafe { self.start.add(start) },
            columns: count,
            rows: self.rows,
            row_stride: self.row_stride,
            life: PhantomData,
        }
    }

    /// The elements of row `k`.
    pub fn row(&mut self, k: usize) -> &mut [f32] {
        assert!(k < self.rows, "row {k} of {}", self.rows);
        // SAFETY: row k lies within what the view borrows exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(k * self.row_stride), self.columns) }
    }
}

/// `out = left right`, or `out += left right`, on this thread.
///
/// What is transposed on the right is a matrix of long rows, of which `gemm` would take an element from every row after the other:
/// it comes in another way where that is faster. All ways give the same bits.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn multiply(out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    assert_eq!(left.columns, right.rows, "inner sizes of a product");
    assert_eq!(
        (out.rows, out.columns),
        (left.rows, right.columns),
        "outer sizes of a product"
    );
    // What is small is treated in a way of its own, and stays as it is.
    let is_small = out.rows < 2 || out.rows * out.columns <= SMALL || left.columns == 0;
    let is_transposed = right.row_stride == 1 && right.column_stride > 1;
    let may_change = !is_small && left.column_stride == 1 && is_transposed;
    if may_change && out.rows <= FEW.min(out.columns) && left.columns >= LONG {
        multiply_turned(out, accumulate, left, right);
    } else if may_change && right.column_stride.is_multiple_of(ALIASED) {
        multiply_copied(out, accumulate, left, right);
    } else {
        multiply_as_they_are(out, accumulate, left, right);
    }
}

/// [`multiply`] by the strides that there are.
fn multiply_as_they_are(out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    let depth = left.columns;
    let mut done = 0;
    loop {
        let count = DEPTH.min(depth - done);
        let (left, right) = (left.columns(done, count), right.rows(done, count));
        // SAFETY: pointers, sizes and strides are of views that hold what they reach; `out` is exclusive.
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

/// [`multiply`] of a few rows and a matrix that is transposed: as `right' left'`, of which `gemm` rearranges the few rows and reads
/// the long ones as they lie. Several times as fast where the rows of the matrix are whole pages: its elements one below the other
/// then share a few lines of the cache.
fn multiply_turned(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
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
                let left = left.columns(start, count).copied(operand).transposed();
                let product = ViewMut::new(product, columns, rows, rows);
                let right = right.columns(start, count);
                multiply_as_they_are(product, accumulate || start > 0, right, left);
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

/// [`multiply`] of a matrix that is transposed, by a copy whose rows do not share lines of the cache.
fn multiply_copied(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    let depth = left.columns;
    SPACE.with_borrow_mut(|(operand, _)| {
        for (first, columns) in column_blocks(out.columns) {
            let right = right.columns(first, columns).transposed();
            for start in (0..depth).step_by(DEPTH) {
                let count = DEPTH.min(depth - start);
                let right = right.columns(start, count).copied(operand).transposed();
                let left = left.columns(start, count);
                let out = out.columns(first, columns);
                multiply_as_they_are(out, accumulate || start > 0, left, right);
            }
        }
    });
}

thread_local! {
    /// A copy of a part of an operand, and a part of a product: room that a thread keeps, at most a megabyte each.
    static SPACE: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// First columns and numbers of columns of blocks that cover so many columns: at least 256 each, if there are as many, so that none
/// is small, and less than twice that.
fn column_blocks(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = (columns / SMALL).max(1);
    let edge = move |k: usize| k * columns / blocks;
    (0..blocks).map(move |k| (edge(k), edge(k + 1) - edge(k)))
}

/// Rows of an output that are few beside a matrix on the right.
const FEW: usize = 256;

/// Terms of a sum from which on it pays to turn a product round.
const LONG: usize = 800;

/// Elements between rows, of which a multiple puts the elements of a column into few places of the cache (2 KiB).
const ALIASED: usize = 512;

/// Elements between the rows of a copy: a line of the cache more than they have.
const APART: usize = DEPTH + 16;

/// Terms of a sum that `gemm` adds up before it touches the output, for every size of output: with more it would cut them
/// otherwise for small outputs than for large ones, and parts of a product would differ from the whole in the last bit.
const DEPTH: usize = 512;

/// Elements up to which `gemm` treats an output in a way of its own.
const SMALL: usize = 256;

/// Multiply-adds below which another thread costs more than it saves.
const GRAIN: usize = 1 << 16;

/// Parts into which a product of this many multiply-adds is split: at most one a thread.
pub fn parts(multiply_adds: usize) -> usize {
    (multiply_adds / GRAIN).clamp(1, team::threads())
}

/// Where to cut the longer side of a matrix of `long * short` elements into at most `parts` parts: blocks of 16 fill the vector
/// registers of the inner loop, and no part is so small that it would be treated in another way than the whole.
fn edges(long: usize, short: usize, parts: usize) -> Edges {
    let least = (SMALL / short.max(1) + 1).next_multiple_of(UNIT);
    Edges::even(long, UNIT, parts.min(long / least).max(1))
}

/// Columns at which products are cut.
const UNIT: usize = 16;

/// A matrix of which threads take blocks of rows that do not overlap, each once.
pub struct Blocks<'a> {
    whole: ViewMut<'a>,
    edges: Edges,
    /// A bit a block.
    taken: AtomicU64,
}

// SAFETY: what is shared are blocks, each given to one thread only, and distinct ones share no element.
unsafe impl Sync for Blocks<'_> {}

impl<'a> Blocks<'a> {
    /// The number of blocks.
    pub fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// The first row of block `k`, and the block.
    ///
    /// # Panics
    ///
    /// If it was taken before.
    pub fn take(&self, k: usize) -> (usize, ViewMut<'a>) {
        let (begin, end) = (self.edges[k], self.edges[k + 1]);
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
    /// Blocks of rows.
    ///
    /// # Panics
    ///
    /// If the edges do not ascend to the number of rows.
    pub fn into_rows(self, edges: Edges) -> Blocks<'a> {
        assert!(
            edges.is_sorted() && edges.last() == Some(&self.rows),
            "edges of blocks"
        );
        Blocks {
            whole: self,
            edges,
            taken: AtomicU64::new(0),
        }
    }
}

/// Where the matrices of several groups lie in one slice: one after the other, or side by side in the same rows.
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
    /// This block of `left right`, the product that is its whole matrix, or added to it.
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

/// Calls `work` for blocks that cover every matrix of `groups` in `slice`, on all threads, about `parts` in all; each element is
/// in one block.
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
    let edges = edges(rows.max(columns), rows.min(columns), parts.div_ceil(count));
    let blocks = edges.len() - 1;
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
            let (begin, len) = (edges[k], edges[k + 1] - edges[k]);
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

/// The beginning of what threads write distinct blocks of.
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
    fn no_way_changes_a_bit() {
        let number = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f32 / 5e5 - 1.0;
        // Turned, copied, as they are: long and short sums, rows that share lines of the cache and do not, sizes at the edges.
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
                let want = product(multiply_as_they_are);
                for way in [multiply, multiply_turned, multiply_copied] {
                    assert!(product(way) == want, "{m}x{k}x{n}, {accumulate}");
                }
            }
        }
    }

    #[test]
    fn parts_do_not_change_a_bit() {
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
