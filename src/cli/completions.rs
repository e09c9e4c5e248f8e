//! `wlstm completions`: what a shell needs to complete the command line.

use clap::CommandFactory;

use super::arguments::{Arguments, Completions};
use crate::error::Result;

/// Prints the completions.
pub(super) fn run(arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "wlstm",
        &mut script,
    );
    super::print(&script)
}
