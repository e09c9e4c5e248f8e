//! The default folders of runs: `runs/NAME`, then `runs/NAME-2`, `runs/NAME-3`, ...

use std::path::{Path, PathBuf};

use super::layout::{has_run, run_of_config, runs_folder};
use crate::error::Result;
use crate::files;

/// Name of the runs of a configuration: that of its file, or that of the run folder if it is a run's resolved configuration.
pub fn run_name(config: &Path) -> String {
    let of_run = run_of_config(config)
        .and_then(|run| Some(run.canonicalize().ok()?.file_name()?.to_owned()));
    let name = of_run.or_else(|| Some(config.file_stem()?.to_owned()));
    name.map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Creates the folder after the last one that exists. Returns its path, and all folders that did not exist before, the innermost
/// first.
pub(super) fn create_next(base: &Path, name: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let runs = runs_folder(base);
    let mut created =
        files::create_folders(&runs).map_err(|error| files::cannot_create(&runs, error))?;
    let mut number = numbers(&runs, name)?.last().map_or(1, |last| last + 1);
    loop {
        let path = path_of(base, name, number);
        // Creating the folder also reserves its number, if another process starts at the same time.
        match std::fs::create_dir(&path) {
            Ok(()) => {
                created.insert(0, path.clone());
                return Ok((path, created));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                files::remove_empty(created.iter());
                return Err(files::cannot_create(&path, error));
            }
        }
    }
}

/// The last folder that contains a run.
pub(super) fn newest(base: &Path, name: &str) -> Result<Option<PathBuf>> {
    let runs = runs_folder(base);
    if !runs.is_dir() {
        return Ok(None);
    }
    let paths = numbers(&runs, name)?
        .into_iter()
        .map(|number| path_of(base, name, number));
    Ok(paths.rev().find(|path| has_run(path)))
}

fn path_of(base: &Path, name: &str, number: u64) -> PathBuf {
    runs_folder(base).join(if number == 1 {
        name.to_owned()
    } else {
        format!("{name}-{number}")
    })
}

/// The numbers of the folders that exist, ascending.
fn numbers(runs: &Path, name: &str) -> Result<Vec<u64>> {
    let number = |path: &PathBuf| -> Option<u64> {
        let rest = path.file_name()?.to_str()?.strip_prefix(name)?;
        if rest.is_empty() {
            return Some(1);
        }
        let number = rest.strip_prefix('-')?.parse().ok()?;
        // Only names that `path_of` gives: not `-02`.
        (rest == format!("-{number}") && (2..u64::MAX).contains(&number)).then_some(number)
    };
    let mut numbers: Vec<u64> = files::entries(runs)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
