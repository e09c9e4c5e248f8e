//! The comparison of several runs: one row for each model, with the columns of the table in the paper, measured. A model that was
//! trained with several seeds has one row, with means and standard deviations.

mod measure;
mod notes;
mod ranking;
mod row;
mod rows;
mod seeds;
mod sooner;
mod statistics;
mod table;

pub use measure::{Measure, measure};
pub use notes::{comparison_markdown, comparison_notes};
pub use ranking::{best_row, common_measure};
pub use row::{ComparisonRow, FromBest, OverSeeds};
pub use rows::comparison_rows;
pub use table::{comparison_csv, comparison_table};

pub(super) use seeds::{complete_or_all, groups};
pub(super) use table::{best_bits, unknown_words};
