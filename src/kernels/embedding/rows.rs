//! The row index: which rows of a table a batch reads, and at which positions. The host builds it from the ids.
//!
//! For `n` sources it is an index buffer of `3n + 2` numbers:
//!
//! | range | content |
//! |---|---|
//! | `[0]` | the count of distinct rows |
//! | `[1 .. 1+n]` | their ids, ascending; the rest is 0 |
//! | `[1+n .. 2+2n]` | where the positions of each row begin, and where those of the last row end; the rest repeats that end |
//! | `[2+2n .. 2+3n]` | positions in the list of ids, row by row, ascending within a row; the rest is 0 |
//!
//! Positions whose id is [`IGNORE`] belong to no row.

use crate::kernels::softmax::IGNORE;

/// The length of a row index for `sources` ids.
pub const fn row_index_len(sources: usize) -> usize {
    3 * sources + 2
}

/// The row index of a list of ids. To build one at every step, use [`RowIndex`].
pub fn row_index(ids: &[u32]) -> Vec<u32> {
    let mut index = RowIndex::default();
    index.rebuild(ids);
    index.index
}

/// Builds row indices. Reuses its memory for each.
#[derive(Clone, Debug, Default)]
pub struct RowIndex {
    index: Vec<u32>,
    /// The id in the upper half, the position in the lower: sorted by id, then by position.
    keys: Vec<u64>,
}

impl RowIndex {
    /// Builds the row index of `ids`, of length [`row_index_len`]`(ids.len())`.
    ///
    /// # Panics
    ///
    /// If there are more than `u32::MAX / 3` ids.
    pub fn rebuild(&mut self, ids: &[u32]) -> &[u32] {
        let n = ids.len();
        assert!(n < u32::MAX as usize / 3, "a row index of {n} ids");
        self.keys.clear();
        let keys = ids.iter().zip(0..).filter(|(id, _)| **id != IGNORE);
        self.keys
            .extend(keys.map(|(id, position): (&u32, u64)| u64::from(*id) << 32 | position));
        self.keys.sort_unstable();

        self.index.clear();
        self.index.resize(row_index_len(n), 0);
        let (header, positions) = self.index.split_at_mut(2 + 2 * n);
        let (distinct, starts) = header.split_at_mut(1 + n);
        let mut count = 0;
        let mut previous = None;
        for (at, (key, position)) in self.keys.iter().zip(positions).enumerate() {
            let id = (key >> 32) as u32;
            if previous != Some(id) {
                previous = Some(id);
                starts[count] = at as u32;
                count += 1;
                distinct[count] = id;
            }
            *position = *key as u32;
        }
        distinct[0] = count as u32;
        starts[count..].fill(self.keys.len() as u32);
        &self.index
    }

    /// The row index that was built last. Empty if none was.
    pub fn index(&self) -> &[u32] {
        &self.index
    }
}

/// Reads a row index.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    ids: &'a [u32],
    starts: &'a [u32],
    positions: &'a [u32],
}

impl<'a> Rows<'a> {
    /// A row index for `sources` ids.
    ///
    /// # Panics
    ///
    /// If its length is not [`row_index_len`]`(sources)`.
    #[inline]
    pub fn new(index: &'a [u32], sources: usize) -> Rows<'a> {
        assert_eq!(index.len(), row_index_len(sources), "length of a row index");
        Rows {
            ids: &index[1..1 + index[0] as usize],
            starts: &index[1 + sources..2 + 2 * sources],
            positions: &index[2 + 2 * sources..],
        }
    }

    /// The ids of the distinct rows, ascending.
    #[inline]
    pub fn ids(&self) -> &'a [u32] {
        self.ids
    }

    /// The positions of distinct row `k` in the list of ids, ascending.
    #[inline]
    pub fn positions(&self, k: usize) -> &'a [u32] {
        &self.positions[self.starts[k] as usize..self.starts[k + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_is_as_written() {
        assert_eq!(
            row_index(&[7, 2, 7]),
            [2, 2, 7, 0, 0, 1, 3, 3, 1, 0, 2],
            "count, ids, starts, positions"
        );
        assert_eq!(row_index(&[IGNORE, 4]), [1, 4, 0, 0, 1, 1, 1, 0]);
        assert_eq!(row_index(&[IGNORE]), [0, 0, 0, 0, 0]);
        assert_eq!(row_index(&[]), [0, 0]);
    }

    proptest! {
        #[test]
        fn groups_positions_by_id(
            lists in prop::collection::vec(
                prop::collection::vec(prop_oneof![0..9_u32, Just(IGNORE), any::<u32>()], 0..40),
                1..4,
            )
        ) {
            let mut index = RowIndex::default();
            for ids in &lists {
                let mut want: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
                for (position, id) in ids.iter().enumerate().filter(|(_, id)| **id != IGNORE) {
                    want.entry(*id).or_default().push(position as u32);
                }
                let rows = Rows::new(index.rebuild(ids), ids.len());
                prop_assert_eq!(rows.ids(), want.keys().copied().collect::<Vec<_>>());
                for (k, positions) in want.values().enumerate() {
                    prop_assert_eq!(rows.positions(k), positions);
                }
            }
        }
    }
}
