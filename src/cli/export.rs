//! `wlstm export`: a model for other programs.

use std::path::Path;

use super::arguments::{Export, Format};
use super::context::{tell, trained};
use crate::checkpoint::Which;
use crate::error::{Error, Result};
use crate::interchange::{Source, native, onnx, pytorch};

/// Exports.
pub(super) fn run(arguments: &Export, quiet: bool) -> Result<()> {
    let trained = trained(&arguments.run, Which::Best, quiet)?;
    let out = &arguments.out;
    check_place(out, trained.checkpoint.path())?;
    let source = Source {
        checkpoint: &trained.checkpoint,
        config: &trained.config,
        vocabulary: &trained.vocabulary,
        last: arguments.last,
    };
    let replaced = out.exists();
    let mut files = vec![out.clone()];
    match arguments.format {
        Format::Native => native::export(&source, out)?,
        Format::Pytorch => pytorch::export(&source, out)?,
        Format::Onnx => files.extend(onnx::export(&source, out, onnx::INSIDE)?),
    }
    let names: Vec<String> = files
        .iter()
        .map(|file| format!("`{}`", file.display()))
        .collect();
    let what = if replaced { "Replaced" } else { "Wrote" };
    tell(quiet, &format!("{what} {}.", names.join(" and ")));
    Ok(())
}

/// Refuses a place that cannot be written to, or that is the checkpoint itself.
fn check_place(out: &Path, from: &Path) -> Result<()> {
    super::has_folder(out, "")?;
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
