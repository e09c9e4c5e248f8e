//! Trains several models on one device with the same budget. The models take turns.
//!
//! | module | contents |
//! |---|---|
//! | `changes` | variants of cells and values of keys |
//! | `models` | the models: configurations with these changes |
//! | `budget` | the training budget of every model |
//! | `record` | the record `compare.json` |
//! | `folder` | the folder of a comparison |
//! | `request` | starts or resumes a comparison |
//! | `run` | trains the models |
//! | `turns` | the turns of the models |

mod budget;
mod changes;
mod folder;
mod models;
mod record;
mod request;
mod run;
mod turns;

pub use budget::Budget;
pub use folder::{ComparisonFolder, comparison_of};
pub use models::Model;
pub use record::{ComparisonSpec, ModelSpec};
pub use request::{BeginOptions, Comparison, runs_of};
pub use run::{ComparisonOutcome, ReadyComparison};
