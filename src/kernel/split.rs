//! One step as two smaller ones, for slices that are too large to bind: how a kernel divides its work.
//!
//! [`graph::split`](crate::graph::split) calls a kernel's [`Split`] with a slice that is too large and the maximum number of
//! elements that it may have. The kernel answers with two steps in which that slice is smaller; the first fits, if one split
//! can achieve it. This repeats until every slice fits. Run in order, the two steps write what the whole step writes: the same
//! bits, or the same up to rounding where they divide a sum.

use std::ops::Range;

use super::binding::MAX_BINDINGS;
use super::params::Params;

/// Splits a step with these params in two. None if the slice cannot be made smaller.
pub type Split = fn(&[u32], &Oversized<'_>) -> Option<[PartialStep; 2]>;

/// A slice that is too large for a binding.
#[derive(Clone, Copy, Debug)]
pub struct Oversized<'a> {
    /// The elements of every slice of the step.
    pub lens: &'a [usize],
    /// The binding of the slice that is too large.
    pub binding: usize,
    /// The maximum number of elements that it may have, at least 1.
    pub most: usize,
}

/// A step that does a part of the work of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialStep {
    /// Its params.
    pub params: Box<[u32]>,
    /// For each of its slices, the range within the slice of the whole step.
    pub ranges: [Range<usize>; MAX_BINDINGS],
}

/// A step that is split between two of its rows.
#[derive(Clone, Debug)]
pub struct RowSplit {
    /// The rows of the first part.
    pub first: usize,
    /// The rows of the second part.
    pub second: usize,
    ranges: [[Range<usize>; MAX_BINDINGS]; 2],
}

impl Oversized<'_> {
    /// The ranges of all slices as a whole.
    pub fn whole(&self) -> [Range<usize>; MAX_BINDINGS] {
        std::array::from_fn(|k| 0..self.lens.get(k).copied().unwrap_or(0))
    }

    /// Splits `rows` rows. `widths[k]` is the number of elements that slice `k` has in each row, or 0 if both parts need the
    /// whole slice. The first part gets a multiple of `multiple` rows. None if both parts need the whole of the slice that is
    /// too large, or if `multiple` rows of it are too large.
    pub fn rows(&self, rows: usize, widths: &[usize], multiple: usize) -> Option<RowSplit> {
        let width = widths[self.binding];
        if width == 0 {
            return None;
        }
        let first = (self.most / width).min(rows.saturating_sub(1)) / multiple * multiple;
        if first == 0 {
            return None;
        }
        let part = |at: Range<usize>| {
            std::array::from_fn(|k| match widths.get(k) {
                Some(0) | None => self.whole()[k].clone(),
                Some(width) => at.start * width..at.end * width,
            })
        };
        Some(RowSplit {
            first,
            second: rows - first,
            ranges: [part(0..first), part(first..rows)],
        })
    }

    /// Splits a step that treats all elements of all slices in the same way.
    pub fn elements(&self) -> Option<RowSplit> {
        let widths = [1; MAX_BINDINGS];
        self.rows(self.lens[0], &widths[..self.lens.len()], 1)
    }
}

impl RowSplit {
    /// For a slice `k` of `len` elements with gaps of `gap` elements between its rows: the first part ends before the gap
    /// after its last row, and the second at the end of the slice.
    pub fn with_gaps(mut self, k: usize, gap: usize, len: usize) -> RowSplit {
        self.ranges[0][k].end -= gap;
        self.ranges[1][k].end = len;
        self
    }

    /// Gives slice `other`, which the kernel does not read, the ranges of slice `k`.
    pub fn copy_range(mut self, k: usize, other: usize) -> RowSplit {
        for ranges in &mut self.ranges {
            ranges[other] = ranges[k].clone();
        }
        self
    }

    /// The two steps, with `params(first row, number of rows)`. The first part begins at row `start`.
    pub fn each<P: Params>(
        self,
        start: u32,
        params: impl Fn(u32, u32) -> P,
    ) -> Option<[PartialStep; 2]> {
        let (first, second) = (self.first as u32, self.second as u32);
        self.with([params(start, first), params(start + first, second)])
    }

    /// The two steps, with these params.
    pub fn with(self, params: [impl Params; 2]) -> Option<[PartialStep; 2]> {
        self.with_raw(params.map(|params| params.to_raw()))
    }

    /// The same with params as a step stores them.
    pub fn with_raw(self, params: [Box<[u32]>; 2]) -> Option<[PartialStep; 2]> {
        let ([first_params, second_params], [first, second]) = (params, self.ranges);
        Some([
            PartialStep {
                params: first_params,
                ranges: first,
            },
            PartialStep {
                params: second_params,
                ranges: second,
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_where_the_slice_fits() {
        let lens = [70, 3, 14];
        let oversized = |binding, most| Oversized {
            lens: &lens,
            binding,
            most,
        };
        let split =
            |binding, most, multiple| oversized(binding, most).rows(7, &[10, 0, 2], multiple);
        let rows = split(0, 35, 1).unwrap();
        assert_eq!((rows.first, rows.second), (3, 4));
        assert_eq!(rows.ranges[0][..3], [0..30, 0..3, 0..6]);
        assert_eq!(rows.ranges[1][..3], [30..70, 0..3, 6..14]);
        assert_eq!(split(0, 35, 2).unwrap().first, 2);
        assert_eq!(split(2, 5, 1).unwrap().first, 2);
        // One row does not fit; both parts need the whole slice.
        assert!(split(0, 9, 1).is_none() && split(1, 2, 1).is_none());
    }
}
