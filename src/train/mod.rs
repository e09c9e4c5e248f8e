//! Training: the loop, the update rules, the schedule, evaluation. This module prints nothing.
//!
//! | module | contents |
//! |---|---|
//! | [`run`] | the training loop, with limits, validation, checkpoints and resume |
//! | [`progress`] | the progress of a run, as a checkpoint stores it |
//! | [`session`] | a model on its devices: steps, evaluation, generation, parameters in and out of files |
//! | [`saved`] | a trained model in its file, opened and checked |
//! | [`plans`] | the plans of a run |
//! | [`update`] | norm, clipping, optimizer, moving average: the end of a training plan |
//! | [`prepare`] | the inputs of a step, prepared ahead on another thread |
//! | [`host_tables`] | tables in host memory |
//! | [`collective`] | collective operations between the processes of a run |
//! | [`schedule`] | the learning rate of a step |
//! | [`estimate`] | the memory and communication of a run, before it starts |
//! | [`cutoffs`] | the cutoffs of an adaptive softmax whose configuration gives none |
//! | [`evaluate`](mod@evaluate) | the perplexity of a text |
//! | [`score`] | the log-probabilities of lines |
//! | [`generate`] | text from a model |
//! | [`sample`](mod@sample) | a short text from the model at the end of its training |
//! | [`watch`] | events of a run, and how to stop it |

mod cluster_inputs;
pub mod collective;
pub mod cutoffs;
pub mod estimate;
pub mod evaluate;
pub mod generate;
pub mod host_tables;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod plans;
pub mod prepare;
pub mod progress;
pub mod run;
pub mod sample;
pub mod saved;
pub mod schedule;
pub mod score;
pub mod session;
pub mod update;
pub mod watch;
