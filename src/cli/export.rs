//! `wlstm export`: a model for other programs.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{Invocation, ParameterArgs, output_at};
use super::messages::note;
use super::preparation::trained;
use crate::error::{Error, Result};
use crate::files::Output;
use crate::job::ExportFormat as Format;

/// Write a model for PyTorch or ONNX Runtime
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "pytorch: safetensors that torch.nn.Embedding (`embedding`), torch.nn.LSTM (`lstm`) and torch.nn.Linear \
    (`softmax`) load by name. Models that torch.nn.LSTM does not support have layers of their own (`layers.0`): a class of \
    `wlstm help interchange` loads them.\n\
    onnx: a graph of one step, with words and states as inputs, log-probabilities and states as outputs.\n\
    onnx-nll: a graph of whole sentences, from words to negative log-likelihoods, as sherpa-onnx loads it to rescore hypotheses.\n\
    native: parameters under the names of checkpoints, for `train --init`.\n\
    Every format contains the configuration and the vocabulary.\n\
    \n\
    Examples:\n  \
    wlstm export runs/g8 --out g8.onnx --format onnx\n  \
    wlstm export runs/lstmp --out lstmp.safetensors"
)]
pub(super) struct ExportArgs {
    /// Run folder (its best checkpoint), or one checkpoint
    pub run: PathBuf,
    /// Output file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Format of the file
    #[arg(long, value_enum, default_value_t = ExportFormat::Pytorch)]
    pub format: ExportFormat,
    /// The parameters to use.
    #[command(flatten)]
    pub parameters: ParameterArgs,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ExportFormat {
    /// Safetensors with the names of torch.nn modules
    Pytorch,
    /// Safetensors with the names of checkpoints
    Native,
    /// ONNX graph of one step
    Onnx,
    /// ONNX graph that scores whole sentences
    OnnxNll,
}

impl ExportFormat {
    fn is_onnx(self) -> bool {
        matches!(self, ExportFormat::Onnx | ExportFormat::OnnxNll)
    }
}

/// Exports.
pub(super) fn run(arguments: &ExportArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let out = &arguments.out;
    let output = output_at(out, "")?;
    check_format(arguments, &output)?;
    let trained = trained(&arguments.run, &arguments.parameters, invocation)?;
    let replaced = output.file().is_some_and(Path::exists);
    let format = match arguments.format {
        ExportFormat::Pytorch => Format::Pytorch,
        ExportFormat::Native => Format::Native,
        ExportFormat::Onnx => Format::Onnx,
        ExportFormat::OnnxNll => Format::OnnxNll,
    };
    let files = trained.export_to(format, &output)?;
    let names: Vec<String> = files
        .iter()
        .map(|file| format!("`{}`", file.display()))
        .collect();
    if output.is_stdout() {
        note(quiet, "Wrote the model to standard output.");
    } else {
        let what = if replaced { "Replaced" } else { "Wrote" };
        note(quiet, &format!("{what} {}.", names.join(" and ")));
    }
    if !arguments.format.is_onnx() && ["pt", "pth", "bin"].contains(&extension(out)) {
        note(
            quiet,
            "The file is in safetensors format: `safetensors.torch.load_file` reads it, and `torch.load` does not.",
        );
    }
    Ok(())
}

/// Refuses a name that belongs to another format, and a terminal.
fn check_format(arguments: &ExportArgs, output: &Output) -> Result<()> {
    let (out, shown) = (&arguments.out, arguments.out.display());
    let is_named_onnx = extension(out) == "onnx";
    if is_named_onnx && !arguments.format.is_onnx() {
        return Err(Error::usage(format!("`{shown}` would be a safetensors file")).help(
            "add `--format onnx` (a graph of one step) or `--format onnx-nll` (a graph of whole sentences), or name the file \
             `.safetensors`",
        ));
    }
    if arguments.format.is_onnx() && extension(out) == "safetensors" {
        return Err(Error::usage(format!("`{shown}` would be an ONNX file"))
            .help("name the file `.onnx`, or leave out --format"));
    }
    if output.is_stdout() && std::io::stdout().is_terminal() {
        return Err(Error::usage("a model cannot be shown on a terminal")
            .help("name a file with --out, or redirect standard output"));
    }
    Ok(())
}

/// The extension of a path, or nothing.
fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}
