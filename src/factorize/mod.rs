//! Converts a trained model with dense cells to a model with cheaper cells, as the starting point of further
//! training.
//!
//! | module | contents |
//! |---|---|
//! | [`factors`] | to an F-LSTM: the largest singular values of each gate matrix are kept |
//! | [`groups`] | to a G-LSTM: the diagonal blocks of each gate matrix are kept, after a permutation that increases their share of the weights |
//!
//! Both start from the parameters that evaluation uses. Parameters other than the gates keep their values; groups also
//! permute embedding, outputs and memory cells, which changes no result of the dense model.

pub mod factors;
pub mod groups;
mod model;

pub use model::{Changed, Model};
