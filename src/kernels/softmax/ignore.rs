//! The target of padding.

/// The target of a row that is padding: its loss and its gradients are 0.
pub const IGNORE: u32 = u32::MAX;
