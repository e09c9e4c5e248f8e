//! What is known to be wrong and waits to be mended. Nothing is added here, and in the end nothing is left.

/// Files that are longer.
pub const LONG: &[&str] = &[];

/// Files that import each other in a circle.
pub const IN_CIRCLES: &[&str] = &[];

/// Where a crate is named outside its layers.
pub const OUTSIDE: &[&str] = &[];

/// Where something is named that another file declares.
pub const NAMED_ELSEWHERE: &[&str] = &[];
