//! How kernels divide work among the threads of the CPU, and sums that use vector instructions.
//!
//! The size of a task depends only on the sizes of a step, and a sum uses a fixed number of lanes. Results therefore do not
//! depend on the number of threads or on the width of the vector instructions.

use crate::real::Real;
use crate::team;

/// The number of elements that one task processes: enough to outweigh the cost of a task.
pub(crate) const GRAIN: usize = 16 * 1024;

/// Runs `work` compiled for the best vector instructions of this CPU.
#[inline(always)]
pub(crate) fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    struct Work<F>(F);
    impl<T, F: FnOnce() -> T> pulp::NullaryFnOnce for Work<F> {
        type Output = T;
        #[inline(always)]
        fn call(self) -> T {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Work(work))
}

/// Calls `work(k, part)` for parts of `y [rows, width]` that begin at row `k`. A row costs as much as `cost` elements of a
/// pointwise kernel.
#[inline(always)]
pub(crate) fn rows<T: Send>(
    y: &mut [T],
    width: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let rows = (GRAIN / cost.max(1)).max(1);
    team::chunks(y, rows * width, |k, part| {
        vectorized(
            #[inline(always)]
            || work(k * rows, part),
        )
    });
}

/// The same for two arrays that have the same number of rows, of the given widths: `work(k, part of y, part of z)`.
#[inline(always)]
pub(crate) fn row_pairs<T: Send, U: Send>(
    y: &mut [T],
    z: &mut [U],
    [y_width, z_width]: [usize; 2],
    cost: usize,
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    let rows = (GRAIN / cost.max(1)).max(1);
    team::chunk_pairs(y, z, [rows * y_width, rows * z_width], |k, y, z| {
        vectorized(
            #[inline(always)]
            || work(k * rows, y, z),
        )
    });
}

/// Calls `work(i, part)` for parts of `y` that begin at element `i`.
#[inline(always)]
pub(crate) fn elements<T: Send>(y: &mut [T], work: impl Fn(usize, &mut [T]) + Sync) {
    rows(y, 1, 1, work);
}

/// The number of partial sums of a sum: the number of threads of a workgroup, so that all devices add in the same
/// order.
const SUMS: usize = 256;

/// The number of partial results of reductions whose order need not match that of other devices: enough to keep
/// the vector units busy.
const LANES: usize = 32;

/// The sum of `term` over `x`.
#[inline(always)]
pub(crate) fn sum<R: Real>(x: &[R], term: impl Fn(R) -> R) -> R {
    let mut lanes = [R::ZERO; SUMS];
    let (chunks, rest) = x.as_chunks::<SUMS>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += term(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += term(x);
    }
    fold(lanes, |x, y| x + y)
}

/// The inner product of `x` and `y`.
#[inline(always)]
pub(crate) fn dot<R: Real>(x: &[R], y: &[R]) -> R {
    let mut lanes = [R::ZERO; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane += x * y;
    }
    fold(lanes, |x, y| x + y)
}

/// The maximum of `x`, or minus infinity if `x` is empty. NaN is ignored.
#[inline(always)]
pub(crate) fn largest<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = lane.larger(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = lane.larger(x);
    }
    fold(lanes, R::larger)
}

/// Folds the upper half onto the lower until one lane is left.
#[inline(always)]
fn fold<R: Real, const N: usize>(mut lanes: [R; N], join: impl Fn(R, R) -> R) -> R {
    let mut half = N / 2;
    while half > 0 {
        for k in 0..half {
            lanes[k] = join(lanes[k], lanes[k + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_leave_nothing_out() {
        for len in [0, 1, 31, 32, 33, 100, 255, 256, 257, 1000] {
            let x: Vec<f64> = (0..len).map(|k| k as f64 - 7.0).collect();
            let total: f64 = x.iter().sum();
            let squares: f64 = x.iter().map(|x| x * x).sum();
            assert_eq!(sum(&x, |x| x), total);
            assert_eq!(dot(&x, &x), squares);
            let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(largest(&x), most);
        }
    }

    #[test]
    fn every_row_is_visited_once() {
        for (count, width) in [(1, 1), (3, GRAIN), (GRAIN + 1, 2), (7, 2 * GRAIN)] {
            let mut y = vec![0_u32; count * width];
            rows(&mut y, width, width, |first, part| {
                for (k, row) in part.chunks_exact_mut(width).enumerate() {
                    row.iter_mut().for_each(|y| *y += (first + k + 1) as u32);
                }
            });
            assert!(
                y.chunks(width)
                    .enumerate()
                    .all(|(k, row)| { row.iter().all(|y| *y == k as u32 + 1) })
            );
        }
    }
}
