//! `wlstm devices`: the devices of this machine.

use clap::Args;

use super::args::Invocation;
use super::output;
use crate::device::{adapters, devices_json, devices_text};
use crate::error::Result;

/// List the devices of this machine
#[derive(Clone, Debug, Args)]
#[command(after_help = "The names in the list are values of --device.\n\
    \n\
    Examples:\n  \
    wlstm devices\n  \
    WGPU_BACKEND=gl wlstm devices --json")]
pub(super) struct DevicesArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Lists the adapters. Without any, prints what to install.
pub(super) fn run(arguments: &DevicesArgs, _: &Invocation) -> Result<()> {
    let found: Vec<_> = adapters()
        .into_iter()
        .map(|adapter| adapter.summary)
        .collect();
    let text = if arguments.json {
        devices_json(&found) + "\n"
    } else {
        devices_text(&found)
    };
    output::print(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn takes_json() {
        assert!(parse::<DevicesArgs>(&["--json"]).unwrap().json);
    }
}
