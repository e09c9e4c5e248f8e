//! The graphs of a language model: embedding, dropout, layers, softmax.
//!
//! | function | graph |
//! |---|---|
//! | [`training`] | forward and backward pass of one step; `train` appends the update |
//! | [`evaluation`] | losses with the full softmax |
//! | [`line_layers`], [`line_softmax`], [`line_targets`] | the losses of lines: layers, then the softmax of the rows that are needed |
//! | [`logits`] | one step, with the logits over the vocabulary |
//! | [`streamed_evaluation`], [`streamed_lines`], [`streamed_generation`] | the same for tables on the host |
//!
//! Evaluation and generation use a given [`ParameterSet`](super::parameter_set::ParameterSet), and `f32`: mixed precision is
//! for training.

mod body;
mod inference;
mod lines;
mod streamed;
mod training;

pub use super::division::{Division, Extent, Part};
pub use inference::{evaluation, logits, states};
pub use lines::{SLOTS, line_layers, line_softmax, line_targets};
pub use streamed::{
    Streamed, StreamedSoftmax, streamed_evaluation, streamed_generation, streamed_lines,
};
pub use training::{declare, training};
