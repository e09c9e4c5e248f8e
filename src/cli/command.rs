//! The command line as a whole: the list of commands, and the program around them.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::args::{GlobalArgs, Invocation};
use super::logging;
use super::messages::shown;
use super::unknown_option::advise;
use crate::error::{Error, Result};
use crate::printable::printable;

/// Generates the subcommands and their dispatch from one line per command: its module, its name, its arguments. The arguments
/// are a struct that derives [`clap::Args`]; its documentation is the `--help` of the command. The module has
/// `fn run(&Arguments, &Invocation) -> Result<()>`.
macro_rules! commands {
    ($($module:ident: $Name:ident($Args:ident),)*) => {
        #[derive(Clone, Debug, Subcommand)]
        enum Command {
            $($Name(super::$module::$Args),)*
        }

        impl Command {
            fn run(&self, invocation: &Invocation) -> Result<()> {
                match self {
                    $(Command::$Name(arguments) => super::$module::run(arguments, invocation),)*
                }
            }
        }
    };
}

// In the order of `wlstm --help`.
commands! {
    train: Train(TrainArgs),
    compare: Compare(CompareArgs),
    report: Report(ReportArgs),
    eval: Eval(EvalArgs),
    score: Score(ScoreArgs),
    rescore: Rescore(RescoreArgs),
    generate: Generate(GenerateArgs),
    vocab: Vocab(VocabArgs),
    devices: Devices(DevicesArgs),
    plan: Plan(PlanArgs),
    validate: Validate(ValidateArgs),
    bench: Bench(BenchArgs),
    factorize: Factorize(FactorizeArgs),
    export: Export(ExportArgs),
    import: Import(ImportArgs),
    completions: Completions(CompletionsArgs),
    man: Man(ManArgs),
    help: Help(HelpArgs),
}

/// A parsed command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "wlstm",
    version,
    about = "Train LSTM language models, dense, factorized or grouped, on any GPU or on the CPU",
    after_help = "Results go to standard output; progress and logs go to standard error.\n\n\
                  Exit codes: see `wlstm help exit-codes`. `wlstm help` lists all topics.",
    arg_required_else_help = true,
    // `help::run` also knows topics.
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

/// Runs the program: parses the command line, runs the command, prints the error if it fails.
pub fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| refuse(error));
    logging::init(arguments.global.quiet);
    let result = run(arguments);
    if let Err(error) = &result
        && error.is_reported_here()
    {
        // If standard error is closed, nobody reads the message.
        let _ = writeln!(std::io::stderr(), "{}", shown(&error.chain().to_string()));
    }
    end(result.as_ref().err());
    result.map_or_else(
        |error| ExitCode::from(error.kind().exit_code()),
        |()| ExitCode::SUCCESS,
    )
}

/// Prints the error in the command line, or the requested help, and ends the program.
fn refuse(mut error: clap::Error) -> ! {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    advise(&mut error, &command_line(), &arguments);
    let is_plain = |argument: OsString| {
        argument
            .to_str()
            .is_some_and(|text| printable(text) == text)
    };
    if arguments.into_iter().all(is_plain) {
        error.exit();
    }
    // The message can quote an argument with control characters.
    let _ = writeln!(std::io::stderr(), "{}", shown(&error.render().to_string()));
    std::process::exit(error.exit_code())
}

/// All commands with their options.
pub(super) fn command_line() -> clap::Command {
    Arguments::command()
}

fn run(arguments: Arguments) -> Result<()> {
    arguments.command.run(&Invocation {
        global: arguments.global,
        command_line,
    })
}

/// Leaves the MPI job, if this process belongs to one: see `train::mpi`.
fn end(error: Option<&Error>) {
    #[cfg(feature = "mpi")]
    {
        let code = error.map_or(0, |error| error.kind().exit_code());
        crate::train::mpi::finish(error.is_none_or(Error::is_shared), code);
    }
    #[cfg(not(feature = "mpi"))]
    let _ = error;
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::documented::files_below;
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Arguments::command().get_subcommands() {
            let about = command.get_about().expect("a description").to_string();
            assert!(about.len() > 10, "{}: {about}", command.get_name());
        }
    }

    /// A command consists of its file, which `mod.rs` declares, and one line of `commands!`. No other line names its
    /// arguments.
    #[test]
    fn a_command_is_one_file_and_one_line() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli");
        let sources = files_below(Path::new(folder));
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let (first, rest) = name.split_at(1);
            let arguments = format!("{}{rest}Args", first.to_uppercase());
            let own = Path::new(folder).join(name);
            let is_other =
                |file: &&PathBuf| !file.starts_with(&own) && file.with_extension("") != own;
            let count = |file: &PathBuf| {
                let text = std::fs::read_to_string(file).unwrap();
                let words = text.split(|c: char| !c.is_alphanumeric());
                words.filter(|word| *word == arguments).count()
            };
            let lines: usize = sources.iter().filter(is_other).map(count).sum();
            assert_eq!(lines, 1, "lines that name {arguments}");
        }
    }
}
