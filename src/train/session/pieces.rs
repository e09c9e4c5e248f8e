//! Transfers tensors between files and devices in pieces, so that a table of several gigabytes is in memory only
//! once.

use crate::error::Result;
use crate::tensor::Shape;

/// The maximum number of elements of a piece.
pub const PIECE: usize = 1 << 22;

/// Calls `take` for pieces of a tensor, in order, with the number of the first element and a buffer for the
/// elements. A piece is a number of whole rows.
///
/// # Errors
///
/// What `take` returns.
pub(super) fn in_pieces(
    shape: &Shape,
    mut take: impl FnMut(usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let (len, width) = (shape.len(), *shape.0.last().unwrap_or(&1));
    let piece = (PIECE / width).max(1) * width;
    let mut rows = vec![0.0; piece.min(len)];
    for start in (0..len).step_by(piece) {
        take(start, &mut rows[..piece.min(len - start)])?;
    }
    Ok(())
}
