//! The params of an update, and how they divide.

use crate::kernel::{MAX_BINDINGS, Oversized, Params as _, PartialStep, RowSplit};
use crate::params;

params! {
    /// The sizes of one step. The constants of the rule, each an `f32`, follow them.
    pub struct Params {
        /// Rows of the gradient.
        pub capacity: u32,
        /// Columns of weights and gradient.
        pub width: u32,
        /// Not 0: row `k` of the gradient belongs to row `rows[1 + first + k]`, for `first + k < rows[0]`.
        pub sparse: u32,
        /// The number of the first row of the gradient in the row index.
        pub first: u32,
        /// The id of the first row of weights and states.
        pub base: u32,
        /// Rows of weights and states. Rows with other ids are left to other steps.
        pub window: u32,
        /// Not 0: the gradient is multiplied by `norm[1]`; 0: by `norm[2]`.
        pub clipped: u32,
    }
}

/// Fields of [`Params`].
pub(super) const FIELDS: usize = Params::FIELDS.len();

impl Params {
    /// The params of a step with the constants of a rule, as a plan stores them.
    pub fn with_constants(&self, constants: &[f32]) -> Box<[u32]> {
        let constants = constants.iter().map(|constant| constant.to_bits());
        self.to_raw().into_iter().chain(constants).collect()
    }

    /// The params that all rules share, and the first `N` constants of this one.
    pub(super) fn and_constants<const N: usize>(raw: &[u32]) -> (&Params, [f32; N]) {
        let (params, constants) = raw.split_at(FIELDS);
        let constants = std::array::from_fn(|k| f32::from_bits(constants[k]));
        (Params::of(params), constants)
    }

    /// Splits a step with `arrays` arrays before its gradient, and `more` after `control` and `norm`.
    pub(super) fn split(
        raw: &[u32],
        arrays: usize,
        more: usize,
        oversized: &Oversized<'_>,
    ) -> Option<[PartialStep; 2]> {
        let (params, constants) = raw.split_at(FIELDS);
        let (split, parts) = Params::of(params).parts(arrays, more, oversized)?;
        split.with_raw(parts.map(|part| {
            let params = part.to_raw();
            params.iter().chain(constants).copied().collect()
        }))
    }

    fn parts(
        &self,
        arrays: usize,
        more: usize,
        oversized: &Oversized<'_>,
    ) -> Option<(RowSplit, [Params; 2])> {
        let width = self.width as usize;
        let mut widths = [0; MAX_BINDINGS];
        if self.sparse == 0 {
            // A dense update is split between elements.
            widths[..=arrays].fill(1);
            widths[arrays + 3..]
                .iter_mut()
                .take(more)
                .for_each(|width| *width = 1);
            let split = oversized.rows(self.capacity as usize * width, &widths, 1)?;
            let parts = [split.first, split.second].map(|len| Params {
                capacity: len as u32,
                width: 1,
                ..*self
            });
            return Some((split, parts));
        }
        if oversized.binding < arrays {
            widths[..arrays].fill(width);
            let split = oversized.rows(self.window as usize, &widths, 1)?;
            let first = Params {
                window: split.first as u32,
                ..*self
            };
            let second = Params {
                base: self.base + first.window,
                window: split.second as u32,
                ..*self
            };
            return Some((split, [first, second]));
        }
        widths[arrays] = width;
        let split = oversized.rows(self.capacity as usize, &widths, 1)?;
        let first = Params {
            capacity: split.first as u32,
            ..*self
        };
        let second = Params {
            capacity: split.second as u32,
            first: self.first + first.capacity,
            ..*self
        };
        Some((split, [first, second]))
    }
}
