//! `y = x + z`. Backward: `x` and `z` each get a copy of the gradient of `y`, since the layer of `z` overwrites its
//! own.

use super::super::{Graph, Operation, Value};
use crate::kernels::pointwise::{add, copy};

struct Residual {
    x: Value,
    z: Value,
    y: Value,
}

/// The sum of two values of one shape.
pub fn residual(graph: &mut Graph, x: Value, z: Value) -> Value {
    let (rows, width) = graph.shape(x);
    let data = graph
        .builder
        .stored(&format!("residual.{}", z.0), [rows, width]);
    let params = add::Params {
        len: data.len as u32,
    };
    let slices = [graph.data(x), graph.data(z), data];
    graph
        .builder
        .step("residual forward", &add::KERNEL, &params, &slices);
    let y = graph.value(data, rows, width);
    graph.record(Residual { x, z, y });
    y
}

impl Operation for Residual {
    fn backward(&self, graph: &mut Graph) {
        let dy = graph.gradient(self.y);
        for operand in [self.x, self.z] {
            let (out, accumulate) = graph.contribute(operand);
            assert!(
                !accumulate,
                "a residual is the first to contribute to its operands"
            );
            let params = copy::Params { len: dy.len as u32 };
            graph
                .builder
                .step("residual backward", &copy::KERNEL, &params, &[dy, out]);
        }
    }
}
