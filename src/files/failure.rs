//! The errors of writing files and folders.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::Error;

/// The error for a run folder that cannot be created.
pub fn cannot_create(path: &Path, error: std::io::Error) -> Error {
    Error::data(format!("cannot create the folder `{}`", path.display()))
        .because(error)
        .help("choose a writable folder with --out")
}

/// The error for a file that cannot be written.
pub fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let help = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on the disk, or write to another one"
        }
        ErrorKind::NotFound => "create the folder first",
        _ => "check that the folder is writable",
    };
    Error::data(format!("cannot write `{}`", path.display()))
        .because(error)
        .help(help)
}
