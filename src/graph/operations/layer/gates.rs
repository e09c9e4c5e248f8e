//! The interface of a form of gates: how the gates of a layer are computed from its input and its previous output.
//!
//! A form is one file that implements [`GateProducts`] and [`GateGradients`], a variant of [`Gates`](super::Gates) and its arm in
//! [`layer`](super::layer()). The rest of a layer is the same for all forms: the cell, the projection, the bias, spans and
//! recomputation.

use super::blocks::{Block, Matrix};
use super::context::Context;
use super::span::Span;
use crate::graph::{Graph, Parameter};

/// The forward pass of the gates.
pub(super) trait GateProducts {
    /// Emits what is computed once, from the inputs of all steps.
    fn emit_inputs(&self, _graph: &mut Graph, _layer: &Context) {}

    /// Emits the part of the gates of a span that its inputs give.
    fn emit_span_inputs(&self, _graph: &mut Graph, _layer: &Context, _span: &Span) {}

    /// Emits the products of step `t` but the last, and returns the last one, which the cell computes.
    fn emit_step(&self, graph: &mut Graph, layer: &Context, t: usize) -> LastProduct;

    /// Emits the rest of the gates of a span, all steps at once, after [`GateProducts::emit_span_inputs`].
    fn emit_recomputed(&self, graph: &mut Graph, layer: &Context, span: &Span);

    /// The parameter that the last product reads.
    fn last_weight(&self) -> Parameter;

    /// The part of it that the last product reads.
    fn last_block(&self, graph: &mut Graph, layer: &Context) -> Block;

    /// Prepares the backward pass.
    fn gradients(&self, graph: &mut Graph, layer: &Context) -> Box<dyn GateGradients>;
}

/// The last product of a step's gates.
pub(super) struct LastProduct {
    pub left: Matrix,
    pub block: Block,
    /// Whether it is added to the contents of the gates.
    pub accumulate: bool,
}

/// The backward pass of the gates.
pub(super) trait GateGradients {
    /// Emits the gradient of `h` before step `t`, if there is a step before.
    fn emit_step(&self, graph: &mut Graph, layer: &Context, step: GateStep);

    /// Emits the gradients of a span's products from `dz [count * B, 4H]`, except those of the product with `x` and `h`, which it
    /// returns.
    fn emit_span(
        &self,
        graph: &mut Graph,
        layer: &Context,
        span: &Span,
        dz: Matrix,
    ) -> InputProduct;
}

/// A step of the backward pass.
pub(super) struct GateStep {
    pub t: usize,
    /// `[B, 4H]`: the gradient of the gates.
    pub dz: Matrix,
    /// [`GateProducts::last_block`], transposed.
    pub last: Block,
    /// `[B, P]`: the gradient of the outputs of the step before.
    pub dh: Option<Matrix>,
}

/// The product with `x` and `h`, and its gradient over the steps of a span.
pub(super) struct InputProduct {
    pub gradient: Matrix,
    pub weight: Parameter,
    pub groups: usize,
}
