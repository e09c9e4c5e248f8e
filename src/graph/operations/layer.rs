//! An LSTM layer over `T` steps: the three cells, with or without projection.
//!
//! Forward: the products of the input for all steps at once, then `T` times the fused cell and the projection. Backward:
//! `T` times the fused cell and the recurrent product, then every gradient of a weight as one product over all `T*B` rows.
//!
//! Layers run one after the other, not as a wavefront (layer 1 at `t + 1` beside layer 2 at `t`): the products of a layer's input
//! would have to be made step by step, and what that costs is half of what sharing dispatches saves where it was measured, and a
//! layer's dispatch fills a device alone at the sizes of the paper (4,096 workgroups).
//!
//! State comes from and goes to the persistent tensors `state.NAME.h [B, P]` and `state.NAME.c [B, H]`.

use super::super::plan::Slice;
use super::super::{Graph, Operation, Parameter, Value};
use super::emit_product;
use crate::kernels::lstm::{cell_backward, cell_forward};
use crate::kernels::matmul::product;
use crate::kernels::pointwise::{copy, join, transpose};
use crate::kernels::reduce::sum_columns;

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

/// The most elements of a group's weights that are transposed for the recurrent gradients: 2 MiB, what the cache of a core
/// holds. Products with a transposed matrix read it across its rows at every step.
const MOST_TURNED: usize = 512 << 10;

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

/// A matrix inside a parameter or its gradient: a range of its rows, in every group.
#[derive(Clone, Copy)]
struct Block {
    slice: Slice,
    /// Elements between groups.
    group: u32,
}

/// What products multiply by from the right: a block or, with `back`, its transpose.
#[derive(Clone, Copy)]
struct Right {
    block: Block,
    back: bool,
}

impl Recorded {
    fn label(&self, what: &str) -> String {
        format!("{} {what}", self.layer.name)
    }

    /// Rows of the input (`recurrent` false) or of `h` in a tensor `[G * (I+P)/G, width]`.
    fn block(&self, tensor: Slice, groups: usize, recurrent: bool) -> Block {
        let Sizes { input, output, .. } = self.sizes;
        let group = tensor.len / groups;
        // The rows of the input; what comes first is a whole number of rows, the quotient of group and sizes need not be.
        let middle = group * input / (input + output);
        let (start, end) = if recurrent {
            (middle, group)
        } else {
            (0, middle)
        };
        Block {
            slice: tensor.part(start, (groups - 1) * group + end - start),
            group: group as u32,
        }
    }

    /// `out_g = left_g block_g`, or with `back` `out_g = left_g block_g'`: `rows` rows, `inner` columns of the block.
    #[allow(clippy::too_many_arguments, reason = "each is a different thing")]
    fn emit_gates(
        &self,
        graph: &mut Graph,
        label: String,
        groups: usize,
        block: Block,
        (left, depth): (Slice, usize),
        (out, columns): (Slice, usize),
        (back, accumulate): (bool, bool),
    ) {
        let rows = out.len / columns;
        let (depth_g, columns_g) = (depth / groups, columns / groups);
        let params = product::Params {
            groups: groups as u32,
            left_stride: depth as u32,
            left_group: depth_g as u32,
            right_group: block.group,
            product_stride: columns as u32,
            product_group: columns_g as u32,
            ..product::Params::dense(rows, columns_g, depth_g)
        };
        let params = if back {
            params.transposed_right()
        } else {
            params
        };
        emit_product(
            graph,
            label,
            &params.accumulating(accumulate),
            left,
            block.slice,
            None,
            out,
        );
    }

    /// `block_g (+)= left_g' right_g` over all rows: the gradient of a weight.
    fn emit_weight_gradient(
        &self,
        graph: &mut Graph,
        groups: usize,
        (block, accumulate): (Block, bool),
        (left, rows): (Slice, usize),
        (right, columns): (Slice, usize),
    ) {
        let depth = self.sizes.unroll * self.sizes.batch;
        let (rows_g, columns_g) = (rows / groups, columns / groups);
        let params = product::Params {
            groups: groups as u32,
            transpose_left: 1,
            left_stride: rows as u32,
            left_group: rows_g as u32,
            right_stride: columns as u32,
            right_group: columns_g as u32,
            product_group: block.group,
            ..product::Params::dense(rows_g, columns_g, depth)
        };
        let label = self.label("weight gradient");
        emit_product(
            graph,
            label,
            &params.accumulating(accumulate),
            left,
            right,
            None,
            block.slice,
        );
    }

    /// `block` as every step backward multiplies by it from the right: where it pays, its transpose, made once.
    fn turned(
        &self,
        graph: &mut Graph,
        what: &str,
        block: Block,
        groups: usize,
        columns: usize,
    ) -> Right {
        let columns = columns / groups;
        let len = block.slice.len - (groups - 1) * block.group as usize;
        if len > MOST_TURNED || self.sizes.unroll == 1 {
            return Right { block, back: true };
        }
        let name = format!("{}.{what}_turned", self.layer.name);
        let slice = graph
            .builder
            .stored(&name, [groups, columns, len / columns]);
        let params = transpose::Params {
            groups: groups as u32,
            rows: (len / columns) as u32,
            columns: columns as u32,
            x_group: block.group,
        };
        let label = self.label("transpose");
        let slices = [block.slice, slice];
        graph
            .builder
            .step(label, &transpose::KERNEL, &params, &slices);
        let group = len as u32;
        Right {
            block: Block { slice, group },
            back: false,
        }
    }

    /// The inputs of all groups over all steps, each the columns of `x` and then those of `h`: the gradient of a group's weights
    /// is then one product, of twice the rows.
    fn join(
        &self,
        graph: &mut Graph,
        groups: usize,
        (x, input): (Slice, usize),
        (h, output): (Slice, usize),
    ) -> Slice {
        let rows = x.len / input;
        let name = format!("{}.joined", self.layer.name);
        let joined = graph.builder.stored(&name, [rows, input + output]);
        let params = join::Params {
            rows: rows as u32,
            groups: groups as u32,
            a_columns: (input / groups) as u32,
            b_columns: (output / groups) as u32,
        };
        let label = self.label("join");
        graph
            .builder
            .step(label, &join::KERNEL, &params, &[x, h, joined]);
        joined
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
                let block = self.block(graph.operand(weight), groups, false);
                let out = (self.z, 4 * hidden);
                self.emit_gates(graph, label, groups, block, (x, input), out, (false, false));
            }
            (Gates::Factorized { first, .. }, Some(factor)) => {
                let width = graph.extents(first).1;
                let block = self.block(graph.operand(first), 1, false);
                self.emit_gates(
                    graph,
                    label,
                    1,
                    block,
                    (x, input),
                    (factor, width),
                    (false, false),
                );
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
        let (left, block, groups, depth) = match (self.layer.gates, self.factor) {
            (Gates::Factorized { first, second }, Some(factor)) => {
                let width = graph.extents(first).1;
                let part = factor.chunk(t, unroll);
                let block = self.block(graph.operand(first), 1, true);
                let label = self.label(&format!("factor t={t}"));
                self.emit_gates(
                    graph,
                    label,
                    1,
                    block,
                    (before, output),
                    (part, width),
                    (false, true),
                );
                (
                    part,
                    Block {
                        slice: graph.operand(second),
                        group: 0,
                    },
                    1,
                    width,
                )
            }
            (Gates::Grouped { weight, groups }, _) => (
                before,
                self.block(graph.operand(weight), groups, true),
                groups,
                output / groups,
            ),
            (Gates::Factorized { .. }, None) => unreachable!("a factorized layer has its factor"),
        };
        let mut accumulate = self.factor.is_none();
        let mut terms = depth;
        if graph.builder.separates_products() {
            let label = self.label(&format!("recurrent product t={t}"));
            let z = (self.z.chunk(t, unroll), 4 * hidden);
            let left = (left, groups * depth);
            self.emit_gates(graph, label, groups, block, left, z, (false, accumulate));
            (accumulate, terms) = (true, 0);
        }
        let params = cell_forward::Params {
            batch: batch as u32,
            hidden: hidden as u32,
            groups: groups as u32,
            depth: terms as u32,
            weight_group: block.group,
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
        (recurrent, projection): (Right, Option<Right>),
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
        if let (Some(dm), Some(Right { block, back })) = (dm, projection) {
            let label = self.label(&format!("projection gradient t={t}"));
            let (left, out) = ((dh, output), (dm, hidden));
            self.emit_gates(graph, label, 1, block, left, out, (back, false));
            (dh, projection) = (dm, None);
        }
        let params = cell_backward::Params {
            batch: batch as u32,
            hidden: hidden as u32,
            depth: (dh.len / batch) as u32,
            projected: projection.is_some().into(),
            turned: projection.is_some_and(|right| !right.back).into(),
            carry: (t + 1 < unroll).into(),
        };
        let weight = projection.map_or(dh, |right| right.block.slice);
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
            (Gates::Grouped { groups, .. }, _) if t > 0 => {
                let out = (dy.chunk(t - 1, unroll), output);
                self.emit_gates(
                    graph,
                    label,
                    groups,
                    recurrent.block,
                    (dz, 4 * hidden),
                    out,
                    (recurrent.back, true),
                );
            }
            (Gates::Factorized { first, .. }, Some(dfactor)) => {
                let width = graph.extents(first).1;
                let part = dfactor.chunk(t, unroll);
                self.emit_gates(
                    graph,
                    label.clone(),
                    1,
                    recurrent.block,
                    (dz, 4 * hidden),
                    (part, width),
                    (recurrent.back, false),
                );
                if t > 0 {
                    let block = self.block(graph.operand(first), 1, true);
                    let out = (dy.chunk(t - 1, unroll), output);
                    self.emit_gates(graph, label, 1, block, (part, width), out, (true, true));
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
        let separate = graph.builder.separates_products() && self.layer.projection.is_some();
        let dm = separate.then(|| {
            let name = format!("{}.dm", self.layer.name);
            graph.builder.stored(&name, [batch, hidden])
        });
        let dfactor = self.factor.map(|factor| {
            graph
                .builder
                .stored(&format!("{}.dfactor", self.layer.name), [factor.len])
        });
        let (block, groups) = match self.layer.gates {
            Gates::Grouped { weight, groups } => {
                (self.block(graph.operand(weight), groups, true), groups)
            }
            Gates::Factorized { second, .. } => {
                let slice = graph.operand(second);
                (Block { slice, group: 0 }, 1)
            }
        };
        let recurrent = self.turned(graph, "recurrent", block, groups, 4 * hidden);
        let projection = self.layer.projection.map(|projection| {
            let slice = graph.operand(projection);
            self.turned(graph, "projection", Block { slice, group: 0 }, 1, output)
        });
        for t in (0..unroll).rev() {
            self.backward_step(graph, t, dy, (dc, dm), dfactor, (recurrent, projection));
        }

        let x = graph.data(self.x);
        let h_before = self.h.part(0, unroll * batch * output);
        if let Some(projection) = self.layer.projection {
            let (slice, accumulate) = graph.dense_gradient(projection);
            let target = (Block { slice, group: 0 }, accumulate);
            self.emit_weight_gradient(graph, 1, target, (self.m, hidden), (dy, output));
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
        let (gradient, width, weight, groups) = match (self.layer.gates, self.factor, dfactor) {
            (Gates::Factorized { first, second }, Some(factor), Some(dfactor)) => {
                let width = graph.extents(first).1;
                let (slice, accumulate) = graph.dense_gradient(second);
                let target = (Block { slice, group: 0 }, accumulate);
                self.emit_weight_gradient(graph, 1, target, (factor, width), (self.z, 4 * hidden));
                (dfactor, width, first, 1)
            }
            (Gates::Grouped { weight, groups }, ..) => (self.z, 4 * hidden, weight, groups),
            (Gates::Factorized { .. }, ..) => unreachable!("a factorized layer has its factor"),
        };
        let (slice, accumulate) = graph.dense_gradient(weight);
        let gradient_of_gates = (gradient, width);
        if groups > 1 {
            let joined = self.join(graph, groups, (x, input), (h_before, output));
            let target = (
                Block {
                    slice,
                    group: (slice.len / groups) as u32,
                },
                accumulate,
            );
            let left = (joined, input + output);
            self.emit_weight_gradient(graph, groups, target, left, gradient_of_gates);
        } else {
            for (left, rows, recurrent) in [(x, input, false), (h_before, output, true)] {
                let target = (self.block(slice, groups, recurrent), accumulate);
                self.emit_weight_gradient(graph, groups, target, (left, rows), gradient_of_gates);
            }
        }
        let block = self.block(graph.operand(weight), groups, false);
        self.emit_gates(
            graph,
            label,
            groups,
            block,
            (gradient, width),
            (dx, input),
            (true, more),
        );
    }
}
