//! The inner loop of a product: a tile of the output in vector registers.

use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

use pulp::Simd;
use pulp::x86::{V3, V4};

use super::view::View;

/// A loop over `0..$bound`, at most 8, that is always unrolled: arrays that are indexed in it stay in registers.
macro_rules! unrolled {
    ($bound:ident, |$i:ident| $body:expr) => {
        unrolled!($bound, |$i| $body, 0 1 2 3 4 5 6 7)
    };
    ($bound:ident, |$i:ident| $body:expr, $($value:literal)*) => {{
        $(if $value < $bound {
            let $i = $value;
            $body;
        })*
    }};
}
pub(super) use unrolled;

/// Prefetches a line into the L1 cache.
pub(super) const SOON: i32 = _MM_HINT_T0;

/// Prefetches a line into the L2 cache.
pub(super) const LATER: i32 = _MM_HINT_T1;

/// A set of vector instructions, with the size of the tiles that fit into its registers.
pub(super) trait Vectors: Simd {
    /// The largest number of rows of a tile.
    const ROWS: usize;

    /// The largest number of vectors in a row of a tile, at most 3.
    const WIDTH: usize;

    /// Prefetches the cache line of an element into the L1 cache ([`SOON`]) or the L2 cache ([`LATER`]).
    #[inline(always)]
    #[allow(unsafe_code)]
    fn prefetch<const WHEN: i32>(self, element: &f32) {
        // SAFETY: a hint, which has no effect on the program.
        unsafe { _mm_prefetch::<WHEN>(std::ptr::from_ref(element).cast()) }
    }

    /// Transposes a square block of [`Simd::F32_LANES`] rows.
    fn transpose(self, rows: &mut [Self::f32s]);
}

/// The `M` rows of the left operand that a tile multiplies.
pub(super) trait Left<const M: usize>: Copy {
    /// The same rows with the first `depth` terms, so that the compiler sees that no index is out of bounds.
    fn cut(self, depth: usize) -> Self;

    /// Term `k` of row `i`.
    fn term(self, i: usize, k: usize) -> f32;
}

/// Rows of adjacent terms.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, const M: usize>(pub [&'a [f32]; M]);

impl<const M: usize> Left<M> for Rows<'_, M> {
    #[inline(always)]
    fn cut(mut self, depth: usize) -> Self {
        for row in &mut self.0 {
            *row = &row[..depth];
        }
        self
    }

    #[inline(always)]
    fn term(self, i: usize, k: usize) -> f32 {
        self.0[i][k]
    }
}

/// The terms of all rows, one term after another.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a, const M: usize>(pub &'a [[f32; M]]);

impl<const M: usize> Left<M> for Terms<'_, M> {
    #[inline(always)]
    fn cut(self, depth: usize) -> Self {
        Terms(&self.0[..depth])
    }

    #[inline(always)]
    fn term(self, i: usize, k: usize) -> f32 {
        self.0[k][i]
    }
}

/// The `N` vectors of columns of the right operand that a tile multiplies.
pub(super) trait Right<S: Simd, const N: usize> {
    /// The same columns with the first `depth` terms.
    fn cut(self, depth: usize) -> Self;

    /// Term `k` of each column.
    fn term(&mut self, simd: S, k: usize) -> [S::f32s; N];
}

/// Columns that have been copied, and the part of the memory to load into the second cache meanwhile.
pub(super) struct Panel<'a, 'l, T, const N: usize> {
    pub copy: &'a [[T; N]],
    pub later: Lines<'l>,
}

impl<S: Vectors, const N: usize> Right<S, N> for Panel<'_, '_, S::f32s, N> {
    #[inline(always)]
    fn cut(self, depth: usize) -> Self {
        Panel {
            copy: &self.copy[..depth],
            ..self
        }
    }

    #[inline(always)]
    fn term(&mut self, simd: S, k: usize) -> [S::f32s; N] {
        self.later.prefetch(simd);
        self.copy[k]
    }
}

/// Cache lines of a view, in the order in which they are stored.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    /// Rows of adjacent elements.
    rows: View<'a>,
    /// The next line: its row, and its first element there.
    row: usize,
    column: usize,
    /// The lines that are left.
    left: usize,
}

impl<'a> Lines<'a> {
    /// Part `part` of `parts` of the lines.
    #[inline(always)]
    pub(super) fn new(view: View<'a>, part: usize, parts: usize) -> Lines<'a> {
        let rows = if view.is_straight() {
            view
        } else {
            view.transposed()
        };
        let of_row = rows.columns.div_ceil(16);
        let whole = rows.rows * of_row;
        // Without divisions, since a product of few terms has many tiles and often nothing to prefetch.
        let [start, end] = if whole == 0 {
            [0, 0]
        } else {
            [part, part + 1].map(|part| whole * part / parts)
        };
        let (row, line) = if start == 0 {
            (0, 0)
        } else {
            (start / of_row, start % of_row)
        };
        Lines {
            rows,
            row,
            column: line * 16,
            left: end - start,
        }
    }

    /// Prefetches the next line, if any is left.
    #[inline(always)]
    fn prefetch(&mut self, simd: impl Vectors) {
        if self.left > 0 {
            self.left -= 1;
            simd.prefetch::<LATER>(&self.rows.row(self.row)[self.column]);
            self.column += 16;
            if self.column >= self.rows.columns {
                (self.row, self.column) = (self.row + 1, 0);
            }
        }
    }
}

/// How many rows ahead of the copy are prefetched.
pub(super) const AHEAD: usize = 8;

/// Columns as they are stored, and where to copy them. The first tile copies the columns for those below it, since it would
/// otherwise wait for the memory.
pub(super) struct Copying<'a, 'c, T, const N: usize> {
    pub stored: View<'a>,
    pub copy: &'c mut [[T; N]],
}

impl<S: Vectors, const N: usize> Right<S, N> for Copying<'_, '_, S::f32s, N> {
    #[inline(always)]
    fn cut(self, depth: usize) -> Self {
        Copying {
            copy: &mut self.copy[..depth],
            ..self
        }
    }

    #[inline(always)]
    fn term(&mut self, simd: S, k: usize) -> [S::f32s; N] {
        let later = self.stored.row((k + AHEAD).min(self.copy.len() - 1));
        for element in later.iter().step_by(16) {
            simd.prefetch::<SOON>(element);
        }
        let term = S::as_simd_f32s(self.stored.row(k)).0.as_chunks::<N>().0[0];
        self.copy[k] = term;
        term
    }
}

/// `left right` for `M` rows and `N` vectors of columns. Each sum is a chain of fused multiply-adds with ascending terms, from
/// zero.
#[inline(always)]
pub(super) fn tile<S: Simd, const M: usize, const N: usize>(
    simd: S,
    depth: usize,
    left: impl Left<M>,
    right: impl Right<S, N>,
) -> [[S::f32s; N]; M] {
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    let (left, mut right) = (left.cut(depth), right.cut(depth));
    for k in 0..depth {
        let right = right.term(simd, k);
        unrolled!(M, |i| {
            // Converted through an integer: otherwise the compiler loads the terms of all rows first, and the sums are spilled.
            let x = simd.splat_f32s(f32::from_bits(left.term(i, k).to_bits()));
            unrolled!(N, |j| sums[i][j] =
                simd.mul_add_f32s(x, right[j], sums[i][j]));
        });
    }
    sums
}

impl Vectors for V4 {
    const ROWS: usize = 8;
    const WIDTH: usize = 3;

    #[inline(always)]
    fn transpose(self, rows: &mut [pulp::f32x16]) {
        let rows: &mut [pulp::f32x16; 16] = rows.try_into().expect("a square block");
        // Zipping the upper half with the lower half four times.
        for _ in 0..4 {
            let mut next = *rows;
            for i in 0..8 {
                let (x, y) = (pulp::cast(rows[i]), pulp::cast(rows[i + 8]));
                let zip = |places: [i32; 16]| {
                    pulp::cast(
                        self.avx512f
                            ._mm512_permutex2var_ps(x, pulp::cast(places), y),
                    )
                };
                next[2 * i] = zip([0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]);
                next[2 * i + 1] =
                    zip([8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]);
            }
            *rows = next;
        }
    }
}

impl Vectors for V3 {
    const ROWS: usize = 6;
    const WIDTH: usize = 2;

    #[inline(always)]
    fn transpose(self, rows: &mut [pulp::f32x8]) {
        let rows: &mut [pulp::f32x8; 8] = rows.try_into().expect("a square block");
        for _ in 0..3 {
            let mut next = *rows;
            for i in 0..4 {
                let (x, y) = (pulp::cast(rows[i]), pulp::cast(rows[i + 4]));
                let low = self.avx._mm256_unpacklo_ps(x, y);
                let high = self.avx._mm256_unpackhi_ps(x, y);
                next[2 * i] = pulp::cast(self.avx._mm256_permute2f128_ps::<0x20>(low, high));
                next[2 * i + 1] = pulp::cast(self.avx._mm256_permute2f128_ps::<0x31>(low, high));
            }
            *rows = next;
        }
    }
}
