//! The front door: what the commands of `wlstm` do, for Rust programs.
//!
//! | module | what |
//! |---|---|
//! | [`Job`] | trains a model: from a configuration to a run folder |
//! | [`Trained`] | uses a trained model: scores, generates, evaluates, exports |
//! | [`comparison`] | trains several models in turns, under one budget |
//! | [`text`] | the vocabulary and the texts of a configuration |
//! | [`distributed`] | the processes of a job on several machines |
//! | [`factorize`] | turns a trained model into one with cheaper cells |
//! | [`score`] | how many lines are scored side by side |
//! | [`import`](mod@import) | makes a run of a model that was trained elsewhere |
//! | [`page`] | writes the report of a run |
//!
//! Nothing here prints. What the command line shows reaches an observer as an [`Event`].

pub mod comparison;
pub mod distributed;
mod evaluate;
pub mod factorize;
mod generate;
pub mod import;
mod observer;
mod origin;
pub mod page;
mod prepare;
mod resume;
pub mod score;
mod settings;
pub mod text;
mod trained;
mod training;

pub use crate::train::watch::{Event, Stop, Turns, Work};
pub use evaluate::ConfiguredText;
pub use generate::{Generated, Generation, GenerationOptions};
pub use observer::Observer;
pub use origin::key_of;
pub use prepare::{training_executors, workload_of};
pub use settings::Job;
pub use trained::{ExportFormat, Trained};
pub use training::{Outcome, Training};
