//! The forms of the gradient of a parameter.

use super::plan::Slice;

/// The gradient of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gradient {
    /// Every element.
    Dense(Slice),
    /// The rows that a row index lists; see [`crate::kernels::embedding`].
    Rows {
        /// The row index, an input.
        rows: Slice,
        /// `[capacity, width]`: row `k` is the gradient of the row with the `k`th id, zero past the count.
        values: Slice,
        /// The number of rows of `values`.
        capacity: usize,
    },
    /// Of one part of a batch: rows of the tensor `gradient.NAME [capacity, width]`, which another plan adds up by row.
    Sources {
        /// The name of their row index.
        index: &'static str,
        /// The number of rows, of all micro-batches.
        capacity: usize,
        /// The factor of the sums.
        scale: f32,
    },
}

/// The micro-batch whose gradients a graph adds to those of the previous ones.
#[derive(Clone, Copy)]
pub(super) struct MicroBatch {
    /// Its number, counted from 0.
    pub index: usize,
    /// The number of micro-batches.
    pub count: usize,
}

/// Rows of a gradient that two operations write, one next to the other.
#[derive(Clone, Copy)]
pub(super) struct SharedSources {
    /// The rows.
    pub source: Slice,
    /// Their row index.
    pub rows: Slice,
    /// Their number.
    pub capacity: usize,
}

/// Where one micro-batch writes its rows of a gradient.
pub(super) struct Sources {
    /// Rows that all micro-batches share.
    pub common: Slice,
    /// Whether new contributions are added to their contents.
    pub accumulate: bool,
    /// For each kind of rows that differs between micro-batches, the rows of this one.
    pub own: Vec<Slice>,
}
