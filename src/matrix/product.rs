//! The product of two views on one thread.

use super::gemm::multiply_by_gemm;
use super::view::{View, ViewMut};

/// `out = left right`, or `out += left right`, on this thread.
///
/// Each element is a sum of runs of 512 terms, and each run a chain of fused multiply-adds with ascending terms. Small products and
/// those of CPUs without AVX2 are computed by the `gemm` crate, which adds the same way except for small products.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn multiply(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
    assert_eq!(left.columns, right.rows, "inner sizes of a product");
    assert_eq!(
        (out.rows, out.columns),
        (left.rows, right.columns),
        "outer sizes of a product"
    );
    #[cfg(target_arch = "x86_64")]
    if vectors::multiply(&mut out, accumulate, left, right) {
        return;
    }
    multiply_by_gemm(out, accumulate, left, right);
}

/// Products with AVX-512 and AVX2.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::cell::RefCell;

    use pulp::x86::{V3, V4};

    use super::super::gemm::is_small;
    use super::super::packed::{Spaces, multiply_packed};
    use super::super::tile::Vectors;
    use super::{View, ViewMut};

    /// The number of rows below which a copy of the right operand does not pay off.
    const FEW: usize = 8;

    /// See [`multiply`](super::multiply). Returns false and leaves `out` unchanged if `gemm` has to compute this product.
    pub(super) fn multiply(
        out: &mut ViewMut<'_>,
        accumulate: bool,
        left: View<'_>,
        right: View<'_>,
    ) -> bool {
        if out.rows < FEW || is_small(out) || left.columns == 0 {
            false
        } else if let Some(simd) = V4::try_new() {
            multiply_by(simd, out, accumulate, left, right);
            true
        } else if let Some(simd) = V3::try_new() {
            multiply_by(simd, out, accumulate, left, right);
            true
        } else {
            false
        }
    }

    /// [`multiply`] with these vector instructions.
    pub(super) fn multiply_by<V: Vectors>(
        simd: V,
        out: &mut ViewMut<'_>,
        accumulate: bool,
        left: View<'_>,
        right: View<'_>,
    ) {
        thread_local! {
            static SPACES: RefCell<Spaces> = RefCell::default();
        }
        SPACES.with_borrow_mut(|spaces| {
            simd.vectorize(Product {
                simd,
                out,
                accumulate,
                left,
                right,
                spaces,
            });
        });
    }

    /// The arguments of [`multiply_packed`].
    struct Product<'p, 'o, 'a, V> {
        simd: V,
        out: &'p mut ViewMut<'o>,
        accumulate: bool,
        left: View<'a>,
        right: View<'a>,
        spaces: &'p mut Spaces,
    }

    impl<V: Vectors> pulp::NullaryFnOnce for Product<'_, '_, '_, V> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Product {
                simd,
                out,
                accumulate,
                left,
                right,
                spaces,
            } = self;
            multiply_packed(simd, out, accumulate, left, right, spaces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemm::DEPTH;
    use super::*;

    fn number(i: usize) -> f32 {
        ((i * 2_654_435_761) % 1_000_003) as f32 / 5e5 - 1.0
    }

    /// A product of matrices that are stored with rows this far apart, transposed or not.
    #[derive(Clone, Copy, Debug)]
    struct Sizes {
        rows: usize,
        depth: usize,
        columns: usize,
        strides: [usize; 2],
        transposed: [bool; 2],
    }

    fn operand(
        values: &[f32],
        rows: usize,
        columns: usize,
        stride: usize,
        transposed: bool,
    ) -> View<'_> {
        if transposed {
            View::new(values, columns, rows, stride).transposed()
        } else {
            View::new(values, rows, columns, stride)
        }
    }

    type Way<'w> = &'w dyn Fn(ViewMut<'_>, bool, View<'_>, View<'_>);

    /// The output of `way`, with rows that are five elements longer than the product's.
    fn product(way: Way<'_>, sizes: Sizes, accumulate: bool) -> Vec<f32> {
        let Sizes {
            rows,
            depth,
            columns,
            strides,
            transposed,
        } = sizes;
        let len = |rows, columns, k: usize| {
            if transposed[k] {
                columns * strides[k]
            } else {
                rows * strides[k]
            }
        };
        let left: Vec<f32> = (0..len(rows, depth, 0)).map(number).collect();
        let right: Vec<f32> = (0..len(depth, columns, 1))
            .map(|i| number(i + 77))
            .collect();
        let mut out: Vec<f32> = (0..rows * (columns + 5)).map(|i| number(i + 9)).collect();
        way(
            ViewMut::new(&mut out, rows, columns, columns + 5),
            accumulate,
            operand(&left, rows, depth, strides[0], transposed[0]),
            operand(&right, depth, columns, strides[1], transposed[1]),
        );
        out
    }

    /// Runs of fused multiply-adds in plain loops.
    fn plain(mut out: ViewMut<'_>, accumulate: bool, left: View<'_>, right: View<'_>) {
        let element = |view: View<'_>, i, j| {
            if view.is_straight() {
                view.row(i)[j]
            } else {
                view.transposed().row(j)[i]
            }
        };
        let (rows, columns, depth) = (out.row_count(), out.column_count(), left.columns);
        let matrix = |view: View<'_>, rows, columns| -> Vec<f32> {
            (0..rows * columns)
                .map(|at| element(view, at / columns, at % columns))
                .collect()
        };
        let (left, right) = (matrix(left, rows, depth), matrix(right, depth, columns));
        for i in 0..rows {
            for j in 0..columns {
                for first in (0..depth).step_by(DEPTH) {
                    let terms = first..depth.min(first + DEPTH);
                    let sum = terms.fold(0.0, |sum, k| {
                        left[i * depth + k].mul_add(right[k * columns + j], sum)
                    });
                    let out = &mut out.row(i)[j];
                    *out = if accumulate || first > 0 {
                        *out + sum
                    } else {
                        sum
                    };
                }
            }
        }
    }

    #[test]
    fn tiles_give_the_bits_of_plain_loops_and_of_gemm() {
        let mut cases = Vec::new();
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            for (rows, depth, columns, more) in [
                (8, 3, 40, 0),
                (9, 17, 35, 1),
                (23, 130, 49, 3),
                (17, 512, 97, 0),
                (33, 513, 64, 512),
                (16, 700, 48, 324),
                (270, 1030, 47, 0),
                (64, 32, 513, 511),
            ] {
                let stride = |rows: usize, columns: usize, transposed| if transposed { rows } else { columns } + more;
                let strides = [
                    stride(rows, depth, transposed[0]),
                    stride(depth, columns, transposed[1]),
                ];
                cases.push(Sizes {
                    rows,
                    depth,
                    columns,
                    strides,
                    transposed,
                });
            }
        }
        for sizes in cases {
            for accumulate in [false, true] {
                let want = product(&plain, sizes, accumulate);
                let check = |name: &str, way: Way<'_>| {
                    let got = product(way, sizes, accumulate);
                    assert!(got == want, "{name}: {sizes:?}, accumulate {accumulate}");
                };
                check("multiply", &multiply);
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V3::try_new() {
                    check("gemm", &multiply_by_gemm);
                    check("AVX2", &|mut out, accumulate, left, right| {
                        vectors::multiply_by(simd, &mut out, accumulate, left, right)
                    });
                }
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V4::try_new() {
                    check("AVX-512", &|mut out, accumulate, left, right| {
                        vectors::multiply_by(simd, &mut out, accumulate, left, right)
                    });
                }
            }
        }
    }
}
