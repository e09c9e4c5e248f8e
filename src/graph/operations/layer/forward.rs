//! The forward pass of a layer.

use super::blocks::{Block, Matrix, emit_times};
use super::context::Context;
use super::description::{Gates, Layer, Sizes};
use super::factorized::Factorized;
use super::gates::GateProducts;
use super::grouped::Grouped;
use super::recorded::Recorded;
use super::span::{Span, Spans};
use crate::graph::builder::Builder;
use crate::graph::operations::products::{emit_product, is_in_cell};
use crate::graph::plan::Slice;
use crate::graph::{Graph, Value};
use crate::kernel::Change;
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

    let builder = &mut graph.builder;
    let h = builder.stored(&format!("{}.h", layer.name), [unroll + 1, batch, output]);
    let context = Context { layer, sizes, x, h };
    // The last time step writes the cell state in place.
    let in_place = !builder.limits().without.has(Change::Loss);
    let of_layer = Spans {
        last: in_place.then(|| cell_state(builder, &context)),
        ..Spans::of(&context.layer, sizes, h)
    };
    let recompute = builder.span_rows();
    let spans = match recompute {
        Some(rows) => of_layer.divided(builder, rows),
        None => vec![of_layer.whole(builder)],
    };
    let gates: Box<dyn GateProducts> = match context.layer.gates {
        Gates::Grouped { weight, groups } => Box::new(Grouped { weight, groups }),
        Gates::Factorized { first, second } => {
            Box::new(Factorized::new(graph, &context, first, second))
        }
    };
    let y = graph.value(h.part(batch * output, rows * output), rows, output);
    let recorded = Recorded {
        context,
        gates,
        y,
        spans,
        recompute: recompute.is_some(),
    };
    recorded.forward(graph);
    graph.record(recorded);
    y
}

/// The cell state, `[B, H]`.
fn cell_state(builder: &mut Builder, context: &Context) -> Slice {
    let Sizes { batch, hidden, .. } = context.sizes;
    builder.state(&format!("{}.c", context.layer.name), [batch, hidden])
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
        let label = self.context.label("state");
        graph
            .builder
            .step(label, &copy::KERNEL, &params, &[from, to]);
    }

    fn forward(&self, graph: &mut Graph) {
        let Context {
            layer, sizes, h, ..
        } = &self.context;
        let Sizes {
            output,
            batch,
            unroll,
            ..
        } = *sizes;
        let name = &layer.name;
        let state_c = cell_state(&mut graph.builder, &self.context);
        let state_h = graph.builder.state(&format!("{name}.h"), [batch, output]);
        self.emit_copy(graph, state_h, h.chunk(0, unroll + 1));
        self.emit_copy(graph, state_c, self.spans[0].c[0]);
        self.gates.emit_inputs(graph, &self.context);
        for span in &self.spans {
            self.gates.emit_span_inputs(graph, &self.context, span);
            for t in span.steps() {
                self.forward_step(graph, span, t);
            }
        }
        let last = self.spans[self.spans.len() - 1].c_after(unroll - 1);
        self.emit_copy(graph, h.chunk(unroll, unroll + 1), state_h);
        if last != state_c {
            self.emit_copy(graph, last, state_c);
        }
    }

    /// Recomputes the gates and cells of a span: each product for all of its steps at once, then cell by cell.
    pub(super) fn recompute_gates(&self, graph: &mut Graph, span: &Span) {
        self.gates.emit_span_inputs(graph, &self.context, span);
        self.gates.emit_recomputed(graph, &self.context, span);
        let weight = graph.operand(self.gates.last_weight());
        for t in span.steps() {
            let product = CellProduct {
                left: self.context.h_before(span),
                block: Block::whole(weight),
                depth: 0,
                accumulate: true,
            };
            self.emit_cell(graph, span, t, product);
        }
    }

    fn forward_step(&self, graph: &mut Graph, span: &Span, t: usize) {
        let Context {
            layer, sizes, h, ..
        } = &self.context;
        let last = self.gates.emit_step(graph, &self.context, t);
        let mut product = CellProduct {
            left: last.left.slice,
            block: last.block,
            depth: last.left.width / last.block.groups,
            accumulate: last.accumulate,
        };
        let params = self.cell_params(&product).product();
        let params = params.expect("a step has a product");
        if !is_in_cell(&graph.builder, &params, last.block.slice) {
            let label = self.context.label(&format!("recurrent product t={t}"));
            let z = Matrix::new(span.gates(t), 4 * sizes.hidden);
            emit_times(graph, label, last.left, last.block, z, last.accumulate);
            (product.accumulate, product.depth) = (true, 0);
        }
        self.emit_cell(graph, span, t, product);
        if let Some(projection) = layer.projection {
            let params = product::Params::dense(sizes.batch, sizes.output, sizes.hidden);
            let label = self.context.label(&format!("projection t={t}"));
            let weight = graph.operand(projection);
            let out = h.chunk(t + 1, sizes.unroll + 1);
            emit_product(graph, label, &params, span.output(t), weight, None, out);
        }
    }

    fn cell_params(&self, product: &CellProduct) -> cell_forward::Params {
        let Context { layer, sizes, .. } = &self.context;
        cell_forward::Params {
            batch: sizes.batch as u32,
            hidden: sizes.hidden as u32,
            groups: product.block.groups as u32,
            depth: product.depth as u32,
            weight_group: product.block.stride as u32,
            accumulate: product.accumulate.into(),
            forget_bias: layer.forget_bias,
        }
    }

    /// The cell of step `t`, with the last of its products.
    fn emit_cell(&self, graph: &mut Graph, span: &Span, t: usize, mut product: CellProduct) {
        let layer = &self.context.layer;
        if product.depth == 0 {
            // Nothing is multiplied, but something must be bound: a few elements.
            let block = &mut product.block;
            (block.slice, block.stride) = (block.slice.part(0, 4), 0);
            product.left = product.left.part(0, 1);
        }
        let params = self.cell_params(&product);
        let slices = [
            product.left,
            product.block.slice,
            graph.weight(layer.bias),
            span.gates(t),
            span.c_before(t),
            span.c_after(t),
            span.output(t),
        ];
        let label = self.context.label(&format!("cell t={t}"));
        graph
            .builder
            .step(label, &cell_forward::KERNEL, &params, &slices);
    }
}
