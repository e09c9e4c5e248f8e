//! Trains several models in turns on one device, with the same budget.
//!
//! | module | contents |
//! |---|---|
//! | `models` | the models of a comparison, from configurations, variants of cells and values of keys |
//! | `record` | the folder of a comparison, with the record `compare.json` |
//! | `request` | starts or resumes a comparison |
//! | `run` | trains the models |
//! | `turns` | the turns of the models |

mod models;
mod record;
mod request;
mod run;
mod turns;

pub use models::Model;
pub use record::{Budget, ComparisonFolder, ComparisonSpec, ModelSpec, comparison_of};
pub use request::{BeginOptions, Comparison, runs_of};
pub use run::{ComparisonOutcome, ReadyComparison};
