//! `wlstm man`: manual pages.

use clap::CommandFactory;

use super::arguments::{Arguments, Man};
use super::context::tell;
use crate::error::{Error, Result};

/// Writes a page for the program and one for each command.
pub(super) fn run(arguments: &Man, quiet: bool) -> Result<()> {
    let folder = &arguments.folder;
    let failed = |error: std::io::Error| {
        Error::data(format!(
            "cannot write manual pages into `{}`",
            folder.display()
        ))
        .because(error)
        .help("name a folder that may be written to")
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(failed)?;
    tell(
        quiet,
        &format!("Wrote the pages: `man {}/wlstm.1`.", folder.display()),
    );
    Ok(())
}
