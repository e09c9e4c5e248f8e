//! `y[n] = table[ids[n]]`. Backward: adds the rows of the gradient by id, in the order of a row index from the host.

use super::super::gradient::SharedSources;
use super::super::plan::Slice;
use super::super::{Gradient, Graph, Operation, Parameter, Value};
use crate::kernels::embedding::{accumulate_rows, gather, rows, scatter_add_rows};
use crate::kernels::pointwise::copy;
use crate::tensor::names::ROWS_EMBEDDING;

struct Embedding {
    table: Parameter,
    y: Value,
    scale: f32,
}

/// Looks up `ids [T*B]` in a table `[V, E]`. The gradient of the table is multiplied by `scale`.
///
/// The row index of the gradient is the input `rows.embedding`, over the ids.
pub fn embedding(graph: &mut Graph, table: Parameter, ids: Slice, scale: f32) -> Value {
    let (window, width) = graph.extents(table);
    let count = ids.len;
    let data = graph.builder.stored("embedding", [count, width]);
    let params = gather::Params {
        rows: count as u32,
        width: width as u32,
        base: 0,
        window: window as u32,
    };
    let slices = [graph.weight(table), ids, data];
    graph
        .builder
        .step("embedding forward", &gather::KERNEL, &params, &slices);
    let y = graph.value(data, count, width);
    graph.record(Embedding { table, y, scale });
    y
}

/// Emits the sum by row of `source [capacity, width]`.
pub(super) fn emit_accumulate_rows(
    graph: &mut Graph,
    label: &str,
    scale: f32,
    source: Slice,
    rows: Slice,
    capacity: usize,
    gradient: Slice,
) {
    let width = gradient.len / capacity;
    let params = accumulate_rows::Params::whole(capacity, width, scale);
    graph.builder.step(
        label,
        &accumulate_rows::KERNEL,
        &params,
        &[source, rows, gradient],
    );
}

impl Operation for Embedding {
    fn backward(&self, graph: &mut Graph) {
        let label = "embedding backward";
        let dy = graph.gradient(self.y);
        let (capacity, width) = graph.shape(self.y);
        // A table tied to a sampled softmax: its rows are next to those of the softmax, and all are summed here.
        if let Some(shared) = graph.take_sources(self.table) {
            let SharedSources {
                source,
                rows,
                capacity,
            } = shared;
            let gradient = graph.sparse_gradient(self.table, rows, capacity);
            return emit_accumulate_rows(
                graph, label, self.scale, source, rows, capacity, gradient,
            );
        }
        // The same in a micro-batch: another plan sums them.
        if let Some(Gradient::Sources { .. }) = graph.gradient_of(self.table) {
            return graph.scale_sources(self.table, self.scale);
        }
        if graph.gradient_of(self.table).is_none()
            && let Some(sources) = graph.sources(self.table, ROWS_EMBEDDING, 0, capacity, 1)
        {
            graph.scale_sources(self.table, self.scale);
            let params = copy::Params { len: dy.len as u32 };
            let slices = [dy, sources.own[0]];
            return graph.builder.step(label, &copy::KERNEL, &params, &slices);
        }
        let rows = graph
            .builder
            .index_input(ROWS_EMBEDDING, [rows::row_index_len(capacity)]);
        match graph.gradient_of(self.table) {
            None => {
                let gradient = graph.sparse_gradient(self.table, rows, capacity);
                emit_accumulate_rows(graph, label, self.scale, dy, rows, capacity, gradient);
            }
            // A table tied to a full softmax has a dense gradient already.
            Some(Gradient::Dense(dense)) => {
                let part = graph
                    .builder
                    .activation("embedding.rows", [capacity, width]);
                emit_accumulate_rows(graph, label, self.scale, dy, rows, capacity, part);
                let params = scatter_add_rows::Params {
                    capacity: capacity as u32,
                    width: width as u32,
                    first: 0,
                    base: 0,
                    window: (dense.len / width) as u32,
                };
                graph.builder.step(
                    label,
                    &scatter_add_rows::KERNEL,
                    &params,
                    &[part, rows, dense],
                );
            }
            Some(_) => panic!("a model looks up a table once"),
        }
    }
}
