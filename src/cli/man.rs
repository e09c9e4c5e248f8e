//! `wlstm man`: manual pages.

use std::path::PathBuf;

use clap::Args;

use super::args::Invocation;
use super::messages::note;
use crate::error::{Error, Result};

/// Write manual pages
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  \
    wlstm man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Folder for wlstm.1, wlstm-train.1 and so on
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes a page for the program and one for each command.
pub(super) fn run(arguments: &ManArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let folder = &arguments.folder;
    let failed = |error: std::io::Error| {
        Error::data(format!(
            "cannot write manual pages into `{}`",
            folder.display()
        ))
        .because(error)
        .help("choose a writable folder")
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to((invocation.command_line)(), folder).map_err(failed)?;
    note(
        quiet,
        &format!(
            "Wrote the pages. To read one: `man {}/wlstm.1`.",
            folder.display()
        ),
    );
    Ok(())
}
