//! The results of the forward pass that the backward pass of a layer needs.

use super::context::Context;
use super::gates::GateProducts;
use super::span::Span;
use crate::graph::Value;

/// A layer on the tape.
pub(super) struct Recorded {
    pub context: Context,
    pub gates: Box<dyn GateProducts>,
    pub y: Value,
    /// The gates, cells and outputs before the projection of all steps: kept for the backward pass, or, with `recompute`, only
    /// valid in the forward pass.
    pub spans: Vec<Span>,
    /// Whether the backward pass recomputes the gates.
    pub recompute: bool,
}
