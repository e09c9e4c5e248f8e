//! Gates from one product for each group, of its parts of `x` and `h`: see [`Gates::Grouped`](super::Gates::Grouped).

use super::blocks::{Block, Matrix, emit_times};
use super::context::Context;
use super::gates::{GateGradients, GateProducts, GateStep, InputProduct, LastProduct};
use super::span::Span;
use crate::graph::{Graph, Parameter};

/// The weights of all groups, `[G * (I+P)/G, 4H/G]`.
#[derive(Clone, Copy)]
pub(super) struct Grouped {
    pub weight: Parameter,
    pub groups: usize,
}

impl GateProducts for Grouped {
    fn emit_span_inputs(&self, graph: &mut Graph, layer: &Context, span: &Span) {
        let sizes = &layer.sizes;
        let x = span.rows(graph.data(layer.x), sizes.input, sizes);
        let block = Block::input_rows(graph.operand(self.weight), self.groups, sizes);
        let z = Matrix::new(span.z, 4 * sizes.hidden);
        let label = layer.label("input product");
        emit_times(graph, label, x, block, z, false);
    }

    fn emit_step(&self, graph: &mut Graph, layer: &Context, t: usize) -> LastProduct {
        let sizes = &layer.sizes;
        LastProduct {
            left: Matrix::new(layer.h.chunk(t, sizes.unroll + 1), sizes.output),
            block: self.last_block(graph, layer),
            accumulate: true,
        }
    }

    fn emit_recomputed(&self, graph: &mut Graph, layer: &Context, span: &Span) {
        let h = Matrix::new(layer.h_before(span), layer.sizes.output);
        let block = self.last_block(graph, layer);
        let z = Matrix::new(span.z, 4 * layer.sizes.hidden);
        let label = layer.label("recurrent product");
        emit_times(graph, label, h, block, z, true);
    }

    fn last_weight(&self) -> Parameter {
        self.weight
    }

    fn last_block(&self, graph: &mut Graph, layer: &Context) -> Block {
        Block::recurrent_rows(graph.operand(self.weight), self.groups, &layer.sizes)
    }

    fn gradients(&self, _graph: &mut Graph, _layer: &Context) -> Box<dyn GateGradients> {
        Box::new(*self)
    }
}

impl GateGradients for Grouped {
    fn emit_step(&self, graph: &mut Graph, layer: &Context, step: GateStep) {
        if let Some(dh) = step.dh {
            let label = layer.label(&format!("recurrent gradient t={}", step.t));
            emit_times(graph, label, step.dz, step.last, dh, true);
        }
    }

    fn emit_span(
        &self,
        _graph: &mut Graph,
        _layer: &Context,
        _span: &Span,
        dz: Matrix,
    ) -> InputProduct {
        InputProduct {
            gradient: dz,
            weight: self.weight,
            groups: self.groups,
        }
    }
}
