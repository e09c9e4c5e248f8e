//! The public interface: what the commands of `wlstm` do with models and runs, for Rust programs.
//!
//! Four things are only in the program: the table of devices of `wlstm plan`, the checks of `wlstm validate`, the merging of several
//! runs into one report, and scoring lines while they arrive. They are made of [`train::estimate`](crate::train::estimate),
//! [`validate`](crate::validate), [`page::write_report`] and [`Scorer`](crate::train::score::Scorer).
//!
//! | module | contents |
//! |---|---|
//! | [`Job`] | trains a model: from a configuration to a run folder |
//! | [`Trained`] | uses a trained model: scores, generates, evaluates, exports |
//! | [`comparison`] | trains several models in turns, with the same budget |
//! | [`text`] | the vocabulary and the texts of a configuration |
//! | [`distributed`] | the processes of a job on several machines |
//! | [`factorize`] | converts a trained model to one with cheaper cells |
//! | [`rescore`] | reranking of n-best lists |
//! | [`import`](mod@import) | creates a run from a model that was trained elsewhere |
//! | [`page`] | writes the report of a run |
//!
//! The advice in an [`Error`](crate::error::Error) names options of the program, for example `--device` or `--set`. The options
//! of [`Job`] and the overrides of [`Job::load`] are the same settings.
//!
//! This module prints nothing. Observers receive progress and messages as [`Event`]s.

mod changed_files;
pub mod comparison;
pub mod distributed;
mod evaluate;
mod executors;
pub mod factorize;
mod generate;
pub mod import;
mod named;
mod observer;
mod origin;
pub mod page;
mod prepare;
mod replaced;
pub mod rescore;
mod resume;
mod score;
mod settings;
pub mod text;
mod trained;
mod training;
mod unchanged;

pub use crate::train::watch::{Event, Stop, Task, Turns};
pub use evaluate::{ConfiguredText, EvaluationOptions};
pub use executors::{training_executors, workload_of};
pub use generate::{Generated, Generation, GenerationOptions};
pub use observer::Observer;
pub use origin::key_of;
pub use replaced::check_output;
pub use resume::resume_arguments;
pub use settings::Job;
pub use trained::{ExportFormat, Parameters, Trained};
pub use training::{Outcome, Training};
