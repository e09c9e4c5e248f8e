//! The description of a layer.

use crate::graph::Parameter;

/// The form of the gates with their weights, interleaved per unit (see [`crate::kernels::lstm`]).
#[derive(Clone, Copy)]
pub enum Gates {
    /// A product for each group, with one group a dense product: `[G * (I+P)/G, 4H/G]`, in every group the rows of the input
    /// first.
    Grouped {
        /// The weights.
        weight: Parameter,
        /// `G`.
        groups: usize,
    },
    /// Two products, one after the other: `[I+P, r]`, the rows of the input first, and `[r, 4H]`.
    Factorized {
        /// The first factor.
        first: Parameter,
        /// The second factor.
        second: Parameter,
    },
}

/// The parts of a layer.
#[derive(Clone)]
pub struct Layer {
    /// The prefix of its tensors, `layers.0` for example.
    pub name: String,
    /// The weights of the gates.
    pub gates: Gates,
    /// `[1, 4H]`, interleaved.
    pub bias: Parameter,
    /// `[H, P]`, or none: then `P = H`.
    pub projection: Option<Parameter>,
    /// `B`.
    pub batch: usize,
    /// `T`.
    pub unroll: usize,
    /// Added to the forget gate.
    pub forget_bias: f32,
}

/// The sizes of a layer.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// `I`.
    pub input: usize,
    /// `H`.
    pub hidden: usize,
    /// `P`.
    pub output: usize,
    /// `B`.
    pub batch: usize,
    /// `T`.
    pub unroll: usize,
}
