//! The description of a layer with the tensors that all of its parts use.

use super::description::{Layer, Sizes};
use super::span::Span;
use crate::graph::Value;
use crate::graph::plan::Slice;

/// A layer, its sizes, its input and its outputs.
pub(super) struct Context {
    pub layer: Layer,
    pub sizes: Sizes,
    /// `[T*B, I]`.
    pub x: Value,
    /// `[T+1, B, P]`: the state before, then the outputs.
    pub h: Slice,
}

impl Context {
    pub fn label(&self, what: &str) -> String {
        format!("{} {what}", self.layer.name)
    }

    /// The outputs before each step of a span.
    pub fn h_before(&self, span: &Span) -> Slice {
        let width = self.sizes.batch * self.sizes.output;
        self.h.part(span.first * width, span.count * width)
    }
}
