//! Paths of a configuration: relative to its folder in the file, absolute in the resolved configuration.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;

/// The absolute folder of a file that exists.
pub fn folder_of(file: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(files::folder_of(file)).map_err(|error| {
        Error::usage(format!("cannot find the folder of `{}`", file.display()))
            .because(error)
            .help(
                "change to a folder that exists, and give the path of the configuration from there",
            )
    })
}

/// Makes a folder absolute, relative to the working directory. An empty path is the working directory.
pub fn absolute(folder: &Path) -> Result<PathBuf> {
    let named = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    std::path::absolute(named).map_err(|error| {
        Error::usage(format!("cannot find the folder `{}`", named.display()))
            .because(error)
            .help("change to a folder that exists, or give an absolute path")
    })
}

/// Makes a path or pattern absolute, relative to `folder`. `~/` is the home folder. A path of an override that does not exist
/// in `folder` is relative to the working directory if it exists there.
///
/// `folder` is absolute. Each leading `..` removes one component of it, so it should have no symbolic links.
pub fn resolve(folder: &Path, path: &str, is_override: bool) -> PathBuf {
    if let Some(path) = in_home(path) {
        return path;
    }
    let there = join(folder, path);
    if is_override
        && !exists(&there)
        && let Ok(current) = std::env::current_dir()
        && let here = join(&current, path)
        && exists(&here)
    {
        return here;
    }
    there
}

/// Expands a path that is `~` or begins with `~/`. Shells expand these only at the start of an argument.
fn in_home(path: &str) -> Option<PathBuf> {
    let rest = path.strip_prefix('~')?;
    let home = dirs::home_dir()?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(join(&home, rest)),
        None => rest.is_empty().then_some(home),
    }
}

fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_path_buf();
    let mut leading = true;
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            // The component before a `..` in `folder` is not the one that it names.
            Component::ParentDir if leading && !joined.ends_with("..") => {
                joined.pop();
            }
            component => {
                leading = false;
                joined.push(component);
            }
        }
    }
    joined
}

/// Whether a path is a pattern: it has a wildcard.
pub fn is_pattern(path: impl AsRef<Path>) -> bool {
    let text = path.as_ref().to_string_lossy();
    text.contains(['*', '?', '['])
}

/// Whether a path exists, or for a pattern the folder before its first wildcard.
fn exists(path: &Path) -> bool {
    path.exists() || {
        let fixed: PathBuf = path
            .components()
            .take_while(|component| !is_pattern(component))
            .collect();
        fixed.components().count() < path.components().count() && fixed.is_dir()
    }
}
