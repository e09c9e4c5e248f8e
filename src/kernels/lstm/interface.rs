//! The common beginning of the shaders of all cells.

use crate::kernel::Snippet;

/// The operands of the product of a cell or of its gradient, in shaders that declare the other bindings after it.
pub(super) static CELL: Snippet = Snippet {
    name: "cell",
    wgsl: include_str!("../../../shaders/shared/cell.wgsl"),
};
