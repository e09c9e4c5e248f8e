//! The gate matrix of a layer as diagonal blocks, one for each group.
//!
//! Everything outside the blocks is dropped. How much that is depends on the order of the memory cells, of the elements of the
//! embedding and of the elements of each layer's output. The results of a dense model do not depend on this order. A search
//! therefore finds a permutation for which the blocks contain a large share of the sum of squares. It starts from the given
//! order and from random orders, and exchanges elements of different groups as long as that increases the share, alternating
//! between memory cells and axes.

mod apply;
mod axes;
mod factorize;
mod partition;
mod search;

pub use factorize::{BlockShare, factorize};
