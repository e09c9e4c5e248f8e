//! Writes the report of runs, the page `report.html`.

use std::fs::File;
use std::io::Read;

use super::replaced::check_report;
use crate::checkpoint::{self, RunFolder, has_run};
use crate::error::{Error, Result};
use crate::files::{self, Output};
use crate::report::{RunData, comparison_rows, page};

/// The file name of the page.
pub const REPORT: &str = checkpoint::REPORT;

/// Writes the report of some runs to `out`. Replaces an existing report, but no other file.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if `out` is a file of another kind, or cannot be written.
pub fn write_report(out: &Output, runs: &[RunData]) -> Result<()> {
    const PAGE: &[u8] = b"<!DOCTYPE html>";
    check_report(out)?;
    let mut begin = Vec::new();
    let read = |file: File| file.take(PAGE.len() as u64).read_to_end(&mut begin);
    if let Some(file) = out.file()
        && files::open_regular(file).and_then(read).is_ok()
        && !begin.is_empty()
        && begin != PAGE
    {
        return Err(Error::data(format!(
            "`{}` exists and is not a report",
            out.path().display()
        ))
        .help("choose another file with --out"));
    }
    out.write_text(&page(&title(runs), runs))
}

/// The title of a page.
fn title(runs: &[RunData]) -> String {
    match runs {
        [one] => format!("{}, {}", one.label, one.status()),
        all => {
            let models = comparison_rows(all).len();
            let seeds = match all.len() / models.max(1) {
                0 | 1 => String::new(),
                seeds => format!(", {seeds} seeds each"),
            };
            format!("{models} models compared{seeds}")
        }
    }
}

/// Writes the page of a run that has ended, successfully or not. Warns if it cannot be written.
pub(super) fn write_after_run(folder: &RunFolder) {
    // A run that failed before its first record has nothing to show.
    if !has_run(folder.path()) {
        return;
    }
    let written = RunData::read(folder.path())
        .and_then(|run| write_report(&Output::own(&folder.path().join(REPORT))?, &[run]));
    if let Err(error) = written {
        tracing::warn!("cannot write the report: {error}");
    }
}
