//! Which run a job continues, and whether it is the same run.

use std::path::{Path, PathBuf};

use super::comparison::comparison_of;
use super::trained::saved_config;
use crate::checkpoint::{Checkpoint, RunRecord, Which, find, has_run};
use crate::config::Config;
use crate::error::{Error, Result, quoted};

/// A run that goes on.
pub(super) struct Resumed {
    pub folder: PathBuf,
    /// Its newest checkpoint. None if it was stopped before the first.
    pub checkpoint: Option<Checkpoint>,
    /// What to do if the training text has changed.
    pub if_other_text: String,
    /// What to do if the validation text or its extent has changed.
    pub if_other_measure: String,
}

impl Resumed {
    /// The run in a folder. `config` must be like its own; `program` is the name of the program in messages.
    pub fn open(folder: &Path, config: &Config, program: &str) -> Result<Resumed> {
        if let Some(comparison) = comparison_of(folder) {
            let place = quoted(&comparison.display().to_string());
            return Err(Error::usage(format!(
                "`{}` is a run of the comparison in `{}`, whose models are trained alike",
                folder.display(),
                comparison.display()
            ))
            .help(format!(
                "go on with all of them (`{program} compare --resume --out {place}`, with a larger budget), or train this model anew: leave \
                 --resume out"
            )));
        }
        let checkpoint = match find(folder, Which::Last) {
            Ok(found) => Some(Checkpoint::open(&found.checkpoint).map_err(|error| {
                error.help(format!(
                    "remove `{}` to go on from the checkpoint before it",
                    found.checkpoint.display()
                ))
            })?),
            // A run that was killed before its first checkpoint begins again; one that has lost its checkpoints does not.
            Err(_) if has_run(folder) && RunRecord::read(folder)?.last.is_none() => None,
            Err(error) => return Err(error),
        };
        let before = match &checkpoint {
            Some(checkpoint) => saved_config(checkpoint)?,
            None => Config::load(&folder.join("config.toml"), &[])?,
        };
        let command = resumption(folder, program);
        check_same_run(folder, &before, config, &command)?;
        Ok(Resumed {
            folder: folder.to_path_buf(),
            checkpoint,
            if_other_text: format!(
                "with the text that it was begun with the run goes on by `{command}`; if that text was changed, put it back as it was, or \
                 start a new run from the parameters of this one, with --init {}",
                quoted(&folder.display().to_string())
            ),
            if_other_measure: format!(
                "as it was begun it goes on with `{command}`; another text is measured by `wlstm eval`"
            ),
        })
    }

    /// The run of a model of a comparison, if it has begun. The comparison knows its configuration.
    pub fn of_comparison(folder: &Path) -> Result<Option<Resumed>> {
        if !has_run(folder) {
            return Ok(None);
        }
        let checkpoint = match find(folder, Which::Last) {
            Ok(found) => Some(Checkpoint::open(&found.checkpoint)?),
            Err(_) => None,
        };
        let help = "put the text back, or begin a new comparison without --resume".to_owned();
        Ok(Some(Resumed {
            folder: folder.to_path_buf(),
            checkpoint,
            if_other_text: help.clone(),
            if_other_measure: help,
        }))
    }
}

/// The command that continues a run as it was begun.
fn resumption(run: &Path, program: &str) -> String {
    let run = quoted(&run.display().to_string());
    format!("{program} train {run}/config.toml --resume")
}

/// Checks that a run can go on with this configuration.
fn check_same_run(folder: &Path, before: &Config, now: &Config, command: &str) -> Result<()> {
    let conflicts = now.resume_conflicts(before);
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "this is not the configuration of the run in `{}`: {}",
        folder.display(),
        conflicts.join("; ")
    ))
    .help(format!(
        "as it was begun it goes on with `{command}`; name another run with --out, or start a new one from its checkpoint with --init"
    )))
}
