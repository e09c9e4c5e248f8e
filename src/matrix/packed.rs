//! The product of two views with vector instructions: tiles of the output, and copies of the operands for them.
//!
//! A tile that reads the operands where they are stored waits for memory, because rows that are a power of two apart share few
//! sets of a cache. So the columns of the right operand are copied in panels as wide as a tile, by the first tile that reads
//! them, and the rows of a left operand that is stored transposed are copied for each tile.

use super::gemm::{DEPTH, SHORT, multiply_directly};
use super::pack::{Parts, Space, copy_rows, left_start, pack_left, pack_right};
use super::tile::{Copying, Left, Lines, Panel, Rows, SOON, Terms, Vectors, tile, unrolled};
use super::view::{View, ViewMut};

/// Rows of the left operand that are copied at once: at most half a megabyte.
const BLOCK_ROWS: usize = 256;

/// Elements of the right operand that are copied at once: 256 KiB, which fit into the L2 cache of a core.
const BLOCK_ELEMENTS: usize = 1 << 16;

/// Copies of parts of both operands. A thread keeps this memory.
#[derive(Default)]
pub(super) struct Spaces {
    left: Space,
    right: Space,
}

/// The product of these views, or its sum with the output.
#[inline(always)]
pub(super) fn multiply_packed<V: Vectors>(
    simd: V,
    out: &mut ViewMut<'_>,
    accumulate: bool,
    left: View<'_>,
    right: View<'_>,
    spaces: &mut Spaces,
) {
    let depth = left.columns;
    for start in (0..depth).step_by(DEPTH) {
        let count = DEPTH.min(depth - start);
        let later = right.rows(start + count, DEPTH.min(depth - start - count));
        let (left, right) = (left.columns(start, count), right.rows(start, count));
        let accumulate = accumulate || start > 0;
        if count <= SHORT {
            multiply_directly(out.columns(0, out.columns), accumulate, left, right);
        } else {
            multiply_run(simd, out, accumulate, left, right, later, spaces);
        }
    }
}

/// A product of at most [`DEPTH`] terms. The rows `later` of the right operand are those of the next product.
#[inline(always)]
fn multiply_run<V: Vectors>(
    simd: V,
    out: &mut ViewMut<'_>,
    accumulate: bool,
    left: View<'_>,
    right: View<'_>,
    later: View<'_>,
    spaces: &mut Spaces,
) {
    let depth = left.columns;
    let panel_columns = V::WIDTH * V::F32_LANES;
    let block_columns = (BLOCK_ELEMENTS / depth / panel_columns).max(1) * panel_columns;
    let block_rows = if left.is_straight() {
        out.rows
    } else {
        BLOCK_ROWS
    };
    for top in (0..out.rows).step_by(block_rows) {
        let rows = block_rows.min(out.rows - top);
        let left = left.rows(top, rows);
        let tiles = Parts::new(rows, V::ROWS);
        let mut packed = &mut [][..];
        if !left.is_straight() {
            packed = spaces.left.take(left_start(tiles, tiles.count, depth));
            pack_left(simd, left, tiles, packed);
        }
        for column in (0..out.columns).step_by(block_columns) {
            let columns = block_columns.min(out.columns - column);
            // What is copied next.
            let end = column + columns;
            let later = if end < out.columns {
                right.columns(end, block_columns.min(out.columns - end))
            } else {
                later.columns(0, block_columns.min(out.columns))
            };
            let right = right.columns(column, columns);
            let panels = Parts::new(columns.div_ceil(V::F32_LANES), V::WIDTH);
            let copy = spaces.right.take(panels.whole * V::F32_LANES * depth);
            let copy = V::as_mut_simd_f32s(copy).0;
            if !right.is_straight() {
                pack_right(simd, right, panels, copy);
            }
            for t in 0..tiles.count {
                let (start, end) = (tiles.start(t), tiles.start(t + 1));
                let row = Row {
                    out,
                    row: top + start,
                    column,
                    columns,
                    accumulate,
                    depth,
                    panels,
                    copy,
                    stored: (right.is_straight() && t == 0).then_some(right),
                    later,
                    // The first row of tiles copies the columns, so prefetching begins with the second.
                    turn: [
                        (t.max(1) - 1) * panels.count,
                        (tiles.count - 1).max(1) * panels.count,
                    ],
                };
                // A function for each height, whose sums stay in registers.
                macro_rules! by_height {
                    ($($height:literal)*) => {
                        match end - start {
                            $($height if left.is_straight() => {
                                let mut rows = [&[][..]; $height];
                                for (i, row) in rows.iter_mut().enumerate() {
                                    *row = left.row(start + i);
                                }
                                multiply_row(simd, row, Rows(rows));
                            }
                            $height => {
                                let terms = &packed[left_start(tiles, t, depth)..][..$height * depth];
                                multiply_row(simd, row, Terms(terms.as_chunks::<$height>().0));
                            })*
                            height => unreachable!("a tile of {height} rows"),
                        }
                    };
                }
                by_height!(1 2 3 4 5 6 7 8);
            }
        }
    }
}

/// A row of tiles.
struct Row<'r, 'o, V: Vectors> {
    out: &'r mut ViewMut<'o>,
    /// The first row and column of the output, and the columns.
    row: usize,
    column: usize,
    columns: usize,
    accumulate: bool,
    depth: usize,
    /// The vectors of the columns in panels, and their copies.
    panels: Parts,
    copy: &'r mut [V::f32s],
    /// The columns of the right operand, if they are not copied yet.
    stored: Option<View<'r>>,
    /// What to prefetch, divided into `turn[1]` parts. This row of tiles prefetches the parts from `turn[0]` on, one for each tile.
    later: View<'r>,
    turn: [usize; 2],
}

/// Computes a row of tiles of `M` rows.
#[inline(never)]
fn multiply_row<V: Vectors, const M: usize>(simd: V, row: Row<'_, '_, V>, left: impl Left<M>) {
    struct Work<'r, 'o, V: Vectors, L, const M: usize>(V, Row<'r, 'o, V>, L);

    impl<V: Vectors, L: Left<M>, const M: usize> pulp::NullaryFnOnce for Work<'_, '_, V, L, M> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Work(simd, mut row, left) = self;
            let panels = row.panels;
            for p in 0..panels.count {
                let start = panels.start(p);
                let later = Lines::new(row.later, row.turn[0] + p, row.turn[1]);
                match panels.start(p + 1) - start {
                    1 => row.multiply_tile::<M, 1>(simd, left, start, later),
                    2 => row.multiply_tile::<M, 2>(simd, left, start, later),
                    _ => row.multiply_tile::<M, 3>(simd, left, start, later),
                }
            }
        }
    }

    simd.vectorize(Work(simd, row, left));
}

impl<V: Vectors> Row<'_, '_, V> {
    /// Computes the tile of `N` vectors that begins at this vector of the columns.
    #[inline(always)]
    fn multiply_tile<const M: usize, const N: usize>(
        &mut self,
        simd: V,
        left: impl Left<M>,
        start: usize,
        later: Lines<'_>,
    ) {
        let depth = self.depth;
        let first = start * V::F32_LANES;
        let count = (N * V::F32_LANES).min(self.columns - first);
        let is_whole = count == N * V::F32_LANES;
        let rows = self.out.part::<M>(self.row, self.column + first, count);
        if self.accumulate {
            for row in &rows {
                for element in row.iter().step_by(16) {
                    simd.prefetch::<SOON>(element);
                }
            }
        }
        let copy = &mut self.copy[start * depth..][..N * depth];
        let sums = match self.stored {
            Some(stored) if is_whole => {
                let stored = stored.columns(first, count);
                let copy = copy.as_chunks_mut::<N>().0;
                tile::<V, M, N>(simd, depth, left, Copying { stored, copy })
            }
            stored => {
                if let Some(stored) = stored {
                    copy_rows::<V, N>(simd, stored.columns(first, count), copy);
                }
                let copy = copy.as_chunks::<N>().0;
                tile::<V, M, N>(simd, depth, left, Panel { copy, later })
            }
        };
        // Inline: a function call would force the sums out of their registers.
        if !is_whole {
            for (row, sums) in rows.into_iter().zip(sums) {
                for (part, sum) in row.chunks_mut(V::F32_LANES).zip(sums) {
                    let sum = if self.accumulate {
                        simd.add_f32s(simd.partial_load_f32s(part), sum)
                    } else {
                        sum
                    };
                    simd.partial_store_f32s(part, sum);
                }
            }
        } else if self.accumulate {
            unrolled!(M, |i| {
                let row = V::as_mut_simd_f32s(rows[i]).0;
                unrolled!(N, |j| row[j] = simd.add_f32s(row[j], sums[i][j]));
            });
        } else {
            unrolled!(M, |i| {
                let row = V::as_mut_simd_f32s(rows[i]).0;
                unrolled!(N, |j| row[j] = sums[i][j]);
            });
        }
    }
}
