//! A model on its devices: training steps, evaluation, generation, parameters in and out of files.
//!
//! | module | what |
//! |---|---|
//! | [`training`] | training steps on one device or several |
//! | [`training_state`] | parameters, optimizer state and recurrent states in and out of files |
//! | [`divided_step`] | a step divided between devices or into micro-batches |
//! | [`reduction`] | reduces the gradients of several devices |
//! | [`inference`] | losses of text and logits of the next word |
//! | [`weights`] | the parameters where they are: on devices or on the host |
//! | [`pieces`] | tensors on their way between files and devices |

mod divided_step;
mod inference;
mod pieces;
mod reduction;
mod training;
mod training_state;
mod weights;

pub use inference::{EvaluationSession, Evaluator, GenerationSession, Predictor};
pub use pieces::PIECE;
pub use training::{StepResult, TrainingSession};
