//! An LSTM layer over `T` steps: the three cells, with or without projection.
//!
//! Forward: the products of the input for all steps at once, then `T` times the fused cell and the projection. Backward:
//! `T` times the fused cell and the recurrent product, then the gradients of weights as products over all `T*B` rows.
//!
//! Layers run one after the other, not as a wavefront (layer 1 at `t + 1` beside layer 2 at `t`): the products of a layer's
//! input would have to be made step by step, and what that costs is half of what sharing dispatches saves where it was
//! measured, and a layer's dispatch fills a device alone at the sizes of the paper (4,096 workgroups).
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

use products::Block;

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
    /// `[T+1, B, H]`.
    c: Slice,
    /// `[T, B, 4H]`: gates, later gradients of their pre-activations.
    z: Slice,
    /// `[T, B, H]`: outputs before the projection.
    m: Slice,
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
    let c = builder.activation(&format!("{name}.c"), [unroll + 1, batch, hidden]);
    let z = builder.stored(&format!("{name}.z"), [unroll, batch, 4 * hidden]);
    let m = match layer.projection {
        Some(_) => builder.stored(&format!("{name}.m"), [unroll, batch, hidden]),
        None => h.part(batch * hidden, unroll * batch * hidden),
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
        c,
        z,
        m,
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
        self.emit_copy(graph, "state", state_c, self.c.chunk(0, unroll + 1));
        let x = graph.data(self.x);
        let label = self.label("input product");
        match (self.layer.gates, self.factor) {
            (Gates::Grouped { weight, groups }, _) => {
                let block = self.input_rows(graph.operand(weight), groups);
                let out = (self.z, 4 * hidden);
                self.emit_times(graph, label, (x, input), block, out, false);
            }
            (Gates::Factorized { first, .. }, Some(factor)) => {
                let width = graph.extents(first).1;
                let block = self.input_rows(graph.operand(first), 1);
                self.emit_times(graph, label, (x, input), block, (factor, width), false);
            }
            (Gates::Factorized { .. }, None) => unreachable!("a factorized layer has its factor"),
        }
        for t in 0..unroll {
            self.forward_step(graph, t);
        }
        self.emit_copy(graph, "state", self.h.chunk(unroll, unroll + 1), state_h);
        self.emit_copy(graph, "state", self.c.chunk(unroll, unroll + 1), state_c);
    }

    fn forward_step(&self, graph: &mut Graph, t: usize) {
        let Sizes {
            hidden,
            output,
            batch,
            unroll,
            ..
        } = self.sizes;
        let before = self.h.chunk(t, unroll + 1);
        // What the cell multiplies, and the columns that it has.
        let (mut left, width, mut block) = match (self.layer.gates, self.factor) {
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
            let z = (self.z.chunk(t, unroll), 4 * hidden);
            self.emit_times(graph, label, (left, width), block, z, accumulate);
            (accumulate, depth) = (true, 0);
            // Nothing is multiplied any more: anything small stands in the place of the factors.
            (block.slice, block.stride) = (block.slice.part(0, 4), 0);
            left = left.part(0, 1);
        }
        let params = cell_forward::Params {
            batch: batch as u32,
            hidden: hidden as u32,
            groups: block.groups as u32,
            depth: depth as u32,
            weight_group: block.stride as u32,
            accumulate: accumulate.into(),
            forget_bias: self.layer.forget_bias,
        };
        let m = self.m.chunk(t, unroll);
        let slices = [
            left,
            block.slice,
            graph.weight(self.layer.bias),
            self.z.chunk(t, unroll),
            self.c.chunk(t, unroll + 1),
            self.c.chunk(t + 1, unroll + 1),
            m,
        ];
        let label = self.label(&format!("cell t={t}"));
        graph
            .builder
            .step(label, &cell_forward::KERNEL, &params, &slices);
        if let Some(projection) = self.layer.projection {
            let params = product::Params::dense(batch, output, hidden);
            let label = self.label(&format!("projection t={t}"));
            let weight = graph.operand(projection);
            emit_product(
                graph,
                label,
                &params,
                m,
                weight,
                None,
                self.h.chunk(t + 1, unroll + 1),
            );
        }
    }

    /// The cell of step `t`, then what it hands to step `t - 1`.
    fn backward_step(
        &self,
        graph: &mut Graph,
        t: usize,
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
        let dz = self.z.chunk(t, unroll);
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
            turned: projection.is_some_and(|block| !block.transposed).into(),
            carry: (t + 1 < unroll).into(),
        };
        let weight = projection.map_or(dh, |block| block.slice);
        let (c_before, c) = (self.c.chunk(t, unroll + 1), self.c.chunk(t + 1, unroll + 1));
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
            input,
            hidden,
            output,
            batch,
            unroll,
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
        for t in (0..unroll).rev() {
            self.backward_step(graph, t, dy, (dc, dm), dfactor, (recurrent, projection));
        }

        let x = graph.data(self.x);
        let h_before = self.h.part(0, unroll * batch * output);
        if let Some(projection) = self.layer.projection {
            let (slice, accumulate) = graph.dense_gradient(projection);
            let (m, dy) = ((self.m, hidden), (dy, output));
            self.emit_weight_gradient(graph, m, dy, Block::whole(slice), accumulate);
        }
        let (slice, accumulate) = graph.dense_gradient(self.layer.bias);
        let params = sum_columns::Params {
            rows: (unroll * batch) as u32,
            width: 4 * hidden as u32,
            accumulate: accumulate.into(),
            scale: 1.0,
        };
        graph.builder.step(
            self.label("bias gradient"),
            &sum_columns::KERNEL,
            &params,
            &[self.z, slice],
        );
        let (dx, more) = graph.contribute(self.x);
        let label = self.label("input gradient");
        // Gradients of the products with x and h, whatever they were written to.
        let dz = (self.z, 4 * hidden);
        let (gradient, weight, groups) = match (self.layer.gates, self.factor, dfactor) {
            (Gates::Factorized { first, second }, Some(factor), Some(dfactor)) => {
                let width = graph.extents(first).1;
                let (slice, accumulate) = graph.dense_gradient(second);
                let block = Block::whole(slice);
                self.emit_weight_gradient(graph, (factor, width), dz, block, accumulate);
                ((dfactor, width), first, 1)
            }
            (Gates::Grouped { weight, groups }, ..) => (dz, weight, groups),
            (Gates::Factorized { .. }, ..) => unreachable!("a factorized layer has its factor"),
        };
        let (slice, accumulate) = graph.dense_gradient(weight);
        let (x, h) = ((x, input), (h_before, output));
        if groups > 1 {
            let joined = self.join(graph, groups, x, h);
            let block = Block::grouped(slice, groups);
            self.emit_weight_gradient(graph, joined, gradient, block, accumulate);
        } else {
            let blocks = [self.input_rows(slice, 1), self.recurrent_rows(slice, 1)];
            for (left, block) in [x, h].into_iter().zip(blocks) {
                self.emit_weight_gradient(graph, left, gradient, block, accumulate);
            }
        }
        let block = self.input_rows(graph.operand(weight), groups).transposed();
        self.emit_times(graph, label, gradient, block, (dx, input), more);
    }
}
