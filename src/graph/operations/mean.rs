//! The mean of a column of losses: the output `loss`. It has no backward rule: the softmaxes scale their own
//! gradients.

use super::super::Graph;
use super::super::plan::Slice;
use crate::kernels::reduce::sum;

/// Emits the output `loss [1]`, the mean of `nll [T*B]`.
pub fn mean(graph: &mut Graph, nll: Slice) {
    let loss = graph.builder.output("loss", [1]);
    let params = sum::Params {
        len: nll.len as u32,
        divisor: nll.len as f32,
    };
    graph
        .builder
        .step("loss", &sum::KERNEL, &params, &[nll, loss]);
}
