//! wlstm trains projected, factorized and grouped LSTM language models on any GPU and on CPUs.

pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod device;
pub mod error;
pub mod files;
pub mod graph;
pub mod kernel;
pub mod kernels;
pub mod matrix;
pub mod metrics;
pub mod model;
pub mod random;
pub mod real;
pub mod tensor;
pub mod train;
