//! The command line: one file for each command. Everything that is printed is printed here.
//!
//! To add a command, write `src/cli/NAME.rs` with its arguments and its `run`, declare the module below, and add a line to
//! `commands!` in `command.rs` and its name to the README. Help, manual pages and completions follow.

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
mod score;
mod signals;
mod train;
mod validate;
mod vocab;
mod wrap;

pub use command::main;
