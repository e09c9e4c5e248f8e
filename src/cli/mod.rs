//! The command line: one file for each command. Everything that is printed is printed here.
//!
//! To add a command:
//!
//! - Write `src/cli/NAME.rs` with `pub(super) struct NameArgs`, which derives [`clap::Args`], and
//!   `pub(super) fn run(arguments: &NameArgs, invocation: &Invocation) -> Result<()>`. The documentation of the struct and of
//!   its fields is what `--help` prints. `Invocation`, in `args.rs`, has the options that all commands share.
//! - Declare the module below.
//! - Add the line `name: Name(NameArgs),` to `commands!` in `command.rs`.
//! - Add a row to the table of commands in the README.
//!
//! Help, manual pages and completions follow.

mod args;
mod bench;
mod command;
mod compare;
mod completions;
mod dashboard;
mod devices;
#[cfg(test)]
mod documented;
mod eval;
mod executors;
mod export;
mod factorize;
mod generate;
mod help;
mod import;
mod logging;
mod man;
mod markdown;
mod messages;
mod next;
mod output;
mod plan;
mod preparation;
mod progress;
mod report;
mod rescore;
mod score;
mod signals;
mod train;
mod unknown_option;
mod validate;
mod vocab;
mod wrap;

pub use command::main;
