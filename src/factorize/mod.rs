//! Turns a trained model of dense cells into one of cheaper cells, to be trained further.
//!
//! | module | what |
//! |---|---|
//! | [`factors`] | to an F-LSTM: the largest singular values of each gate matrix are kept |
//! | [`groups`] | to a G-LSTM: the diagonal blocks of each gate matrix are kept, after a permutation with which they hold much of it |
//!
//! Both start from the parameters that evaluation uses. Parameters other than the gates keep their values; groups also
//! permute embedding, outputs and memory cells, which changes no result of the dense model.

pub mod factors;
pub mod groups;
mod model;

pub use model::{Changed, Model};
