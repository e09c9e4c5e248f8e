//! The gate matrix of a layer as diagonal blocks, one for each group.
//!
//! Everything outside the blocks is dropped. How much that is depends on the order of the memory cells, of the elements of
//! the embedding and of those of each layer's output, and no result of a dense model depends on that order. So a
//! permutation is searched for with which the blocks hold as large a share of the sum of squares as possible: from the
//! given order and from random ones, elements of different groups are exchanged as long as that increases the share, memory
//! cells and axes in turn.

mod apply;
mod axes;
mod factorize;
mod partition;
mod search;

pub use factorize::{Blocks, factorize};
