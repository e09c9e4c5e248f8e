//! Outputs that would replace a file of a run.

use std::path::Path;

use super::comparison::comparison_of_file;
use crate::checkpoint::{REPORT, run_of_file};
use crate::error::{Error, Result};
use crate::files::Output;

/// Checks that an output is no file of a run or of a comparison.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if it is one.
pub fn check_output(output: &Output) -> Result<()> {
    let Some(file) = output.file() else {
        return Ok(());
    };
    let (what, folder) = match (run_of_file(file), comparison_of_file(file)) {
        (Some(run), _) => ("run", run),
        (None, Some(comparison)) => ("comparison", comparison),
        (None, None) => return Ok(()),
    };
    Err(Error::usage(format!(
        "`{}` is a file of the {what} in `{}`, and would be replaced",
        output.path().display(),
        folder.display()
    ))
    .help("choose another file with --out"))
}

/// Same as [`check_output`], for a report: it may replace the report of a run.
pub(super) fn check_report(output: &Output) -> Result<()> {
    let name = output.file().and_then(Path::file_name);
    match name {
        Some(name) if name == REPORT => Ok(()),
        _ => check_output(output),
    }
}
