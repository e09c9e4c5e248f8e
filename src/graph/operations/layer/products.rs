//! The products of a layer: what they multiply by, and how their steps are emitted.

use super::super::emit_product;
use super::{Recorded, Sizes};
use crate::graph::Graph;
use crate::graph::plan::Slice;
use crate::kernels::matmul::product;
use crate::kernels::pointwise::{join, transpose};

/// The most elements of a group's weights that are transposed for the steps backward: 2 MiB in f32, what the cache of a
/// core holds. Products with a transposed matrix read it across its rows at every step.
const MOST_TURNED: usize = 512 << 10;

/// A matrix inside a parameter or its gradient, that of every group alike.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// From the first group's to the end of the last's.
    pub(super) slice: Slice,
    /// `G`.
    pub(super) groups: usize,
    /// Elements between groups.
    pub(super) stride: usize,
    /// Whether products multiply by its transpose.
    pub(super) transposed: bool,
}

impl Block {
    /// The whole of a tensor that has no groups.
    pub(super) fn whole(slice: Slice) -> Block {
        Block::grouped(slice, 1)
    }

    /// The whole of a tensor of groups one after the other.
    pub(super) fn grouped(slice: Slice, groups: usize) -> Block {
        Block {
            slice,
            groups,
            stride: slice.len / groups,
            transposed: false,
        }
    }

    /// Its transpose, where it lies.
    pub(super) fn transposed(self) -> Block {
        Block {
            transposed: true,
            ..self
        }
    }

    /// Elements of a group.
    fn len(self) -> usize {
        self.slice.len - (self.groups - 1) * self.stride
    }
}

impl Recorded {
    /// Rows of the input in a tensor `[G * (I+P)/G, width]`.
    pub(super) fn input_rows(&self, tensor: Slice, groups: usize) -> Block {
        self.rows(tensor, groups, false)
    }

    /// Rows of `h` in such a tensor.
    pub(super) fn recurrent_rows(&self, tensor: Slice, groups: usize) -> Block {
        self.rows(tensor, groups, true)
    }

    fn rows(&self, tensor: Slice, groups: usize, recurrent: bool) -> Block {
        let Sizes { input, output, .. } = self.sizes;
        let whole = Block::grouped(tensor, groups);
        // The rows of the input; what comes first is a whole number of rows, the quotient of group and sizes need not be.
        let middle = whole.stride * input / (input + output);
        let (start, end) = if recurrent {
            (middle, whole.stride)
        } else {
            (0, middle)
        };
        let slice = tensor.part(start, (groups - 1) * whole.stride + end - start);
        Block { slice, ..whole }
    }

    /// `out_g (+)= left_g block_g`, where `left` has `depth` columns and `out` has `columns`, all groups together.
    pub(super) fn emit_times(
        &self,
        graph: &mut Graph,
        label: String,
        (left, depth): (Slice, usize),
        block: Block,
        (out, columns): (Slice, usize),
        accumulate: bool,
    ) {
        let rows = out.len / columns;
        let (depth_g, columns_g) = (depth / block.groups, columns / block.groups);
        let params = product::Params {
            groups: block.groups as u32,
            left_stride: depth as u32,
            left_group: depth_g as u32,
            right_group: block.stride as u32,
            product_stride: columns as u32,
            product_group: columns_g as u32,
            ..product::Params::dense(rows, columns_g, depth_g)
        };
        let params = if block.transposed {
            params.transposed_right()
        } else {
            params
        };
        let params = params.accumulating(accumulate);
        emit_product(graph, label, &params, left, block.slice, None, out);
    }

    /// `block_g (+)= left_g' right_g` over the rows of some steps: the gradient of a weight, or a part of it.
    pub(super) fn emit_weight_gradient(
        &self,
        graph: &mut Graph,
        (left, rows): (Slice, usize),
        (right, columns): (Slice, usize),
        block: Block,
        accumulate: bool,
    ) {
        let depth = left.len / rows;
        let (rows_g, columns_g) = (rows / block.groups, columns / block.groups);
        let params = product::Params {
            groups: block.groups as u32,
            transpose_left: 1,
            left_stride: rows as u32,
            left_group: rows_g as u32,
            right_stride: columns as u32,
            right_group: columns_g as u32,
            product_group: block.stride as u32,
            ..product::Params::dense(rows_g, columns_g, depth)
        };
        let label = self.label("weight gradient");
        let params = params.accumulating(accumulate);
        emit_product(graph, label, &params, left, right, None, block.slice);
    }

    /// What every step backward multiplies by, the transpose of a block of `columns`, all groups together: where it pays, made
    /// once.
    pub(super) fn turned(
        &self,
        graph: &mut Graph,
        what: &str,
        block: Block,
        columns: usize,
    ) -> Block {
        let most = MOST_TURNED.min(graph.builder.limits().slice / block.groups);
        if block.len() > most || self.sizes.unroll == 1 {
            return block.transposed();
        }
        let (groups, columns) = (block.groups, columns / block.groups);
        let rows = block.len() / columns;
        let name = format!("{}.{what}_turned", self.layer.name);
        let slice = graph.builder.stored(&name, [groups, columns, rows]);
        let params = transpose::Params {
            groups: groups as u32,
            rows: rows as u32,
            columns: columns as u32,
            x_group: block.stride as u32,
        };
        let slices = [block.slice, slice];
        let label = self.label("transpose");
        graph
            .builder
            .step(label, &transpose::KERNEL, &params, &slices);
        Block::grouped(slice, groups)
    }

    /// The inputs of all groups over some steps, each the columns of `x` and then those of `h`: the gradient of a group's
    /// weights is then one product, of twice the rows.
    pub(super) fn join(
        &self,
        graph: &mut Graph,
        name: &str,
        groups: usize,
        (x, input): (Slice, usize),
        (h, output): (Slice, usize),
    ) -> (Slice, usize) {
        let rows = x.len / input;
        let joined = graph.builder.stored(name, [rows, input + output]);
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
        (joined, input + output)
    }
}
