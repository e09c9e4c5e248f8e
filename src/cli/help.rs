//! `wlstm help`: the help of a command, or of a topic that is no command.

use clap::Args;

use super::args::Invocation;
use super::output;
use crate::config::reference;
use crate::error::{Error, Kind, Result};

/// Print the help of a command, or of exit-codes, configuration, devices, environment
#[derive(Clone, Debug, Args)]
pub(super) struct HelpArgs {
    /// A command, or exit-codes, configuration, devices, environment
    pub topic: Vec<String>,
}

type Topic = (&'static str, &'static str, fn() -> String);

/// The topics beside the commands: name, what it is about, text.
const TOPICS: [Topic; 4] = [
    ("exit-codes", "what the program ends with", exit_codes),
    (
        "configuration",
        "every key of a configuration with its default",
        reference,
    ),
    ("devices", "what --device takes", || DEVICES.to_owned()),
    ("environment", "the variables that are read", || {
        ENVIRONMENT.to_owned()
    }),
];

const DEVICES: &str = "\
--device takes

  auto      the default: the best GPU, else the CPU; the program says which and why. Software adapters (llvmpipe, WARP, SwiftShader) don't count
  cpu       the CPU
  gpu       the best adapter, a software one if there is no other
  gpu:N     number N of `wlstm devices`
  gpu:TEXT  the first adapter with this text in its name, as gpu:nvidia
  gpu:all   every GPU, to train on

`wlstm train` takes several, and then trains on all of them; the same device named twice is two devices.
";

const ENVIRONMENT: &str = "\
WGPU_BACKEND         vulkan, metal, dx12 or gl: the way to a GPU
RUST_LOG             the logs that are shown, as wlstm=debug
NO_COLOR             logs and dashboard without colours
WLSTM_CACHE          the folder of token files and of what is tuned for a GPU; empty: nothing is kept
WLSTM_CACHE_LIMIT    its size in GB (32)
WLSTM_CACHE_VERIFY   1: every byte of the token files is checked
";

/// What a kind of failure is, for people.
fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Other => "another failure",
        Kind::Usage => "wrong usage or configuration, found before any work",
        Kind::Data => "unusable text, vocabulary, checkpoint or run folder",
        Kind::Device => "no such device, or out of its memory, or lost",
        Kind::Diverged => "the loss diverged; the checkpoints before it are kept",
        Kind::Mismatch => "a kernel disagrees with its reference",
        Kind::Interrupted => "interrupted by SIGINT (Ctrl-C), and saved",
        Kind::Terminated => "interrupted by SIGTERM, and saved",
    }
}

fn exit_codes() -> String {
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| kind.exit_code());
    let lines = kinds
        .iter()
        .map(|kind| format!("{:>4}  {}\n", kind.exit_code(), meaning(*kind)));
    format!(
        "   0  done\n{}\nA failure prints what was wrong, its causes and what to do, on standard error.\n",
        lines.collect::<String>()
    )
}

/// Prints.
pub(super) fn run(arguments: &HelpArgs, invocation: &Invocation) -> Result<()> {
    let mut command = (invocation.command_line)();
    // So that subcommands know the whole line.
    command.build();
    let Some((first, rest)) = arguments.topic.split_first() else {
        let topics = TOPICS.map(|(name, about, _)| format!("  {name:<15}{about}\n"));
        let text = command.render_long_help();
        return output::print(
            format!("{text}\nTopics of `wlstm help`:\n{}", topics.concat()).as_bytes(),
        );
    };
    if let Some((name, _, text)) = TOPICS.iter().find(|(name, ..)| name == first) {
        // A configuration is copied as it is.
        return match *name {
            "configuration" => output::print(text().as_bytes()),
            _ => output::print_text(&text()),
        };
    }
    let mut found = command.find_subcommand_mut(first);
    for name in rest {
        found = found.and_then(|command| command.find_subcommand_mut(name));
    }
    match found {
        Some(command) => output::print(command.render_long_help().to_string().as_bytes()),
        None => {
            let all = (invocation.command_line)();
            let commands = all.get_subcommands().map(clap::Command::get_name);
            // A topic can have the name of a command.
            let topics = TOPICS.iter().map(|(name, ..)| *name);
            let topics = topics.filter(|topic| all.find_subcommand(topic).is_none());
            let names: Vec<&str> = commands.chain(topics).collect();
            let what = format!("there is no help for `{}`", arguments.topic.join(" "));
            Err(Error::usage(what).help(format!("one of these: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrap::wrap;
    use super::*;

    #[test]
    fn every_code_has_its_line() {
        let text = exit_codes();
        for kind in Kind::ALL {
            let line = format!("{:>4}  {}\n", kind.exit_code(), meaning(kind));
            assert!(text.contains(&line));
        }
        let codes: Vec<u8> = text
            .lines()
            .map_while(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 130, 143]);
    }

    #[test]
    fn topics_fit_80_columns() {
        for (name, _, text) in TOPICS.iter().filter(|(name, ..)| *name != "configuration") {
            for line in wrap(&text(), 80).lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }
}
