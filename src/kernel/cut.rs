//! One step as two smaller ones: what a kernel knows of how its work divides, for slices that a device cannot bind whole.
//!
//! A kernel's [`Cut`] is asked with an [`Excess`]: one of its slices, and the most elements that it may have. It answers with
//! two steps in which that slice is smaller, in the first one so small if that can be had at once;
//! [`graph::split`](crate::graph::split) asks again until everything fits. Both together write what the whole writes, in order: where they add up what the whole added at once, to rounding, else to the
//! bit.

use std::ops::Range;

use super::{MAX_BINDINGS, Params};

/// See the module. Nothing, if that slice cannot be made smaller.
pub type Cut = fn(&[u32], &Excess<'_>) -> Option<[Part; 2]>;

/// A slice that is too large.
#[derive(Clone, Copy, Debug)]
pub struct Excess<'a> {
    /// The elements of every slice of the step.
    pub lens: &'a [usize],
    /// The binding of the slice.
    pub binding: usize,
    /// The most elements that it may have, at least 1.
    pub most: usize,
}

/// A step that does a part of another one's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its params.
    pub params: Box<[u32]>,
    /// What each of its slices is of the other's.
    pub ranges: [Range<usize>; MAX_BINDINGS],
}

/// A number of rows in two parts.
#[derive(Clone, Debug)]
pub struct CutRows {
    /// CutRows of the first part.
    pub first: usize,
    /// CutRows of the second part.
    pub second: usize,
    ranges: [[Range<usize>; MAX_BINDINGS]; 2],
}

impl Excess<'_> {
    /// Every slice whole.
    pub fn whole(&self) -> [Range<usize>; MAX_BINDINGS] {
        std::array::from_fn(|k| 0..self.lens.get(k).copied().unwrap_or(0))
    }

    /// Cuts `rows` rows, of which slice `k` holds so many elements each: `widths[k]`, 0 for what both parts need whole. The first
    /// part has a multiple of `multiple` rows.
    pub fn rows(&self, rows: usize, widths: &[usize], multiple: usize) -> Option<CutRows> {
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
        Some(CutRows {
            first,
            second: rows - first,
            ranges: [part(0..first), part(first..rows)],
        })
    }

    /// Cuts steps that do the same to every element of all their slices.
    pub fn elements(&self) -> Option<CutRows> {
        let widths = [1; MAX_BINDINGS];
        self.rows(self.lens[0], &widths[..self.lens.len()], 1)
    }
}

impl CutRows {
    /// Has slice `k` of the first part, whose rows are further apart than they are long, end `by` elements before the next row,
    /// and that of the second part where the whole one of `len` elements ends.
    pub fn spaced(mut self, k: usize, by: usize, len: usize) -> CutRows {
        self.ranges[0][k].end -= by;
        self.ranges[1][k].end = len;
        self
    }

    /// Cuts slice `other` like slice `k`: it only stands in the place of something.
    pub fn alike(mut self, k: usize, other: usize) -> CutRows {
        for ranges in &mut self.ranges {
            ranges[other] = ranges[k].clone();
        }
        self
    }

    /// The two steps, with the params for a first row and a number of rows: the first part begins at row `start`.
    pub fn each<P: Params>(self, start: u32, params: impl Fn(u32, u32) -> P) -> Option<[Part; 2]> {
        let (first, second) = (self.first as u32, self.second as u32);
        self.with([params(start, first), params(start + first, second)])
    }

    /// The two steps, with these params.
    pub fn with(self, params: [impl Params; 2]) -> Option<[Part; 2]> {
        let [first, second] = self.ranges;
        Some([
            Part {
                params: params[0].words(),
                ranges: first,
            },
            Part {
                params: params[1].words(),
                ranges: second,
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_where_the_slice_fits() {
        let lens = [70, 3, 14];
        let excess = |binding, most| Excess {
            lens: &lens,
            binding,
            most,
        };
        let cut = |binding, most, multiple| excess(binding, most).rows(7, &[10, 0, 2], multiple);
        let rows = cut(0, 35, 1).unwrap();
        assert_eq!((rows.first, rows.second), (3, 4));
        assert_eq!(rows.ranges[0][..3], [0..30, 0..3, 0..6]);
        assert_eq!(rows.ranges[1][..3], [30..70, 0..3, 6..14]);
        assert_eq!(cut(0, 35, 2).unwrap().first, 2);
        assert_eq!(cut(2, 5, 1).unwrap().first, 2);
        // Nothing of one row fits, nothing is cut of what both need whole.
        assert!(cut(0, 9, 1).is_none() && cut(1, 2, 1).is_none());
    }
}
