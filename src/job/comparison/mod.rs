//! Trains several models on one device with the same budget. The models take turns.
//!
//! | type | step |
//! |---|---|
//! | [`BeginOptions`] | the configurations, their variants and the [`Budget`] of every model |
//! | [`Comparison`] | begins from these options, or resumes from a folder |
//! | [`ReadyComparison`] | has its texts and its [`ComparisonFolder`], and trains the [`Model`]s |
//! | [`ComparisonOutcome`] | the models, the rows of the table, and the models that failed |
//!
//! [`comparison_table`](crate::report::comparison_table) makes a table of the rows. The folder keeps a [`ComparisonSpec`] in
//! `compare.json`.

mod budget;
mod changes;
mod equal;
mod folder;
mod models;
mod prepare;
mod record;
mod request;
mod run;
mod turns;

pub use budget::Budget;
pub use equal::{Equal, Solved};
pub use folder::{ComparisonFolder, comparison_of, comparison_of_file};
pub use models::Model;
pub use prepare::ONCE;
pub use record::{ComparisonSpec, ModelSpec};
pub use request::{BeginOptions, Comparison, runs_of};
pub use run::{ComparisonOutcome, ReadyComparison};
