//! `wlstm import`: a run folder of a model that was not trained here.

use std::path::PathBuf;

use clap::Args;

use super::args::{Invocation, OverrideArgs};
use super::messages::note;
use super::output;
use super::preparation::Preparation;
use crate::checkpoint::run_name;
use crate::config::Config;
use crate::error::Result;
use crate::job::import::import;
use crate::numbers::grouped;

/// Create a run from a model of another program, such as PyTorch
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "FILE is a safetensors file as `wlstm export` writes it, with the names of PyTorch (embedding.weight, \
    lstm.weight_ih_l0, ..., softmax.weight, softmax.bias) or of checkpoints. The vocabulary is read from FILE, or else from \
    data.vocab, or else built from data.train. The run works with `wlstm score`, `eval` and `generate`. To train it further: \
    `wlstm train CONFIG --init RUN`.\n\
    \n\
    Example:\n  \
    wlstm import model.safetensors --config configs/wikitext2-lstmp.toml --out runs/imported"
)]
pub(super) struct ImportArgs {
    /// Safetensors file
    pub file: PathBuf,
    /// Configuration of the model (TOML)
    #[arg(long, value_name = "CONFIG")]
    pub config: PathBuf,
    /// Run folder to create
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Overrides.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

/// Imports.
pub(super) fn run(arguments: &ImportArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let config = Config::load(&arguments.config, &arguments.overrides.set)?;
    let name = run_name(&arguments.config);
    let mut preparation = Preparation::new(quiet);
    let imported = import(&arguments.file, &config, &name, &arguments.out, |event| {
        preparation.show(event);
    })?;
    let folder = imported.folder.path().display();
    note(
        quiet,
        &format!(
            "Created the run `{folder}`: {} parameters, {} words.",
            grouped(imported.parameters),
            grouped(imported.words as u64)
        ),
    );
    output::print(format!("run {folder}\n").as_bytes())
}
