//! Results for display: tables, plots, and the HTML report of runs.

mod comparison;
mod curves;
mod mean_line;
mod page;
mod plot;
mod run;
mod table;
mod text;

pub use comparison::{
    ComparisonRow, FromBest, Measure, OverSeeds, best_row, common_measure, comparison_csv,
    comparison_markdown, comparison_notes, comparison_rows, comparison_table, measure,
};
pub use curves::plots;
pub use page::page;
pub use plot::{Axis, Plot, Series, Unit};
pub use run::RunData;
pub use table::{Column, Table};
pub use text::escaped;
