//! How the streams of a batch are divided among threads.

use crate::team::{self, Bounds};

/// Divides the cells of `batch` streams: at most two parts for each thread, each large enough to outweigh the cost of a
/// task.
pub(super) fn stream_bounds(batch: usize, hidden: usize) -> Bounds {
    let worth = (batch * hidden / 1024).max(1);
    Bounds::even(batch, 1, worth.min(2 * team::threads()))
}
