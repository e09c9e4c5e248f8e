//! Several models, trained in turns on one device under one budget.
//!
//! | module | what |
//! |---|---|
//! | `models` | the models of a comparison, from configurations, variants of cells and values of keys |
//! | `record` | the folder of a comparison, and what `compare.json` in it says |
//! | `run` | trains the models |
//! | `turns` | whose turn it is |

mod models;
mod record;
mod request;
mod run;
mod turns;

pub use models::Model;
pub use record::{Budget, ComparisonFolder, ComparisonSpec, ModelSpec, comparison_of};
pub use request::{BeginOptions, Comparison, runs_of};
pub use run::{ComparisonOutcome, ReadyComparison};
