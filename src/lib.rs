//! wlstm trains projected, factorized and grouped LSTM language models on any GPU and on CPUs.

pub mod corpus;
pub mod device;
pub mod error;
pub mod graph;
pub mod kernel;
pub mod kernels;
pub mod random;
pub mod real;
pub mod tensor;
