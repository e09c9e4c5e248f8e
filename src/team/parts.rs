//! Slices that all threads of a team write; each thread writes different parts.
#![allow(unsafe_code)]

use super::members::each;

/// The start of a slice whose parts are given to different threads.
struct Start<T>(*mut T);

// SAFETY: only used to make exclusive slices that do not overlap, of elements that may be sent.
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    /// # Safety
    ///
    /// The range lies within the slice, and no other slice of it is alive that overlaps it.
    unsafe fn part<'a>(&self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// Calls `work(k, part)` for part `k` of `y`: `size` elements that begin at `k * size`, or fewer in the last part.
///
/// # Panics
///
/// If `size` is 0.
pub fn chunks<T: Send>(y: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let (len, start) = (y.len(), Start(y.as_mut_ptr()));
    let start = &start;
    each(len.div_ceil(size), |k| {
        let begin = k * size;
        // SAFETY: `each` gives every k once, so the parts do not overlap; y is borrowed until it returns.
        work(k, unsafe { start.part(begin, size.min(len - begin)) });
    });
}

/// The same for two arrays that have the same number of parts, of the given sizes.
///
/// # Panics
///
/// If a size is 0 or the numbers of parts differ.
pub fn chunk_pairs<T: Send, U: Send>(
    y: &mut [T],
    z: &mut [U],
    [y_size, z_size]: [usize; 2],
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    let (y_len, z_len) = (y.len(), z.len());
    let parts = y_len.div_ceil(y_size);
    assert_eq!(parts, z_len.div_ceil(z_size), "parts of two arrays");
    let (y, z) = (Start(y.as_mut_ptr()), Start(z.as_mut_ptr()));
    let (y, z) = (&y, &z);
    each(parts, |k| {
        let (i, j) = (k * y_size, k * z_size);
        // SAFETY: as in `chunks`.
        let (y, z) = unsafe {
            (
                y.part(i, y_size.min(y_len - i)),
                z.part(j, z_size.min(z_len - j)),
            )
        };
        work(k, y, z);
    });
}

/// Calls `work(k, part, parts)` with the elements `bounds[k] .. bounds[k + 1]` of `array` and of each of `others`.
///
/// # Panics
///
/// If the bounds do not ascend or leave an array.
pub fn split<T: Send, const N: usize>(
    array: &mut [T],
    others: [&mut [T]; N],
    bounds: &[usize],
    work: impl Fn(usize, &mut [T], [&mut [T]; N]) + Sync,
) {
    assert!(bounds.is_sorted(), "bounds of parts must ascend");
    let last = bounds.last().copied().unwrap_or(0);
    let start = |array: &mut [T]| {
        assert!(last <= array.len(), "bounds of parts leave an array");
        Start(array.as_mut_ptr())
    };
    let starts = (start(array), others.map(start));
    let starts = &starts;
    each(bounds.len().saturating_sub(1), |k| {
        let (begin, end) = (bounds[k], bounds[k + 1]);
        // SAFETY: the ranges lie within every array and do not overlap, as just checked; each k comes once.
        let part = |start: &Start<T>| unsafe { start.part(begin, end - begin) };
        work(k, part(&starts.0), starts.1.each_ref().map(part));
    });
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Team};
    use super::*;

    #[test]
    fn slices_are_divided_without_gaps() {
        let team = Team::new(3);
        team.install(|| {
            let mut y = vec![0; 1000];
            chunks(&mut y, 7, |k, part| {
                part.iter_mut().for_each(|y| *y += k + 1)
            });
            assert!(y.iter().enumerate().all(|(i, &y)| y == i / 7 + 1));
            let mut z = vec![0; 1000];
            let bounds = Bounds::even(1000, 16, 5);
            split(&mut y, [&mut z[..]], &bounds, |k, y, [z]| {
                y.fill(k);
                z.fill(k);
            });
            assert!(y == z && y.is_sorted() && y[0] == 0 && y[999] == 4);
        });
    }

    #[test]
    #[should_panic(expected = "ascend")]
    fn bounds_that_cross_are_refused() {
        split(&mut [0; 4], [], &[0, 3, 2, 4], |_, _, []| {});
    }
}
