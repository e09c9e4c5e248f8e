//! An LSTM layer over `T` steps: the three cells, with or without projection.
//!
//! Forward: the products of the input for all steps at once, then `T` times the fused cell and the projection. Backward:
//! `T` times the fused cell and the recurrent product, then the gradients of weights as products over all `T*B` rows. Cells
//! multiply themselves, or, where that is faster ([`Builder::separate_products`]), add up what products before them made.
//!
//! Layers run one after the other, not as a wavefront (layer 1 at `t + 1` beside layer 2 at `t`): the products of a layer's
//! input would have to be made step by step, and what that costs is half of what sharing dispatches saves where it was
//! measured. On GPUs products of few blocks go in pieces instead, so that one fills the device.
//!
//! Gates, cells and outputs before the projection are kept from the forward pass to the backward pass, or, where memory counts
//! more than time ([`Builder::recompute_gates`]), made again there from `x`, `h` and a few cells: see `span`.
//!
//! [`Builder::recompute_gates`]: crate::graph::builder::Builder::recompute_gates
//! [`Builder::separate_products`]: crate::graph::builder::Builder::separate_products
//!
//! State comes from and goes to the persistent tensors `state.NAME.h [B, P]` and `state.NAME.c [B, H]`.

use super::emit_product;
use crate::graph::plan::Slice;
use crate::graph::{Graph, Operation, Parameter, Value};
use crate::kernels::lstm::{cell_backward, cell_forward};
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;
use crate::kernels::reduce::sum_columns;

mod products;
mod span;

use products::Block;
use span::Span;

/// The weights of the gates, interleaved per unit (see [`crate::kernels::lstm`]).
#[derive(Clone, Copy)]
pub enum Gates {
    /// `lstmp` (one group) and `glstm`: `[G * (I+P)/G, 4H/G]`, in every group the rows of the input first.
    Grouped {
        /// The weights.
        weight: Parameter,
        /// `G`.
        groups: usize,
    },
    /// `flstm`: `[I+P, r]`, the rows of the input first, and `[r, 4H]`.
    Factorized {
        /// The first factor.
        first: Parameter,
        /// The second factor.
        second: Parameter,
    },
}

/// What a layer is made of.
#[derive(Clone)]
pub struct Layer {
    /// The prefix of its tensors, as `layers.0`.
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

struct Recorded {
    layer: Layer,
    sizes: Sizes,
    x: Value,
    y: Value,
    /// `[T+1, B, P]`: the state before, then the outputs.
    h: Slice,
    /// What is kept of all steps but `h`; or, if it is made again, what is there in the forward pass.
    spans: Vec<Span>,
    /// Whether the backward pass makes the gates again.
    again: bool,
    /// `[T, B, r]`: the product with the first factor.
    factor: Option<Slice>,
}

#[derive(Clone, Copy)]
struct Sizes {
    input: usize,
    hidden: usize,
    output: usize,
    batch: usize,
    unroll: usize,
}

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
    let projected = layer.projection.is_some();
    let again = builder.span_rows().is_some();
    let spans = match builder.span_rows() {
        Some(rows) => span::parts(builder, name, &sizes, (h, projected), rows),
        None => vec![span::whole(builder, name, &sizes, (h, projected))],
    };
    let factor = match layer.gates {
        Gates::Factorized { first, .. } => {
            let width = graph.extents(first).1;
            Some(
                graph
                    .builder
                    .stored(&format!("{name}.factor"), [unroll, batch, width]),
            )
        }
        Gates::Grouped { .. } => None,
    };
    let y = graph.value(h.part(batch * output, rows * output), rows, output);
    let recorded = Recorded {
        layer,
        sizes,
        x,
        y,
        h,
        spans,
        again,
        factor,
    };
    recorded.forward(graph);
    graph.record(recorded);
    y
}

impl Recorded {
    fn label(&self, what: &str) -> String {
        format!("{} {what}", self.layer.name)
    }

    fn emit_copy(&self, graph: &mut Graph, what: &str, from: Slice, to: Slice) {
        let params = copy::Params {
            len: from.len as u32,
        };
        graph
            .builder
            .step(self.label(what), &copy::KERNEL, &params, &[from, to]);
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
        self.emit_copy(graph, "state", state_h, self.h.chunk(0, unroll + 1));
        self.emit_copy(graph, "state", state_c, self.spans[0].c[0]);
        if let (Gates::Factorized { first, .. }, Some(factor)) = (self.layer.gates, self.factor) {
            let x = (graph.data(self.x), input);
            let width = graph.extents(first).1;
            let block = self.input_rows(graph.operand(first), 1);
            let label = self.label("input product");
            self.emit_times(graph, label, x, block, (factor, width), false);
        }
        for span in &self.spans {
            if let Gates::Grouped { weight, groups } = self.layer.gates {
                self.emit_input_product(graph, span, weight, groups);
            }
            for t in span.steps() {
                self.forward_step(graph, span, t);
            }
        }
        let last = self.spans.last().and_then(|span| span.c.last());
        let last = *last.expect("there is a step");
        self.emit_copy(graph, "state", self.h.chunk(unroll, unroll + 1), state_h);
        self.emit_copy(graph, "state", last, state_c);
    }

    /// The part of the gates of a span that comes of its inputs.
    fn emit_input_product(&self, graph: &mut Graph, span: &Span, weight: Parameter, groups: usize) {
        let Sizes { input, hidden, .. } = self.sizes;
        let x = span.rows(graph.data(self.x), &self.sizes);
        let block = self.input_rows(graph.operand(weight), groups);
        let (label, out) = (self.label("input product"), (span.z, 4 * hidden));
        self.emit_times(graph, label, (x, input), block, out, false);
    }

    /// Gates and cells of a span once more: every product for all of its steps at once, then cell by cell.
    fn forward_again(&self, graph: &mut Graph, span: &Span) {
        let Sizes { hidden, output, .. } = self.sizes;
        let z = (span.z, 4 * hidden);
        let h_before = self.h_before(span);
        match (self.layer.gates, self.factor) {
            (Gates::Grouped { weight, groups }, _) => {
                self.emit_input_product(graph, span, weight, groups);
                let block = self.recurrent_rows(graph.operand(weight), groups);
                let label = self.label("recurrent product");
                self.emit_times(graph, label, (h_before, output), block, z, true);
            }
            (Gates::Factorized { first, second }, Some(factor)) => {
                let width = graph.extents(first).1;
                let block = Block::whole(graph.operand(second));
                let factor = span.rows(factor, &self.sizes);
                let label = self.label("factor product");
                self.emit_times(graph, label, (factor, width), block, z, false);
            }
            (Gates::Factorized { .. }, None) => unreachable!("a factorized layer has its factor"),
        }
        let any = match self.layer.gates {
            Gates::Grouped { weight, .. } => graph.operand(weight),
            Gates::Factorized { second, .. } => graph.operand(second),
        };
        for t in span.steps() {
            self.emit_cell(graph, span, t, (h_before, Block::whole(any)), 0, true);
        }
    }

    /// The outputs before each step of a span.
    fn h_before(&self, span: &Span) -> Slice {
        let Sizes { batch, output, .. } = self.sizes;
        let width = batch * output;
        self.h.part(span.first * width, span.count * width)
    }

    fn forward_step(&self, graph: &mut Graph, span: &Span, t: usize) {
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = self.sizes;
        let before = self.h.chunk(t, unroll + 1);
        // What the cell multiplies, and the columns that it has.
        let (left, width, block) = match (self.layer.gates, self.factor) {
            (Gates::Factorized { first, second }, Some(factor)) => {
                let width = graph.extents(first).1;
                let part = factor.chunk(t, unroll);
                let block = self.recurrent_rows(graph.operand(first), 1);
                let label = self.label(&format!("factor t={t}"));
                self.emit_times(graph, label, (before, output), block, (part, width), true);
                (part, width, Block::whole(graph.operand(second)))
            }
            (Gates::Grouped { weight, groups }, _) => {
                let block = self.recurrent_rows(graph.operand(weight), groups);
                (before, output, block)
            }
            (Gates::Factorized { .. }, None) => unreachable!("a factorized layer has its factor"),
        };
        let mut accumulate = self.factor.is_none();
        let mut depth = width / block.groups;
        if graph.builder.separates_products() || !graph.builder.fits(block.slice) {
            let label = self.label(&format!("recurrent product t={t}"));
            let z = (span.gates(t), 4 * hidden);
            self.emit_times(graph, label, (left, width), block, z, accumulate);
            (accumulate, depth) = (true, 0);
        }
        self.emit_cell(graph, span, t, (left, block), depth, accumulate);
        if let Some(projection) = self.layer.projection {
            let params = product::Params::dense(batch, output, hidden);
            let label = self.label(&format!("projection t={t}"));
            let weight = graph.operand(projection);
            emit_product(
                graph,
                label,
                &params,
                span.output(t),
                weight,
                None,
                self.h.chunk(t + 1, unroll + 1),
            );
        }
    }

    /// The cell of step `t` behind a product of `depth` terms, or behind none, if all that it adds up is in its gates.
    fn emit_cell(
        &self,
        graph: &mut Graph,
        span: &Span,
        t: usize,
        (mut left, mut block): (Slice, Block),
        depth: usize,
        accumulate: bool,
    ) {
        if depth == 0 {
            // Nothing is multiplied: anything small stands in the place of the factors.
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
        let (c_before, c) = span.cells(t);
        let slices = [
            left,
            block.slice,
            graph.weight(self.layer.bias),
            span.gates(t),
            c_before,
            c,
            span.output(t),
        ];
        let label = self.label(&format!("cell t={t}"));
        graph
            .builder
            .step(label, &cell_forward::KERNEL, &params, &slices);
    }

    /// The cell of step `t`, then what it hands to step `t - 1`.
    fn backward_step(
        &self,
        graph: &mut Graph,
        (span, t): (&Span, usize),
        dy: Slice,
        (dc, dm): (Slice, Option<Slice>),
        dfactor: Option<Slice>,
        (recurrent, projection): (Block, Option<Block>),
    ) {
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = self.sizes;
        let dz = span.gates(t);
        let mut dh = dy.chunk(t, unroll);
        let mut projection = projection;
        if let (Some(dm), Some(block)) = (dm, projection) {
            let label = self.label(&format!("projection gradient t={t}"));
            self.emit_times(graph, label, (dh, output), block, (dm, hidden), false);
            (dh, projection) = (dm, None);
        }
        let params = cell_backward::Params {
            batch: batch as u32,
            hidden: hidden as u32,
            depth: (dh.len / batch) as u32,
            projected: projection.is_some().into(),
            transposed: projection.is_some_and(|block| !block.transposed).into(),
            carry: (t + 1 < unroll).into(),
        };
        let weight = projection.map_or(dh, |block| block.slice);
        let (c_before, c) = span.cells(t);
        let label = self.label(&format!("cell gradient t={t}"));
        graph.builder.step(
            label,
            &cell_backward::KERNEL,
            &params,
            &[dh, weight, dz, c_before, c, dc],
        );
        let label = self.label(&format!("recurrent gradient t={t}"));
        match (self.layer.gates, dfactor) {
            (Gates::Grouped { .. }, _) if t > 0 => {
                let out = (dy.chunk(t - 1, unroll), output);
                self.emit_times(graph, label, (dz, 4 * hidden), recurrent, out, true);
            }
            (Gates::Factorized { first, .. }, Some(dfactor)) => {
                let part = (dfactor.chunk(t, unroll), graph.extents(first).1);
                let dz = (dz, 4 * hidden);
                self.emit_times(graph, label.clone(), dz, recurrent, part, false);
                if t > 0 {
                    let block = self.recurrent_rows(graph.operand(first), 1).transposed();
                    let out = (dy.chunk(t - 1, unroll), output);
                    self.emit_times(graph, label, part, block, out, true);
                }
            }
            _ => {}
        }
    }
}

impl Operation for Recorded {
    fn backward(&self, graph: &mut Graph) {
        let Sizes {
            hidden,
            output,
            batch,
            ..
        } = self.sizes;
        let dy = graph.gradient(self.y);
        let dc = graph
            .builder
            .activation(&format!("{}.dc", self.layer.name), [batch, hidden]);
        let separate = self.layer.projection.is_some_and(|projection| {
            let weight = graph.operand(projection);
            graph.builder.separates_products() || !graph.builder.fits(weight)
        });
        let dm = separate.then(|| {
            let name = format!("{}.dm", self.layer.name);
            graph.builder.stored(&name, [batch, hidden])
        });
        let dfactor = self.factor.map(|factor| {
            graph
                .builder
                .stored(&format!("{}.dfactor", self.layer.name), [factor.len])
        });
        let block = match self.layer.gates {
            Gates::Grouped { weight, groups } => self.recurrent_rows(graph.operand(weight), groups),
            Gates::Factorized { second, .. } => Block::whole(graph.operand(second)),
        };
        let recurrent = self.turned(graph, "recurrent", block, 4 * hidden);
        let projection = self.layer.projection.map(|projection| {
            let block = Block::whole(graph.operand(projection));
            self.turned(graph, "projection", block, output)
        });
        let mut dx = None;
        for (k, span) in self.spans.iter().enumerate().rev() {
            let made;
            let span = if self.again {
                let projected = self.layer.projection.is_some();
                made = span.again(
                    &mut graph.builder,
                    &self.layer.name,
                    (&self.sizes, k),
                    projected,
                );
                self.forward_again(graph, &made);
                &made
            } else {
                span
            };
            for t in span.steps().rev() {
                let carried = (dc, dm);
                let blocks = (recurrent, projection);
                self.backward_step(graph, (span, t), dy, carried, dfactor, blocks);
            }
            self.gradients(graph, (span, k), dy, dfactor, &mut dx);
        }
    }
}

impl Recorded {
    /// What the gradients of the gates of a span add to those of the weights, and the gradient of its inputs. `dx` is where that
    /// of all inputs goes, and whether something is there to add to: asked for at the first span.
    fn gradients(
        &self,
        graph: &mut Graph,
        (span, k): (&Span, usize),
        dy: Slice,
        dfactor: Option<Slice>,
        dx: &mut Option<(Slice, bool)>,
    ) {
        let Sizes {
            input,
            hidden,
            output,
            batch,
            ..
        } = self.sizes;
        let rows = |slice: Slice| span.rows(slice, &self.sizes);
        let x = rows(graph.data(self.x));
        if let Some(projection) = self.layer.projection {
            let (slice, accumulate) = graph.dense_gradient(projection);
            let (m, dy) = ((span.m, hidden), (rows(dy), output));
            self.emit_weight_gradient(graph, m, dy, Block::whole(slice), accumulate);
        }
        let (slice, accumulate) = graph.dense_gradient(self.layer.bias);
        let params = sum_columns::Params {
            rows: (span.count * batch) as u32,
            width: 4 * hidden as u32,
            accumulate: accumulate.into(),
            scale: 1.0,
        };
        graph.builder.step(
            self.label("bias gradient"),
            &sum_columns::KERNEL,
            &params,
            &[span.z, slice],
        );
        let (dx, more) = *dx.get_or_insert_with(|| graph.contribute(self.x));
        let label = self.label("input gradient");
        // Gradients of the products with x and h, whatever they were written to.
        let dz = (span.z, 4 * hidden);
        let (gradient, weight, groups) = match (self.layer.gates, self.factor, dfactor) {
            (Gates::Factorized { first, second }, Some(factor), Some(dfactor)) => {
                let width = graph.extents(first).1;
                let (slice, accumulate) = graph.dense_gradient(second);
                let block = Block::whole(slice);
                self.emit_weight_gradient(graph, (rows(factor), width), dz, block, accumulate);
                ((rows(dfactor), width), first, 1)
            }
            (Gates::Grouped { weight, groups }, ..) => (dz, weight, groups),
            (Gates::Factorized { .. }, ..) => unreachable!("a factorized layer has its factor"),
        };
        let (slice, accumulate) = graph.dense_gradient(weight);
        let (x, h) = ((x, input), (self.h_before(span), output));
        if groups > 1 {
            let name = span::named(&self.layer.name, "joined", self.again.then_some(k));
            let joined = self.join(graph, &name, groups, x, h);
            let block = Block::grouped(slice, groups);
            self.emit_weight_gradient(graph, joined, gradient, block, accumulate);
        } else {
            let blocks = [self.input_rows(slice, 1), self.recurrent_rows(slice, 1)];
            for (left, block) in [x, h].into_iter().zip(blocks) {
                self.emit_weight_gradient(graph, left, gradient, block, accumulate);
            }
        }
        let block = self.input_rows(graph.operand(weight), groups).transposed();
        self.emit_times(graph, label, gradient, block, (rows(dx), input), more);
    }
}
