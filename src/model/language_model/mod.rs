//! The graphs of a language model: embedding, dropout, layers, softmax.
//!
//! | function | graph |
//! |---|---|
//! | [`training`] | forward and backward pass of one step; `train` appends the update |
//! | [`evaluation`] | losses with the full softmax |
//! | [`line_evaluation`] | the same for lines, in batches of several sizes |
//! | [`logits`] | one step, with the logits over the vocabulary |
//! | [`streamed_evaluation`], [`streamed_generation`] | the same two for tables on the host |
//!
//! Evaluation and generation use a given [`ParameterSet`](super::parameter_set::ParameterSet), and `f32`: mixed precision is
//! for training.

mod body;
mod inference;
mod streamed;
mod training;

pub use super::division::{Division, Extent, Part};
pub use inference::{evaluation, line_evaluation, logits, states};
pub use streamed::{Streamed, streamed_evaluation, streamed_generation};
pub use training::{declare, training};
