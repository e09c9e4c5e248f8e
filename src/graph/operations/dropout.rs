//! Inverted dropout: `y = mask * x / (1 - p)`. The mask comes from a counter, so backward computes it again.

use super::super::{Graph, Operation, Value};
use crate::kernels::pointwise::dropout;

struct Dropout {
    params: dropout::Params,
    x: Value,
    y: Value,
}

/// Drops elements of `x` with probability `rate`; `place` tells the uses in one model apart. Rate 0 is `x` itself.
pub fn dropout(graph: &mut Graph, x: Value, rate: f64, place: u32) -> Value {
    if rate == 0.0 {
        return x;
    }
    let (rows, width) = graph.shape(x);
    let params = dropout::Params {
        len: (rows * width) as u32,
        first: 0,
        row: (rows * width) as u32,
        stride: (rows * width) as u32,
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
