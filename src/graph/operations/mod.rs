//! The operations of language models, each with its forward and its backward rule in one file.

pub mod adaptive_softmax;
pub mod dropout;
pub mod embedding;
pub mod full_softmax;
pub mod layer;
pub mod mean;
mod pieces;
pub mod products;
pub mod residual;
pub mod sampled_softmax;

pub use adaptive_softmax::{
    AdaptiveOptions, AdaptiveParameters, Tail, adaptive_softmax, add_tails,
};
pub use dropout::{Mask, Streams, dropout};
pub use embedding::embedding;
pub use full_softmax::full_softmax;
pub use layer::layer;
pub use mean::mean;
pub use products::emit_product;
pub use residual::residual;
pub use sampled_softmax::{CandidateSampling, sampled_softmax};
