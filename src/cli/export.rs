//! `wlstm export`: a model for other programs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{Invocation, check_folder_of};
use super::context::trained;
use super::messages::note;
use crate::checkpoint::Which;
use crate::error::{Error, Result};
use crate::interchange::{ExportSource, native, onnx, pytorch};

/// Write a model for PyTorch or ONNX Runtime
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "pytorch: safetensors that torch.nn.Embedding (`embedding`), torch.nn.LSTM (`lstm`) and torch.nn.Linear \
    (`softmax`) load by name; for `lstmp` only.\n\
    onnx: a graph of one step, with words and states as inputs, log-probabilities and states as outputs.\n\
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
    /// Output file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Format of the file
    #[arg(long, value_enum, default_value_t = ExportFormat::Pytorch)]
    pub format: ExportFormat,
    /// Export the parameters after the last step, not their moving average
    #[arg(long)]
    pub last: bool,
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
}

/// Exports.
pub(super) fn run(arguments: &ExportArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let out = &arguments.out;
    check_place(out, trained.checkpoint.path())?;
    let source = ExportSource {
        checkpoint: &trained.checkpoint,
        config: &trained.config,
        vocabulary: &trained.vocabulary,
        last: arguments.last,
    };
    let replaced = out.exists();
    let mut files = vec![out.clone()];
    match arguments.format {
        ExportFormat::Native => native::export(&source, out)?,
        ExportFormat::Pytorch => pytorch::export(&source, out)?,
        ExportFormat::Onnx => files.extend(onnx::export(&source, out, onnx::MOST_INLINE)?),
    }
    let names: Vec<String> = files
        .iter()
        .map(|file| format!("`{}`", file.display()))
        .collect();
    let what = if replaced { "Replaced" } else { "Wrote" };
    note(quiet, &format!("{what} {}.", names.join(" and ")));
    Ok(())
}

/// Refuses a place that cannot be written to, or that is the checkpoint itself.
fn check_place(out: &Path, from: &Path) -> Result<()> {
    check_folder_of(out, "")?;
    let place = out.canonicalize().ok();
    if place.is_some() && place == from.canonicalize().ok() {
        return Err(Error::usage(format!(
            "`{}` is the checkpoint itself, and would be replaced",
            out.display()
        ))
        .help("choose another file with --out"));
    }
    Ok(())
}
