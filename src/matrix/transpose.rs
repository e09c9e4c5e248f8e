//! The transpose of a matrix on one thread.

#[cfg(target_arch = "x86_64")]
use super::tile::{SOON, Vectors};
use super::view::{View, ViewMut};

/// Rows and columns of a block of the plain loops: the elements of a cache line.
const BLOCK: usize = 16;

/// `out = x'`, where the elements of a row of `x` are adjacent.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn transpose(mut out: ViewMut<'_>, x: View<'_>) {
    assert_eq!(
        (out.rows, out.columns),
        (x.columns, x.rows),
        "sizes of a transpose"
    );
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        return transpose_by(simd, &mut out, x);
    } else if let Some(simd) = pulp::x86::V3::try_new() {
        return transpose_by(simd, &mut out, x);
    }
    for first in (0..out.rows).step_by(BLOCK) {
        let count = BLOCK.min(out.rows - first);
        transpose_columns(&mut out, x, [first, first + count], [0, x.rows]);
    }
}

/// Copies the given range of columns and of rows of `x`, element by element.
#[inline(always)]
fn transpose_columns(
    out: &mut ViewMut<'_>,
    x: View<'_>,
    [first, last]: [usize; 2],
    [top, bottom]: [usize; 2],
) {
    for i in top..bottom {
        for (j, value) in (first..last).zip(&x.row(i)[first..last]) {
            out.row(j)[i] = *value;
        }
    }
}

/// [`transpose`] in square blocks of vectors.
#[cfg(target_arch = "x86_64")]
fn transpose_by<V: Vectors>(simd: V, out: &mut ViewMut<'_>, x: View<'_>) {
    struct Work<'w, 'o, 'a, V>(V, &'w mut ViewMut<'o>, View<'a>);

    impl<V: Vectors> pulp::NullaryFnOnce for Work<'_, '_, '_, V> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Work(simd, out, x) = self;
            let lanes = V::F32_LANES;
            let (rows, columns) = (x.rows / lanes * lanes, x.columns / lanes * lanes);
            for j in (0..columns).step_by(lanes) {
                for i in (0..rows).step_by(lanes) {
                    let mut block = [simd.splat_f32s(0.0); 16];
                    let block = &mut block[..lanes];
                    for (k, vector) in block.iter_mut().enumerate() {
                        *vector = V::as_simd_f32s(&x.row(i + k)[j..j + lanes]).0[0];
                        // The rows of the next block are far apart, which the hardware prefetcher does not predict.
                        simd.prefetch::<SOON>(&x.row((i + k + lanes).min(x.rows - 1))[j]);
                    }
                    simd.transpose(block);
                    for (k, vector) in block.iter().enumerate() {
                        V::as_mut_simd_f32s(&mut out.row(j + k)[i..i + lanes]).0[0] = *vector;
                    }
                }
            }
            transpose_columns(out, x, [0, columns], [rows, x.rows]);
            transpose_columns(out, x, [columns, x.columns], [0, x.rows]);
        }
    }

    simd.vectorize(Work(simd, out, x));
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way<'w> = &'w dyn Fn(&mut ViewMut<'_>, View<'_>);

    #[test]
    fn blocks_and_their_rest_are_transposed() {
        for (rows, columns, more) in [(1, 1, 0), (16, 16, 0), (7, 70, 3), (50, 9, 0), (37, 83, 5)] {
            let stride = columns + more;
            let x: Vec<f32> = (0..rows * stride).map(|k| k as f32).collect();
            let check = |way: Way<'_>| {
                let mut out = vec![-1.0; columns * (rows + 2)];
                way(
                    &mut ViewMut::new(&mut out, columns, rows, rows + 2),
                    View::new(&x, rows, columns, stride),
                );
                for (j, row) in out.chunks(rows + 2).enumerate() {
                    let want = (0..rows).map(|i| x[i * stride + j]);
                    assert!(row[..rows].iter().copied().eq(want), "row {j}");
                    assert_eq!(row[rows..], [-1.0, -1.0], "past row {j}");
                }
            };
            check(&|out, x| transpose(out.columns(0, rows), x));
            check(&|out, x| transpose_columns(out, x, [0, columns], [0, rows]));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                check(&|out, x| transpose_by(simd, out, x));
            }
        }
    }
}
