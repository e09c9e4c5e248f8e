//! Inverted dropout: `y = mask * x / (1 - p)`. The mask comes from a counter-based generator, so the backward pass
//! recomputes it.

use super::super::plan::Slice;
use super::super::{Graph, Operation, Value};
use crate::kernels::pointwise::{dropout, dropout_rows};
use crate::random::Purpose;

struct Dropout {
    params: dropout::Params,
    x: Value,
    y: Value,
}

/// Which elements are dropped.
#[derive(Clone, Copy)]
pub struct Mask {
    /// The probability to drop an element.
    pub rate: f64,
    /// A number that no other mask of the model has.
    pub number: u32,
    /// The streams of the rows.
    pub streams: Streams,
}

/// Appends a step that drops elements of `x [ids.len, width]`, whose rows are the rows `ids` of the streams of `mask`.
pub fn emit_dropout_of_rows(
    graph: &mut Graph,
    label: &str,
    x: Slice,
    ids: Slice,
    y: Slice,
    mask: Mask,
) {
    let params = dropout_rows::Params {
        rows: ids.len as u32,
        width: (x.len / ids.len) as u32,
        first: mask.streams.first as u32,
        count: mask.streams.count as u32,
        all: mask.streams.all as u32,
        purpose: purpose(mask.number),
        threshold: dropout::threshold(mask.rate),
        scale: scale(mask.rate),
    };
    let random = graph.builder.index_input("random", [4]);
    let slices = [x, ids, random, y];
    graph
        .builder
        .step(label, &dropout_rows::KERNEL, &params, &slices);
}

fn purpose(number: u32) -> u32 {
    Purpose::Dropout as u32 + number
}

/// The factor of elements that are kept.
fn scale(rate: f64) -> f32 {
    (1.0 / (1.0 - rate)) as f32
}

/// Which streams of a batch a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The first.
    pub first: usize,
    /// The number of them.
    pub count: usize,
    /// The number of streams of the batch.
    pub all: usize,
}

/// Drops elements of `x`, whose time-major rows are those of the streams of `mask`. With rate 0, the result is `x` itself. The mask
/// of a stream does not depend on the device that computes it.
pub fn dropout(graph: &mut Graph, x: Value, mask: Mask) -> Value {
    let Mask {
        rate,
        number,
        streams,
    } = mask;
    if rate == 0.0 {
        return x;
    }
    let (rows, width) = graph.shape(x);
    // With all streams, the rows of all times are contiguous.
    let (row, stride) = if streams.count == streams.all {
        (rows, rows)
    } else {
        (streams.count, streams.all)
    };
    let params = dropout::Params {
        len: (rows * width) as u32,
        first: (streams.first * width) as u32,
        row: (row * width) as u32,
        stride: (stride * width) as u32,
        purpose: purpose(number),
        threshold: dropout::threshold(rate),
        scale: scale(rate),
    };
    let random = graph.builder.index_input("random", [4]);
    let data = graph
        .builder
        .stored(&format!("dropout.{number}"), [rows, width]);
    let slices = [graph.data(x), random, data];
    graph
        .builder
        .step("dropout forward", &dropout::KERNEL, &params, &slices);
    let y = graph.value(data, rows, width);
    graph.record(Dropout { params, x, y });
    y
}

impl Operation for Dropout {
    fn backward(&self, graph: &mut Graph) {
        let dy = graph.gradient(self.y);
        let (dx, accumulate) = graph.contribute(self.x);
        let random = graph.builder.index_input("random", [4]);
        assert!(!accumulate, "dropout is the only use of its operand");
        graph.builder.step(
            "dropout backward",
            &dropout::KERNEL,
            &self.params,
            &[dy, random, dx],
        );
    }
}
