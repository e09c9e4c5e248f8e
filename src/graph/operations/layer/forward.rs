//! The forward pass of a layer.

use super::blocks::{Block, Matrix, emit_times};
use super::description::{Gates, Layer, Sizes};
use super::recorded::{Factorized, GateProducts, Recorded};
use super::span::{Span, Spans};
use crate::graph::operations::products::emit_product;
use crate::graph::plan::Slice;
use crate::graph::{Graph, Value};
use crate::kernels::lstm::cell_forward;
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;

/// Appends a layer over `x [T*B, I]`; its outputs are `[T*B, P]`.
pub fn layer(graph: &mut Graph, layer: Layer, x: Value) -> Value {
    let (rows, input) = graph.shape(x);
    let (batch, unroll) = (layer.batch, layer.unroll);
    assert_eq!(
        rows,
        unroll * batch,
        "rows of the input of `{}`",
        layer.name
    );
    let hidden = graph.extents(layer.bias).1 / 4;
    let output = layer
        .projection
        .map_or(hidden, |projection| graph.extents(projection).1);
    let sizes = Sizes {
        input,
        hidden,
        output,
        batch,
        unroll,
    };

    let name = &layer.name;
    let builder = &mut graph.builder;
    let h = builder.stored(&format!("{name}.h"), [unroll + 1, batch, output]);
    let of_layer = Spans {
        layer: name,
        sizes,
        h,
        projected: layer.projection.is_some(),
    };
    let recompute = builder.span_rows();
    let spans = match recompute {
        Some(rows) => of_layer.divided(builder, rows),
        None => vec![of_layer.whole(builder)],
    };
    let gates = match layer.gates {
        Gates::Grouped { weight, groups } => GateProducts::Grouped { weight, groups },
        Gates::Factorized { first, second } => {
            let width = graph.extents(first).1;
            let product = graph
                .builder
                .stored(&format!("{name}.factor"), [unroll, batch, width]);
            GateProducts::Factorized(Factorized {
                first,
                second,
                product,
                width,
            })
        }
    };
    let y = graph.value(h.part(batch * output, rows * output), rows, output);
    let recorded = Recorded {
        layer,
        gates,
        sizes,
        x,
        y,
        h,
        spans,
        recompute: recompute.is_some(),
    };
    recorded.forward(graph);
    graph.record(recorded);
    y
}

/// The product that a cell computes: `left` times `block`, with `depth` terms in each sum.
struct CellProduct {
    left: Slice,
    block: Block,
    /// 0: the cell computes no product, its gates are complete.
    depth: usize,
    /// Whether it is added to the contents of the gates.
    accumulate: bool,
}

impl Recorded {
    fn emit_copy(&self, graph: &mut Graph, from: Slice, to: Slice) {
        let params = copy::Params {
            len: from.len as u32,
        };
        graph
            .builder
            .step(self.label("state"), &copy::KERNEL, &params, &[from, to]);
    }

    fn forward(&self, graph: &mut Graph) {
        let Sizes {
            input,
            hidden,
            output,
            batch,
            unroll,
        } = self.sizes;
        let name = &self.layer.name;
        let (state_h, state_c) = (
            graph.builder.state(&format!("{name}.h"), [batch, output]),
            graph.builder.state(&format!("{name}.c"), [batch, hidden]),
        );
        self.emit_copy(graph, state_h, self.h.chunk(0, unroll + 1));
        self.emit_copy(graph, state_c, self.spans[0].c[0]);
        if let GateProducts::Factorized(Factorized {
            first,
            product,
            width,
            ..
        }) = self.gates
        {
            let x = Matrix::new(graph.data(self.x), input);
            let block = Block::input_rows(graph.operand(first), 1, &self.sizes);
            let label = self.label("input product");
            emit_times(graph, label, x, block, Matrix::new(product, width), false);
        }
        for span in &self.spans {
            self.emit_input_product(graph, span);
            for t in span.steps() {
                self.forward_step(graph, span, t);
            }
        }
        let last = self.spans[self.spans.len() - 1].c_after(unroll - 1);
        self.emit_copy(graph, self.h.chunk(unroll, unroll + 1), state_h);
        self.emit_copy(graph, last, state_c);
    }

    /// The part of the grouped gates of a span computed from its inputs.
    fn emit_input_product(&self, graph: &mut Graph, span: &Span) {
        let GateProducts::Grouped { weight, groups } = self.gates else {
            return;
        };
        let x = span.rows(graph.data(self.x), self.sizes.input, &self.sizes);
        let block = Block::input_rows(graph.operand(weight), groups, &self.sizes);
        let z = Matrix::new(span.z, 4 * self.sizes.hidden);
        let label = self.label("input product");
        emit_times(graph, label, x, block, z, false);
    }

    /// Recomputes the gates and cells of a span: each product for all of its steps at once, then cell by cell.
    pub(super) fn recompute_gates(&self, graph: &mut Graph, span: &Span) {
        let Sizes { hidden, output, .. } = self.sizes;
        let z = Matrix::new(span.z, 4 * hidden);
        let h_before = self.h_before(span);
        self.emit_input_product(graph, span);
        match self.gates {
            GateProducts::Grouped { weight, groups } => {
                let h = Matrix::new(h_before, output);
                let block = Block::recurrent_rows(graph.operand(weight), groups, &self.sizes);
                let label = self.label("recurrent product");
                emit_times(graph, label, h, block, z, true);
            }
            GateProducts::Factorized(Factorized {
                second,
                product,
                width,
                ..
            }) => {
                let factor = span.rows(product, width, &self.sizes);
                let block = Block::whole(graph.operand(second));
                let label = self.label("factor product");
                emit_times(graph, label, factor, block, z, false);
            }
        }
        let weights = match self.gates {
            GateProducts::Grouped { weight, .. } => graph.operand(weight),
            GateProducts::Factorized(factorized) => graph.operand(factorized.second),
        };
        for t in span.steps() {
            let product = CellProduct {
                left: h_before,
                block: Block::whole(weights),
                depth: 0,
                accumulate: true,
            };
            self.emit_cell(graph, span, t, product);
        }
    }

    fn forward_step(&self, graph: &mut Graph, span: &Span, t: usize) {
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = self.sizes;
        let h = Matrix::new(self.h.chunk(t, unroll + 1), output);
        // The operands of the recurrent product.
        let (left, block) = match self.gates {
            GateProducts::Grouped { .. } => (h, self.cell_weights(graph)),
            GateProducts::Factorized(Factorized {
                first,
                product,
                width,
                ..
            }) => {
                let factor = Matrix::new(product.chunk(t, unroll), width);
                let block = Block::recurrent_rows(graph.operand(first), 1, &self.sizes);
                let label = self.label(&format!("factor t={t}"));
                emit_times(graph, label, h, block, factor, true);
                (factor, self.cell_weights(graph))
            }
        };
        let mut product = CellProduct {
            left: left.slice,
            block,
            depth: left.width / block.groups,
            accumulate: matches!(self.gates, GateProducts::Grouped { .. }),
        };
        if graph.builder.separates_products() || !graph.builder.fits(block.slice) {
            let label = self.label(&format!("recurrent product t={t}"));
            let z = Matrix::new(span.gates(t), 4 * hidden);
            emit_times(graph, label, left, block, z, product.accumulate);
            (product.accumulate, product.depth) = (true, 0);
        }
        self.emit_cell(graph, span, t, product);
        if let Some(projection) = self.layer.projection {
            let params = product::Params::dense(batch, output, hidden);
            let label = self.label(&format!("projection t={t}"));
            let weight = graph.operand(projection);
            let out = self.h.chunk(t + 1, unroll + 1);
            emit_product(graph, label, &params, span.output(t), weight, None, out);
        }
    }

    /// The cell of step `t`, with the last of its products.
    fn emit_cell(&self, graph: &mut Graph, span: &Span, t: usize, product: CellProduct) {
        let CellProduct {
            mut left,
            mut block,
            depth,
            accumulate,
        } = product;
        if depth == 0 {
            // Nothing is multiplied, but something must be bound: a few elements.
            (block.slice, block.stride) = (block.slice.part(0, 4), 0);
            left = left.part(0, 1);
        }
        let params = cell_forward::Params {
            batch: self.sizes.batch as u32,
            hidden: self.sizes.hidden as u32,
            groups: block.groups as u32,
            depth: depth as u32,
            weight_group: block.stride as u32,
            accumulate: accumulate.into(),
            forget_bias: self.layer.forget_bias,
        };
        let slices = [
            left,
            block.slice,
            graph.weight(self.layer.bias),
            span.gates(t),
            span.c_before(t),
            span.c_after(t),
            span.output(t),
        ];
        let label = self.label(&format!("cell t={t}"));
        graph
            .builder
            .step(label, &cell_forward::KERNEL, &params, &slices);
    }
}
