//! Gates from two products, one after the other: see [`Gates::Factorized`](super::Gates::Factorized).

use super::blocks::{Block, Matrix, emit_times, emit_weight_gradient};
use super::context::Context;
use super::gates::{GateGradients, GateProducts, GateStep, InputProduct, LastProduct};
use super::span::Span;
use crate::graph::plan::Slice;
use crate::graph::{Graph, Parameter};

/// The two factors, and the product with the first one.
#[derive(Clone, Copy)]
pub(super) struct Factorized {
    /// `[I+P, r]`.
    first: Parameter,
    /// `[r, 4H]`.
    second: Parameter,
    /// `[T, B, r]`: the product with the first factor.
    product: Slice,
    /// `r`.
    width: usize,
}

impl Factorized {
    /// Gates of these factors.
    pub fn new(
        graph: &mut Graph,
        layer: &Context,
        first: Parameter,
        second: Parameter,
    ) -> Factorized {
        let width = graph.extents(first).1;
        let name = format!("{}.factor", layer.layer.name);
        let shape = [layer.sizes.unroll, layer.sizes.batch, width];
        let product = graph.builder.stored(&name, shape);
        Factorized {
            first,
            second,
            product,
            width,
        }
    }
}

impl GateProducts for Factorized {
    fn emit_inputs(&self, graph: &mut Graph, layer: &Context) {
        let x = Matrix::new(graph.data(layer.x), layer.sizes.input);
        let block = Block::input_rows(graph.operand(self.first), 1, &layer.sizes);
        let label = layer.label("input product");
        let product = Matrix::new(self.product, self.width);
        emit_times(graph, label, x, block, product, false);
    }

    fn emit_step(&self, graph: &mut Graph, layer: &Context, t: usize) -> LastProduct {
        let sizes = &layer.sizes;
        let h = Matrix::new(layer.h.chunk(t, sizes.unroll + 1), sizes.output);
        let factor = Matrix::new(self.product.chunk(t, sizes.unroll), self.width);
        let block = Block::recurrent_rows(graph.operand(self.first), 1, sizes);
        let label = layer.label(&format!("factor t={t}"));
        emit_times(graph, label, h, block, factor, true);
        LastProduct {
            left: factor,
            block: self.last_block(graph, layer),
            accumulate: false,
        }
    }

    fn emit_recomputed(&self, graph: &mut Graph, layer: &Context, span: &Span) {
        let factor = span.rows(self.product, self.width, &layer.sizes);
        let block = self.last_block(graph, layer);
        let z = Matrix::new(span.z, 4 * layer.sizes.hidden);
        let label = layer.label("factor product");
        emit_times(graph, label, factor, block, z, false);
    }

    fn last_weight(&self) -> Parameter {
        self.second
    }

    fn last_block(&self, graph: &mut Graph, _layer: &Context) -> Block {
        Block::whole(graph.operand(self.second))
    }

    fn gradients(&self, graph: &mut Graph, layer: &Context) -> Box<dyn GateGradients> {
        let name = format!("{}.dfactor", layer.layer.name);
        let dproduct = graph.builder.stored(&name, [self.product.len]);
        Box::new(FactorizedGradients {
            gates: *self,
            dproduct,
        })
    }
}

/// The gates with the gradient of the product with the first factor, `[T, B, r]`.
struct FactorizedGradients {
    gates: Factorized,
    dproduct: Slice,
}

impl GateGradients for FactorizedGradients {
    fn emit_step(&self, graph: &mut Graph, layer: &Context, step: GateStep) {
        let GateStep { t, dz, last, dh } = step;
        let label = layer.label(&format!("recurrent gradient t={t}"));
        let dfactor = self.dproduct.chunk(t, layer.sizes.unroll);
        let dfactor = Matrix::new(dfactor, self.gates.width);
        emit_times(graph, label.clone(), dz, last, dfactor, false);
        if let Some(dh) = dh {
            let first = graph.operand(self.gates.first);
            let block = Block::recurrent_rows(first, 1, &layer.sizes).transposed();
            emit_times(graph, label, dfactor, block, dh, true);
        }
    }

    fn emit_span(
        &self,
        graph: &mut Graph,
        layer: &Context,
        span: &Span,
        dz: Matrix,
    ) -> InputProduct {
        let Factorized {
            first,
            second,
            product,
            width,
        } = self.gates;
        let (slice, accumulate) = graph.dense_gradient(second);
        let factor = span.rows(product, width, &layer.sizes);
        let label = layer.label("weight gradient");
        emit_weight_gradient(graph, label, factor, dz, Block::whole(slice), accumulate);
        InputProduct {
            gradient: span.rows(self.dproduct, width, &layer.sizes),
            weight: first,
            groups: 1,
        }
    }
}
