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
        ErrorKind::FileTooLarge => "raise the limit on the size of files (`ulimit -f`)",
        ErrorKind::NotFound => "create the folder first",
        _ if too_many_are_open(&error) => "raise the limit on open files (`ulimit -n`)",
        _ => "check that the folder is writable",
    };
    Error::data(format!("cannot write `{}`", path.display()))
        .because(error)
        .help(help)
}

/// Whether the process or the system has run out of file descriptors. The standard library has no error kind for this.
fn too_many_are_open(error: &std::io::Error) -> bool {
    let source = || {
        error
            .get_ref()?
            .source()?
            .downcast_ref::<std::io::Error>()?
            .raw_os_error()
    };
    // ENFILE and EMFILE of Linux, macOS and the BSDs.
    let codes = [Some(23), Some(24)];
    cfg!(unix) && codes.contains(&error.raw_os_error().or_else(source))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_about_the_cause() {
        for (code, advice) in [
            (24, "ulimit -n"),
            (27, "ulimit -f"),
            (28, "make room"),
            (13, "writable"),
        ] {
            let error = std::io::Error::from_raw_os_error(code);
            let error = cannot_write(Path::new("x"), error).chain().to_string();
            assert!(error.contains(advice), "{error}");
        }
    }
}
