//! Finds the run that a job resumes, and checks that the configurations agree.

use std::path::{Path, PathBuf};

use super::comparison::comparison_of;
use crate::checkpoint::{RunRecord, Which, checkpoints_in, config_path, find, has_run};
use crate::config::Config;
use crate::error::{Error, Result, command_line, quoted};
use crate::files;
use crate::train::cutoffs::keep_cutoffs;
use crate::train::saved::{SavedModel, has_earlier_words};

/// A run to resume.
pub(super) struct Resumed {
    pub folder: PathBuf,
    /// Its newest checkpoint. None if it ended before the first.
    pub checkpoint: Option<SavedModel>,
    /// What the user can do if the training text has changed.
    pub if_other_text: String,
    /// What the user can do if the validation text or the number of its targets has changed.
    pub if_other_measure: String,
}

impl Resumed {
    /// The run in a folder. `config` may differ from that of the run only in keys that may change. If it gives no cutoffs, it takes
    /// over those of the run.
    pub fn open(folder: &Path, config: &mut Config) -> Result<Resumed> {
        if let Some(comparison) = comparison_of(folder) {
            let place = quoted(&comparison.display().to_string());
            return Err(Error::usage(format!(
                "`{}` belongs to the comparison in `{}`, whose models all have the same budget",
                folder.display(),
                comparison.display()
            ))
            .help(format!(
                "resume the comparison with a larger budget:{}\n  or leave --resume out to train this model again",
                command_line(&format!("wlstm compare --resume --out {place}"))
            )));
        }
        let checkpoint = match find(folder, Which::Last) {
            Ok(found) => Some(open_newest(
                folder,
                &found.checkpoint,
                "start a new run in another folder with --out",
            )?),
            // A run that was killed before its first checkpoint starts again. If its record names a
            // checkpoint that is missing, that is an error.
            Err(error) if has_run(folder) => match RunRecord::read(folder)?.last {
                None => None,
                Some(last) => {
                    return Err(error.help(format!(
                        "restore `{}`, or start a new run in another folder with --out",
                        folder.join(&last.checkpoint).display()
                    )));
                }
            },
            Err(error) => return Err(error),
        };
        let before = match &checkpoint {
            Some(saved) => saved.config.clone(),
            None => {
                let path = config_path(folder);
                files::open_regular(&path).map_err(|error| {
                    Error::data(format!("cannot read `{}`", path.display()))
                        .because(error)
                        .help("choose another run with --out, or start a new one")
                })?;
                Config::load(&path, &[])?
            }
        };
        keep_cutoffs(config, &before);
        let command = format!("wlstm {}", resume_arguments(folder));
        check_same_run(folder, &before, config, &command)?;
        Ok(Resumed {
            folder: folder.to_path_buf(),
            checkpoint,
            if_other_text: format!(
                "restore the original text and resume:{}\n  or train on the new text, with the parameters and the vocabulary of this run:{}",
                command_line(&command),
                with_new_text(folder, &before)
            ),
            if_other_measure: format!(
                "resume with the original validation text:{}\n  to evaluate another text, use `wlstm eval`",
                command_line(&command)
            ),
        })
    }

    /// The run of a model of a comparison, if it has started. The comparison has checked its configuration.
    pub fn of_comparison(folder: &Path) -> Result<Option<Resumed>> {
        if !has_run(folder) {
            return Ok(None);
        }
        let checkpoint = match find(folder, Which::Last) {
            Ok(found) => Some(open_newest(
                folder,
                &found.checkpoint,
                IF_ONLY_OF_COMPARISON,
            )?),
            Err(_) => None,
        };
        let help = "restore the text, or start a new comparison without --resume".to_owned();
        Ok(Some(Resumed {
            folder: folder.to_path_buf(),
            checkpoint,
            if_other_text: help.clone(),
            if_other_measure: help,
        }))
    }
}

/// The help if the only checkpoint of a model of a comparison cannot be used.
pub(super) const IF_ONLY_OF_COMPARISON: &str = "remove it to train this model from the beginning";

/// Opens the newest checkpoint of a run. `if_only`: the help if it cannot be used and the run has no other checkpoint.
pub(super) fn open_newest(folder: &Path, newest: &Path, if_only: &str) -> Result<SavedModel> {
    SavedModel::open(newest).map_err(|error| {
        if has_earlier_words(newest) {
            return error;
        }
        let others = newest.parent().map_or(Ok(0), checkpoints_in);
        error.help(match others {
            Ok(0 | 1) => format!(
                "restore `{}` from a backup, because `{}` has no other checkpoint; or {if_only}",
                newest.display(),
                folder.display()
            ),
            _ => format!(
                "remove `{}` to resume from the checkpoint before it",
                newest.display()
            ),
        })
    })
}

/// The arguments of the program that resume a run with its own configuration, quoted for a shell.
pub fn resume_arguments(run: &Path) -> String {
    let config = quoted(&config_path(run).display().to_string());
    format!("train {config} --resume")
}

/// The commands that start a new run on the changed text, from the parameters and with the vocabulary of a run.
fn with_new_text(run: &Path, config: &Config) -> String {
    let place = quoted(&run.display().to_string());
    let start = format!(
        "wlstm train {} --init {place}",
        quoted(&config_path(run).display().to_string())
    );
    if config.data.vocab.is_some() {
        return command_line(&start);
    }
    // Otherwise the vocabulary would be built from the new text, and the rows of the tables would belong to other words.
    let words = quoted(&run.join("vocab.txt").display().to_string());
    command_line(&format!("wlstm vocab {place} --out {words}"))
        + &command_line(&format!(
            "{start} --set data.vocab={words} --set data.vocab_size=0"
        ))
}

/// Checks that a run can be resumed with this configuration.
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
        "resume with the original configuration:{}\n  or choose another run with --out, or start a new one with --init",
        command_line(command)
    )))
}
