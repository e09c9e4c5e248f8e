//! Inverted dropout: `y = mask * x / (1 - p)`. The mask comes from a counter, so backward computes it again.

use super::super::{Graph, Operation, Value};
use crate::kernels::pointwise::dropout;

struct Dropout {
    params: dropout::Params,
    x: Value,
    y: Value,
}

/// Streams of a batch that are computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// All of the batch.
    pub all: usize,
}

/// Drops elements of `x` with probability `rate`; `place` tells the uses in one model apart. Rate 0 is `x` itself.
///
/// Of the rows, time-major, `streams` says which of a larger batch's they are: what is dropped of a stream does not depend on where
/// it is computed.
pub fn dropout(graph: &mut Graph, x: Value, rate: f64, place: u32, streams: Streams) -> Value {
    if rate == 0.0 {
        return x;
    }
    let (rows, width) = graph.shape(x);
    // All streams of all times lie one behind the other.
    let (row, stride) = match streams.count == streams.all {
        true => (rows, rows),
        false => (streams.count, streams.all),
    };
    let params = dropout::Params {
        len: (rows * width) as u32,
        first: (streams.first * width) as u32,
        row: (row * width) as u32,
        stride: (stride * width) as u32,
        purpose: crate::random::Purpose::Dropout as u32 + place,
        threshold: dropout::threshold(rate),
        scale: (1.0 / (1.0 - rate)) as f32,
    };
    let random = graph.builder.index_input("random", [4]);
    let data = graph
        .builder
        .stored(&format!("dropout.{place}"), [rows, width]);
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
        assert!(!accumulate, "what is dropped out has no other use");
        graph.builder.step(
            "dropout backward",
            &dropout::KERNEL,
            &self.params,
            &[dy, random, dx],
        );
    }
}
