//! `wlstm completions`: completions for shells.

use clap::Args;

use super::args::Invocation;
use super::output;
use crate::error::Result;

/// Print completions for a shell
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  \
    wlstm completions bash > ~/.local/share/bash-completion/completions/wlstm")]
pub(super) struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

/// Prints the script.
pub(super) fn run(arguments: &CompletionsArgs, invocation: &Invocation) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut (invocation.command_line)(),
        "wlstm",
        &mut script,
    );
    output::print(&script)
}
