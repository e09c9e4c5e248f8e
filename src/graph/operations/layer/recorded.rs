//! The results of the forward pass that the backward pass of a layer needs.

use super::blocks::Block;
use super::description::{Layer, Sizes};
use super::span::Span;
use crate::graph::plan::Slice;
use crate::graph::{Graph, Parameter, Value};

/// The gates of a layer, with the tensors that their products go through.
#[derive(Clone, Copy)]
pub(super) enum GateProducts {
    /// See [`Gates::Grouped`](super::description::Gates::Grouped).
    Grouped { weight: Parameter, groups: usize },
    /// See [`Gates::Factorized`](super::description::Gates::Factorized).
    Factorized(Factorized),
}

/// The two products of factorized gates.
#[derive(Clone, Copy)]
pub(super) struct Factorized {
    pub first: Parameter,
    pub second: Parameter,
    /// `[T, B, r]`: the product with the first factor.
    pub product: Slice,
    /// `r`.
    pub width: usize,
}

/// A layer on the tape.
pub(super) struct Recorded {
    pub layer: Layer,
    pub gates: GateProducts,
    pub sizes: Sizes,
    pub x: Value,
    pub y: Value,
    /// `[T+1, B, P]`: the state before, then the outputs.
    pub h: Slice,
    /// The gates, cells and outputs before the projection of all steps: kept for the backward pass, or, with `recompute`, only
    /// valid in the forward pass.
    pub spans: Vec<Span>,
    /// Whether the backward pass recomputes the gates.
    pub recompute: bool,
}

impl Recorded {
    pub fn label(&self, what: &str) -> String {
        format!("{} {what}", self.layer.name)
    }

    /// The outputs before each step of a span.
    pub fn h_before(&self, span: &Span) -> Slice {
        let width = self.sizes.batch * self.sizes.output;
        self.h.part(span.first * width, span.count * width)
    }

    /// The weights of the recurrent product: those of `h`, or the second factor.
    pub fn cell_weights(&self, graph: &mut Graph) -> Block {
        match self.gates {
            GateProducts::Grouped { weight, groups } => {
                Block::recurrent_rows(graph.operand(weight), groups, &self.sizes)
            }
            GateProducts::Factorized(factorized) => Block::whole(graph.operand(factorized.second)),
        }
    }
}
