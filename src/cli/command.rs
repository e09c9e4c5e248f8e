//! The command line as a whole: the list of commands, and the program around them.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::args::{GlobalArgs, Invocation};
use super::messages::shown;
use super::{
    bench, compare, completions, devices, eval, export, factorize, generate, help, import, logging,
    man, plan, report, score, train, validate, vocab,
};
use crate::error::{Error, Result};

/// Makes the subcommands and their dispatch from one line a command: its module, its name, its arguments. The arguments are a
/// struct that derives [`clap::Args`]; its documentation is what `--help` says of the command. The module has
/// `fn run(&Arguments, &Invocation) -> Result<()>`.
macro_rules! commands {
    ($($module:ident: $Name:ident($Args:ident),)*) => {
        #[derive(Clone, Debug, Subcommand)]
        enum Command {
            $($Name($module::$Args),)*
        }

        impl Command {
            fn run(&self, invocation: &Invocation) -> Result<()> {
                match self {
                    $(Command::$Name(arguments) => $module::run(arguments, invocation),)*
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
                  Exit codes: 0 done; 1 other failure; 2 usage or configuration; 3 data or checkpoint; 4 device; 5 the loss \
                  diverged; 6 a kernel disagrees with its reference; 130, 143 interrupted and saved.\n\n\
                  `wlstm help` lists topics such as configuration, devices and exit-codes.",
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
    let arguments = Arguments::parse();
    logging::init(arguments.global.quiet);
    let result = run(arguments);
    if let Err(error) = &result
        && error.is_reported_here()
    {
        // Without standard error there is no reader.
        let _ = writeln!(std::io::stderr(), "{}", shown(&error.chain().to_string()));
    }
    end(result.as_ref().err());
    result.map_or_else(
        |error| ExitCode::from(error.kind().exit_code()),
        |()| ExitCode::SUCCESS,
    )
}

fn run(arguments: Arguments) -> Result<()> {
    arguments.command.run(&Invocation {
        global: arguments.global,
        command_line: Arguments::command,
    })
}

/// Leaves the job of several processes, if this is one of them: see `train::mpi`.
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
}
