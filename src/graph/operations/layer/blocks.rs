//! The matrices of a layer, and the products that multiply them.

use super::description::Sizes;
use crate::graph::Graph;
use crate::graph::operations::products::emit_product;
use crate::graph::plan::Slice;
use crate::kernels::matmul::product;
use crate::kernels::pointwise::{join, transpose};

/// The maximum number of weights of a group that are transposed for the steps of the backward pass: 4 MiB in `f32`, which
/// fit into the cache of a processor. A product with a matrix that is not transposed in memory reads across its rows at every
/// step.
const MAX_TRANSPOSED: usize = 1 << 20;

/// A row-major matrix.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub slice: Slice,
    /// Elements of a row.
    pub width: usize,
}

impl Matrix {
    pub fn new(slice: Slice, width: usize) -> Matrix {
        Matrix { slice, width }
    }

    pub fn rows(self) -> usize {
        self.slice.len / self.width
    }
}

/// A matrix inside a parameter or its gradient, the same rows of every group.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// From the first group's rows to the end of the last's.
    pub slice: Slice,
    /// `G`.
    pub groups: usize,
    /// Elements between groups.
    pub stride: usize,
    /// Whether products multiply by its transpose.
    pub transposed: bool,
}

impl Block {
    /// All of a tensor without groups.
    pub fn whole(slice: Slice) -> Block {
        Block::grouped(slice, 1)
    }

    /// A whole tensor whose groups are stored one after another.
    pub fn grouped(slice: Slice, groups: usize) -> Block {
        Block {
            slice,
            groups,
            stride: slice.len / groups,
            transposed: false,
        }
    }

    /// The rows of the input in a tensor `[G * (I+P)/G, width]`.
    pub fn input_rows(tensor: Slice, groups: usize, sizes: &Sizes) -> Block {
        let whole = Block::grouped(tensor, groups);
        whole.rows(0, whole.input_len(sizes))
    }

    /// The rows of `h` in such a tensor.
    pub fn recurrent_rows(tensor: Slice, groups: usize, sizes: &Sizes) -> Block {
        let whole = Block::grouped(tensor, groups);
        whole.rows(whole.input_len(sizes), whole.stride)
    }

    /// Its transpose, without moving elements.
    pub fn transposed(self) -> Block {
        Block {
            transposed: true,
            ..self
        }
    }

    /// Elements of the input's rows in a group: a whole number of rows, though the quotient of group and sizes need not be.
    fn input_len(self, sizes: &Sizes) -> usize {
        self.stride * sizes.input / (sizes.input + sizes.output)
    }

    /// Elements `start .. end` of every group.
    fn rows(self, start: usize, end: usize) -> Block {
        let len = (self.groups - 1) * self.stride + end - start;
        Block {
            slice: self.slice.part(start, len),
            ..self
        }
    }

    /// Elements of a group.
    fn len(self) -> usize {
        self.slice.len - (self.groups - 1) * self.stride
    }

    /// The transpose of a block with `columns` columns over all groups, by which each of the `steps` steps of a backward
    /// pass multiplies. It is transposed in memory once if that is faster.
    pub fn transposed_for(
        self,
        graph: &mut Graph,
        layer: &str,
        what: &str,
        columns: usize,
        steps: usize,
    ) -> Block {
        let most = MAX_TRANSPOSED.min(graph.builder.limits().slice / self.groups);
        if self.len() > most || steps == 1 {
            return self.transposed();
        }
        let (groups, columns) = (self.groups, columns / self.groups);
        let rows = self.len() / columns;
        let name = format!("{layer}.{what}_transposed");
        let slice = graph.builder.stored(&name, [groups, columns, rows]);
        let params = transpose::Params {
            groups: groups as u32,
            rows: rows as u32,
            columns: columns as u32,
            x_group: self.stride as u32,
        };
        let slices = [self.slice, slice];
        let label = format!("{layer} transpose");
        graph
            .builder
            .step(label, &transpose::KERNEL, &params, &slices);
        Block::grouped(slice, groups)
    }
}

/// Emits `out_g (+)= left_g block_g` for every group; the groups of `left` and `out` are columns.
pub(super) fn emit_times(
    graph: &mut Graph,
    label: String,
    left: Matrix,
    block: Block,
    out: Matrix,
    accumulate: bool,
) {
    let (depth, columns) = (left.width / block.groups, out.width / block.groups);
    let params = product::Params {
        groups: block.groups as u32,
        left_stride: left.width as u32,
        left_group: depth as u32,
        right_group: block.stride as u32,
        product_stride: out.width as u32,
        product_group: columns as u32,
        ..product::Params::dense(out.rows(), columns, depth)
    };
    let params = if block.transposed {
        params.transposed_right()
    } else {
        params
    };
    let params = params.accumulating(accumulate);
    emit_product(
        graph,
        label,
        &params,
        left.slice,
        block.slice,
        None,
        out.slice,
    );
}

/// Emits `block_g (+)= left_g' right_g` over the rows of some steps: the gradient of a weight, or of some of its rows.
pub(super) fn emit_weight_gradient(
    graph: &mut Graph,
    label: String,
    left: Matrix,
    right: Matrix,
    block: Block,
    accumulate: bool,
) {
    let (rows, columns) = (left.width / block.groups, right.width / block.groups);
    let params = product::Params {
        groups: block.groups as u32,
        transpose_left: 1,
        left_stride: left.width as u32,
        left_group: rows as u32,
        right_stride: right.width as u32,
        right_group: columns as u32,
        product_group: block.stride as u32,
        ..product::Params::dense(rows, columns, left.rows())
    };
    let params = params.accumulating(accumulate);
    emit_product(
        graph,
        label,
        &params,
        left.slice,
        right.slice,
        None,
        block.slice,
    );
}

/// Joins the inputs of all groups over some steps in the tensor `name`: for each group its columns of `x` and then those of
/// `h`, so that the gradient of the group's weights is one product.
pub(super) fn emit_join(
    graph: &mut Graph,
    label: String,
    name: &str,
    groups: usize,
    x: Matrix,
    h: Matrix,
) -> Matrix {
    let (rows, width) = (x.rows(), x.width + h.width);
    let joined = graph.builder.stored(name, [rows, width]);
    let params = join::Params {
        rows: rows as u32,
        groups: groups as u32,
        a_columns: (x.width / groups) as u32,
        b_columns: (h.width / groups) as u32,
    };
    graph
        .builder
        .step(label, &join::KERNEL, &params, &[x.slice, h.slice, joined]);
    Matrix::new(joined, width)
}
