//! The operations of language models, each with its forward and its backward rule in one place.

use super::Graph;
use super::plan::Slice;
use crate::kernels::matmul::product;

pub mod dropout;
pub mod embedding;
pub mod full_softmax;
pub mod layer;
pub mod mean;
pub mod residual;
pub mod sampled_softmax;

pub use dropout::{Streams, dropout};
pub use embedding::embedding;
pub use full_softmax::full_softmax;
pub use layer::layer;
pub use mean::mean;
pub use residual::residual;
pub use sampled_softmax::sampled_softmax;

/// Emits a product; without a bias the left operand stands in its place.
fn emit_product(
    graph: &mut Graph,
    label: impl Into<String>,
    params: &product::Params,
    left: Slice,
    right: Slice,
    bias: Option<Slice>,
    out: Slice,
) {
    let slices = [left, right, bias.unwrap_or(left), out];
    graph.builder.step(label, &product::KERNEL, params, &slices);
}
