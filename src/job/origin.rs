//! Where a configuration comes from.

use std::path::{Path, PathBuf};

use crate::checkpoint::run_of_config;

/// Where a configuration comes from: for the name of the run, and for messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The file, if it comes from one.
    pub file: Option<PathBuf>,
    /// The overrides, as `KEY=VALUE`.
    pub overrides: Vec<String>,
}

impl Origin {
    /// What the user can do if a text of `key` does not exist.
    pub fn missing_text(&self, key: &str) -> Option<String> {
        missing_text(key, self.file.as_deref()?, &self.overrides)
    }
}

/// The key of an override, `KEY=VALUE`.
pub fn key_of(set: &str) -> &str {
    set.split_once('=').map_or(set, |(key, _)| key).trim()
}

/// What the user can do if a text of `key` does not exist. The text is named in the file `config` or in an override.
pub(super) fn missing_text(key: &str, config: &Path, overrides: &[String]) -> Option<String> {
    let given = overrides.iter().rev().find(|set| key_of(set) == key);
    let value = given.and_then(|set| Some(set.split_once('=')?.1.trim()));
    match value {
        // Only relative paths are searched for in several folders.
        Some(value) if Path::new(value).is_absolute() => None,
        Some(_) => Some(format!(
            "`--set {key}` names it, but it is neither in the folder of the configuration nor in the current folder, `{}`",
            std::env::current_dir().unwrap_or_default().display()
        )),
        None if run_of_config(config).is_some() => Some(format!(
            "the run was started with it: restore the file, or give its new path with --set {key}=FILE"
        )),
        None => Some(format!(
            "`{key}` in `{}` names it: put the text there (comments in that file say where to get it), or give another file with --set {key}=FILE, relative to the folder of the configuration or to the current folder",
            config.display()
        )),
    }
}
