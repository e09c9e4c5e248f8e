//! What `train --resume` goes on with, and whether it is the same run.

use std::path::{Path, PathBuf};

use super::compare::comparison_of;
use super::context::{saved_config, vocabulary_file};
use super::next::{program, resumption};
use super::train::TrainArgs;
use crate::checkpoint::{
    Checkpoint, RunFolder, RunRecord, Which, find, has_run, run_name, run_of_config,
};
use crate::config::Config;
use crate::corpus::Vocabulary;
use crate::error::{Error, Result, quoted};

/// The run that `--resume` goes on with.
pub(super) struct Resumed {
    pub folder: PathBuf,
    /// Its newest checkpoint; nothing if it was stopped before the first.
    pub checkpoint: Option<Checkpoint>,
}

impl Resumed {
    /// That of `--out`, else that in the folder of the configuration, else the newest of the configuration; `config` must be like its
    /// own.
    pub fn find(arguments: &TrainArgs, base: &Path, config: &Config) -> Result<Resumed> {
        let folder = match &arguments.out {
            Some(out) => Some(out.clone()),
            None => match run_of_config(&arguments.config) {
                Some(run) => Some(run),
                None => RunFolder::newest_numbered(base, &arguments.config)?,
            },
        };
        let folder = folder.ok_or_else(|| {
            Error::data(format!(
                "there is no run of `{}` to resume",
                run_name(&arguments.config)
            ))
            .help("name the folder of the run with --out, or leave --resume out")
        })?;
        if let Some(comparison) = comparison_of(&folder) {
            let place = quoted(&comparison.display().to_string());
            return Err(Error::usage(format!(
                "`{}` is a run of the comparison in `{}`, whose models are trained alike",
                folder.display(),
                comparison.display()
            ))
            .help(format!(
                "go on with all of them (`{} compare --resume --out {place}`, with a larger budget), or train this model anew: leave \
                 --resume out",
                program()
            )));
        }
        let checkpoint = match find(&folder, Which::Last) {
            Ok(found) => Checkpoint::open(&found.checkpoint).map_err(|error| {
                error.help(format!(
                    "remove `{}` to go on from the checkpoint before it",
                    found.checkpoint.display()
                ))
            })?,
            // A run that was killed before its first checkpoint begins again; one that has lost its checkpoints does not.
            Err(_) if has_run(&folder) && !has_saved(&folder)? => {
                same_run(
                    &folder,
                    &Config::load(&folder.join("config.toml"), &[])?,
                    config,
                )?;
                return Ok(Resumed {
                    folder,
                    checkpoint: None,
                });
            }
            Err(error) => return Err(error),
        };
        same_run(&folder, &saved_config(&checkpoint)?, config)?;
        Ok(Resumed {
            folder,
            checkpoint: Some(checkpoint),
        })
    }

    /// What to do where the training text is another.
    pub fn other_text(&self) -> String {
        format!(
            "with the text that it was begun with the run goes on by `{}`; if that text was changed, put it back as it was, or start a \
             new run from the parameters of this one, with --init {}",
            resumption(&self.folder),
            quoted(&self.folder.display().to_string())
        )
    }

    /// What to do where validations would be of another text, or of more of it.
    pub fn other_measure(&self) -> String {
        format!(
            "as it was begun it goes on with `{}`; another text is measured by `wlstm eval`",
            resumption(&self.folder)
        )
    }
}

/// Whether the record of a run knows of a checkpoint.
fn has_saved(folder: &Path) -> Result<bool> {
    Ok(RunRecord::read(folder)?.last.is_some())
}

/// Checks that a run can go on with this configuration.
fn same_run(folder: &Path, before: &Config, now: &Config) -> Result<()> {
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
        "as it was begun it goes on with `{}`; name another run with --out, or start a new one from its checkpoint with --init",
        resumption(folder)
    )))
}

/// Checks that the vocabulary file, if it is there, still has the words of the run, which are in its checkpoint.
pub(super) fn same_words(config: &Config, words: &Vocabulary) -> Result<()> {
    match &config.data.vocab {
        Some(path) if path.exists() && !vocabulary_file(config, path)?.same_words(words) => {
            Err(Error::data(format!(
                "`{}` does not have the words of the run",
                path.display()
            ))
            .help("resume with the vocabulary of the run, or without `data.vocab`: its words are in its checkpoint"))
        }
        _ => Ok(()),
    }
}
