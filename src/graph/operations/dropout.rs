//! Inverted dropout: `y = mask * x / (1 - p)`. The mask comes from a counter-based generator, so the backward pass
//! recomputes it.

use super::super::{Graph, Operation, Value};
use crate::kernels::pointwise::dropout;

struct Dropout {
    params: dropout::Params,
    x: Value,
    y: Value,
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

/// Drops elements of `x` with probability `rate`. With rate 0, the result is `x` itself. Each use in a model has a unique
/// `number`.
///
/// `streams` are the streams of the batch that the time-major rows belong to: the mask of a stream does not
/// depend on the device that computes it.
pub fn dropout(graph: &mut Graph, x: Value, rate: f64, number: u32, streams: Streams) -> Value {
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
        purpose: crate::random::Purpose::Dropout as u32 + number,
        threshold: dropout::threshold(rate),
        scale: (1.0 / (1.0 - rate)) as f32,
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
