//! The backward pass of a layer.

use super::blocks::{Block, Matrix, emit_join, emit_times, emit_weight_gradient};
use super::context::Context;
use super::description::Sizes;
use super::gates::{GateGradients, GateStep, InputProduct};
use super::recorded::Recorded;
use super::span::{Span, Spans, named};
use crate::graph::operations::products::is_in_cell;
use crate::graph::plan::Slice;
use crate::graph::{Graph, Operation};
use crate::kernels::lstm::cell_backward;
use crate::kernels::matmul::product;
use crate::kernels::reduce::sum_columns;

/// The tensors of a backward pass.
struct Backward {
    gates: Box<dyn GateGradients>,
    /// `[T*B, P]`: the gradient of the outputs, later of the projection's outputs.
    dy: Slice,
    /// `[B, H]`: the gradient of the cells, from step to step.
    dc: Slice,
    /// `[B, H]`: the gradient of the outputs before the projection, where a separate step computes it.
    dm: Option<Slice>,
    /// The weights that gradients of gates are multiplied by, transposed.
    last: Block,
    /// The projection's weights.
    projection: Option<Block>,
}

impl Operation for Recorded {
    fn backward(&self, graph: &mut Graph) {
        let backward = self.prepare(graph);
        let Context {
            layer, sizes, h, ..
        } = &self.context;
        let of_layer = Spans::of(layer, *sizes, *h);
        // The gradient of all inputs, requested at the first span.
        let mut dx = None;
        for span in self.spans.iter().rev() {
            let recomputed = self.recompute.then(|| {
                let span = span.recomputed(&mut graph.builder, &of_layer);
                self.recompute_gates(graph, &span);
                span
            });
            let span = recomputed.as_ref().unwrap_or(span);
            for t in span.steps().rev() {
                self.backward_step(graph, span, t, &backward);
            }
            self.emit_span_gradients(graph, span, &backward, &mut dx);
        }
    }
}

impl Recorded {
    fn prepare(&self, graph: &mut Graph) -> Backward {
        let Context { layer, sizes, .. } = &self.context;
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = *sizes;
        let name = &layer.name;
        let dy = graph.gradient(self.y);
        let dc = graph
            .builder
            .activation(&format!("{name}.dc"), [batch, hidden]);
        let separate = layer.projection.is_some_and(|projection| {
            let weight = graph.operand(projection);
            let params = product::Params::dense(batch, hidden, output).transposed_right();
            !is_in_cell(&graph.builder, &params, weight)
        });
        let dm = separate.then(|| {
            let name = format!("{name}.dm");
            graph.builder.stored(&name, [batch, hidden])
        });
        let gates = self.gates.gradients(graph, &self.context);
        let block = self.gates.last_block(graph, &self.context);
        let last = block.transposed_for(graph, name, "recurrent", 4 * hidden, unroll);
        let projection = layer.projection.map(|projection| {
            let block = Block::whole(graph.operand(projection));
            block.transposed_for(graph, name, "projection", output, unroll)
        });
        Backward {
            gates,
            dy,
            dc,
            dm,
            last,
            projection,
        }
    }

    /// The cell of step `t`, then the gradient that step `t - 1` receives.
    fn backward_step(&self, graph: &mut Graph, span: &Span, t: usize, backward: &Backward) {
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = self.context.sizes;
        let dz = Matrix::new(span.gates(t), 4 * hidden);
        let dh_of = |t: usize| Matrix::new(backward.dy.chunk(t, unroll), output);
        let mut dh = dh_of(t).slice;
        let mut projection = backward.projection;
        if let (Some(dm), Some(block)) = (backward.dm, projection) {
            let label = self.context.label(&format!("projection gradient t={t}"));
            let out = Matrix::new(dm, hidden);
            emit_times(graph, label, dh_of(t), block, out, false);
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
        let slices = [
            dh,
            weight,
            dz.slice,
            span.c_before(t),
            span.c_after(t),
            backward.dc,
        ];
        let label = self.context.label(&format!("cell gradient t={t}"));
        graph
            .builder
            .step(label, &cell_backward::KERNEL, &params, &slices);
        let step = GateStep {
            t,
            dz,
            last: backward.last,
            dh: t.checked_sub(1).map(dh_of),
        };
        backward.gates.emit_step(graph, &self.context, step);
    }

    /// Adds the gradients of a span's gates to those of the weights, and computes the gradient of its inputs. `dx` is the
    /// gradient of all inputs and whether to add to its contents.
    fn emit_span_gradients(
        &self,
        graph: &mut Graph,
        span: &Span,
        backward: &Backward,
        dx: &mut Option<(Slice, bool)>,
    ) {
        let Context { layer, sizes, .. } = &self.context;
        let Sizes {
            input,
            hidden,
            output,
            batch,
            ..
        } = *sizes;
        let rows = |slice: Slice, width| span.rows(slice, width, sizes);
        let x = rows(graph.data(self.context.x), input);
        let weight_label = || self.context.label("weight gradient");
        if let Some(projection) = layer.projection {
            let (slice, accumulate) = graph.dense_gradient(projection);
            let (m, dy) = (Matrix::new(span.m, hidden), rows(backward.dy, output));
            let block = Block::whole(slice);
            emit_weight_gradient(graph, weight_label(), m, dy, block, accumulate);
        }
        let (slice, accumulate) = graph.dense_gradient(layer.bias);
        let params = sum_columns::Params {
            rows: (span.count * batch) as u32,
            width: 4 * hidden as u32,
            accumulate: accumulate.into(),
            scale: 1.0,
        };
        graph.builder.step(
            self.context.label("bias gradient"),
            &sum_columns::KERNEL,
            &params,
            &[span.z, slice],
        );
        let (dx, dx_accumulate) = *dx.get_or_insert_with(|| graph.contribute(self.context.x));
        let dz = Matrix::new(span.z, 4 * hidden);
        let InputProduct {
            gradient,
            weight,
            groups,
        } = backward.gates.emit_span(graph, &self.context, span, dz);
        let (slice, accumulate) = graph.dense_gradient(weight);
        let h = Matrix::new(self.context.h_before(span), output);
        if groups > 1 {
            let name = named(&layer.name, "joined", span.number);
            let joined = emit_join(graph, self.context.label("join"), &name, groups, x, h);
            let block = Block::grouped(slice, groups);
            emit_weight_gradient(graph, weight_label(), joined, gradient, block, accumulate);
        } else {
            let blocks = [
                Block::input_rows(slice, 1, sizes),
                Block::recurrent_rows(slice, 1, sizes),
            ];
            for (left, block) in [x, h].into_iter().zip(blocks) {
                emit_weight_gradient(graph, weight_label(), left, gradient, block, accumulate);
            }
        }
        let block = Block::input_rows(graph.operand(weight), groups, sizes).transposed();
        let label = self.context.label("input gradient");
        emit_times(
            graph,
            label,
            gradient,
            block,
            rows(dx, input),
            dx_accumulate,
        );
    }
}
