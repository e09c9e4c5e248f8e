//! Copies of operands in the order in which the inner loop reads them.

use super::tile::{AHEAD, SOON, Vectors};
use super::view::View;

/// Memory that a thread keeps for copies, so that a step allocates nothing. Vectors in it share no cache line with others.
#[derive(Default)]
pub(super) struct Space(Vec<Line>);

/// A cache line.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Space {
    /// `len` elements of unspecified content.
    pub(super) fn take(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; 16]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..len]
    }
}

/// Copies `right [depth, columns]`: all rows of the first panel, then all of the next. Elements after the last column are zero.
#[inline(always)]
pub(super) fn pack_right<V: Vectors>(
    simd: V,
    right: View<'_>,
    panels: Parts,
    space: &mut [V::f32s],
) {
    let depth = right.rows;
    for p in 0..panels.count {
        let (start, end) = (panels.start(p), panels.start(p + 1));
        let panel = &mut space[start * depth..end * depth];
        let (first, last) = (start * V::F32_LANES, end * V::F32_LANES);
        let right = right.columns(first, last.min(right.columns) - first);
        if right.is_straight() {
            match end - start {
                1 => copy_rows::<V, 1>(simd, right, panel),
                2 => copy_rows::<V, 2>(simd, right, panel),
                _ => copy_rows::<V, 3>(simd, right, panel),
            }
        } else {
            transpose_rows(simd, right.transposed(), end - start, panel);
        }
    }
}

/// Copies rows of `N` vectors.
#[inline(always)]
pub(super) fn copy_rows<V: Vectors, const N: usize>(
    simd: V,
    right: View<'_>,
    panel: &mut [V::f32s],
) {
    let is_full = right.columns == N * V::F32_LANES;
    for (k, copy) in panel.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        let row = right.row(k);
        if is_full {
            let row = V::as_simd_f32s(row).0;
            copy.copy_from_slice(&row[..N]);
        } else {
            for (copy, part) in copy.iter_mut().zip(row.chunks(V::F32_LANES)) {
                *copy = simd.partial_load_f32s(part);
            }
        }
    }
}

/// Copies the transposed `rows [columns, depth]` to rows of `width` vectors, in square blocks.
#[inline(always)]
fn transpose_rows<V: Vectors>(simd: V, rows: View<'_>, width: usize, panel: &mut [V::f32s]) {
    let lanes = V::F32_LANES;
    let depth = rows.columns;
    for vector in 0..width {
        let first = vector * lanes;
        let count = lanes.min(rows.rows - first);
        for start in (0..depth).step_by(lanes) {
            let terms = lanes.min(depth - start);
            let mut block = [simd.splat_f32s(0.0); 16];
            let block = &mut block[..lanes];
            for (i, vector) in block.iter_mut().take(count).enumerate() {
                let row = &rows.row(first + i)[start..start + terms];
                *vector = if terms == lanes {
                    V::as_simd_f32s(row).0[0]
                } else {
                    simd.partial_load_f32s(row)
                };
            }
            simd.transpose(block);
            for (q, term) in block.iter().take(terms).enumerate() {
                panel[(start + q) * width + vector] = *term;
            }
        }
    }
}

/// Copies the rows of `left [rows, depth]`, which is stored transposed: term by term for each tile.
#[inline(always)]
pub(super) fn pack_left<V: Vectors>(simd: V, left: View<'_>, tiles: Parts, space: &mut [f32]) {
    let (stored, depth) = (left.transposed(), left.columns);
    for k in 0..depth {
        let row = stored.row(k);
        for element in stored.row((k + AHEAD).min(depth - 1)).iter().step_by(16) {
            simd.prefetch::<SOON>(element);
        }
        for t in 0..tiles.count {
            let (start, end) = (tiles.start(t), tiles.start(t + 1));
            let (from, at) = (&row[start..end], left_start(tiles, t, depth));
            macro_rules! by_height {
                ($($height:literal)*) => {
                    match end - start {
                        $($height => {
                            let to = space[at + k * $height..].first_chunk_mut::<$height>();
                            *to.expect("space") = *from.first_chunk().expect("a row");
                        })*
                        height => unreachable!("a tile of {height} rows"),
                    }
                };
            }
            by_height!(1 2 3 4 5 6 7 8);
        }
    }
}

/// Rows or vectors of columns, divided into nearly equal parts.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// What is divided.
    pub whole: usize,
    /// The number of parts.
    pub count: usize,
    /// The size of the smaller parts.
    size: usize,
    /// The number of parts that are larger by one.
    larger: usize,
}

impl Parts {
    /// The fewest parts of at most `most`.
    pub(super) fn new(whole: usize, most: usize) -> Parts {
        let count = whole.div_ceil(most);
        Parts {
            whole,
            count,
            size: whole / count,
            larger: whole % count,
        }
    }

    /// Where part `k` begins.
    pub(super) fn start(self, k: usize) -> usize {
        k * self.size + k.min(self.larger)
    }
}

/// Where the copy of the rows of tile `t` begins; the length of all copies if `t` is the number of tiles. The line between two
/// copies keeps them out of the same sets of the cache.
pub(super) fn left_start(tiles: Parts, t: usize, depth: usize) -> usize {
    tiles.start(t) * depth + 16 * t
}
