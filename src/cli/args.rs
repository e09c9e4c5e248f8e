//! Arguments that several commands share, and checks of their values.

use std::path::Path;

use clap::Args;

use super::output;
use crate::error::{Error, Result};
use crate::files::{self, Output};
use crate::job::{Parameters, check_output};

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(super) struct GlobalArgs {
    /// Show no progress, and only errors in the log
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Run every kernel in its default form instead of the form measured to be fastest on this GPU
    #[arg(long, global = true)]
    pub no_tune: bool,
    /// Keep the run-time checks of all GPU kernels, even of those known to be correct without them
    #[arg(long, global = true)]
    pub checked: bool,
}

/// The input that all commands receive in addition to their own arguments.
pub(super) struct Invocation {
    /// The options of every command.
    pub global: GlobalArgs,
    /// Describes the whole command line: help, manual pages and completions are generated from it.
    pub command_line: fn() -> clap::Command,
}

impl Invocation {
    /// Whether only results are printed.
    pub fn quiet(&self) -> bool {
        self.global.quiet
    }
}

/// Overrides of a configuration.
#[derive(Clone, Debug, Args)]
pub(super) struct OverrideArgs {
    /// Override a key of the configuration, for example --set model.hidden=512
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// The device of a command that uses a device.
#[derive(Clone, Debug, Args)]
pub(super) struct DeviceArgs {
    /// Where to compute: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains
    /// TEXT), for example gpu:nvidia
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
}

/// Which parameters of a trained model a command uses.
#[derive(Clone, Debug, Args)]
pub(super) struct ParameterArgs {
    /// Use the parameters after the last step, not their moving average [default: the average, once the initial parameters
    /// have a weight of at most 10 % in it]
    #[arg(long, conflicts_with = "average")]
    pub last: bool,
    /// Use the moving average of the parameters (`train.ema`), even early in a run
    #[arg(long)]
    pub average: bool,
}

impl ParameterArgs {
    /// The choice.
    pub fn parameters(&self) -> Parameters {
        match (self.last, self.average) {
            (true, _) => Parameters::Last,
            (_, true) => Parameters::Average,
            _ => Parameters::ByRule,
        }
    }
}

/// Parses a positive number.
pub(super) fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("give a number above 0 and at most 1e9".into()),
    }
}

/// Parses a number of things, at least 1.
pub(super) fn count(text: &str) -> std::result::Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("give a whole number, at least 1".into()),
    }
}

/// Opens the output that the user has named. Refuses a path in a folder that does not exist, or that of a file of a run, before
/// long work starts. In the message, `what` precedes the path.
pub(super) fn output_at(out: &Path, what: &str) -> Result<Output> {
    let output = report_at(out, what)?;
    check_output(&output)?;
    Ok(output)
}

/// Same as [`output_at`], for a report. It may replace another one, also that of a run; see
/// [`write_report`](crate::job::page::write_report).
pub(super) fn report_at(out: &Path, what: &str) -> Result<Output> {
    let output = Output::named_or_stdout(out, output::open)?;
    let folder = match output.file() {
        Some(file) => files::folder_of(file).to_path_buf(),
        None => return Ok(output),
    };
    if folder.is_dir() {
        return Ok(output);
    }
    Err(Error::data(format!(
        "cannot write {what}`{}`: there is no folder `{}`",
        out.display(),
        folder.display()
    ))
    .help("create the folder first, or choose another file with --out"))
}

/// For the tests of commands.
#[cfg(test)]
pub(super) mod tests {
    use clap::Args;

    use super::GlobalArgs;

    /// Parses the arguments of one command as the whole command line does.
    pub fn parse<T: Args>(arguments: &[&str]) -> Result<T, clap::Error> {
        // The arguments of a command may conflict with the global ones.
        let command = || T::augment_args(GlobalArgs::augment_args(clap::Command::new("command")));
        command().debug_assert();
        let arguments = ["command"].iter().chain(arguments);
        command()
            .try_get_matches_from(arguments)
            .and_then(|matches| T::from_arg_matches(&matches))
    }
}
