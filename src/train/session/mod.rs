//! A model on its devices: training steps, evaluation, generation, parameters in and out of files.
//!
//! | module | contents |
//! |---|---|
//! | `training` | training steps on one device or several: [`TrainingSession`] |
//! | `training_state` | parameters, optimizer state and recurrent states in and out of files |
//! | `loaded_step` | the plans of a step on the devices |
//! | `step_result` | the results of a step: [`StepResult`] |
//! | `divided_step` | a step divided between devices or into micro-batches |
//! | `reduction` | reduces the gradients of several devices |
//! | `evaluation` | the losses of a text: [`EvaluationSession`], [`Evaluator`] |
//! | `lines` | the layers and the softmax of lines: [`LineSession`] |
//! | `generation` | the logits of the next word: [`GenerationSession`], [`Predictor`] |
//! | `weights` | the parameters, on devices or on the host |
//! | `pieces` | tensors in transfer between files and devices |

mod divided_step;
mod evaluation;
mod generation;
mod lines;
mod loaded_step;
mod pieces;
mod reduction;
mod step_result;
mod training;
mod training_state;
mod weights;

pub use evaluation::{EvaluationSession, Evaluator};
pub use generation::{GenerationSession, Predictor};
pub(super) use lines::LineBatch;
pub use lines::LineSession;
pub use pieces::PIECE;
pub use step_result::StepResult;
pub use training::TrainingSession;
