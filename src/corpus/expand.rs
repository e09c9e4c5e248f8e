//! Expands file names, folders and patterns to lists of files.

use std::path::{Path, PathBuf};

use crate::config::is_pattern;
use crate::error::{Error, Result};
use crate::files;

/// A help text for a missing file: whether its folder exists.
fn missing_help(pattern: &Path) -> String {
    let folder = fixed_folder(pattern);
    let shown = folder.display();
    if folder.is_dir() {
        format!("the folder `{shown}` exists, but not the file: check its name")
    } else {
        format!("there is no folder `{shown}` either: check the path, or put the text there")
    }
}

/// The files that match names and patterns (`corpus/train/*`), in name order, without duplicates.
///
/// `*`, `?`, `[ab]` and `**` work as in a shell and do not match names that begin with a dot. A pattern matches files, not
/// folders. A name that exists is not treated as a pattern. A folder means the files in it, as `folder/*` does.
///
/// # Errors
///
/// If a file is missing, a pattern is malformed or matches nothing, a folder has no files or contains folders, so that it is
/// unclear which files are meant, or no name is given.
pub fn expand<P: AsRef<Path>>(patterns: &[P]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        let shown = pattern.display();
        let text = pattern.to_string_lossy();
        if pattern.is_dir() {
            paths.extend(files_in(pattern)?);
            continue;
        }
        if pattern.exists() {
            paths.push(pattern.to_owned());
            continue;
        }
        if !is_pattern(pattern) {
            return Err(
                Error::data(format!("there is no file `{shown}`")).help(missing_help(pattern))
            );
        }
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = glob::glob_with(&text, options).map_err(|error| {
            Error::data(format!("`{shown}` is not a pattern"))
                .because(error)
                .help("write `folder/*` for all files of a folder")
        })?;
        let before = paths.len();
        for path in matches {
            let path = path.map_err(|error| {
                Error::data(format!("cannot search for `{shown}`"))
                    .because(error)
                    .help("check the permissions of the folders")
            })?;
            if path.is_file() {
                paths.push(path);
            }
        }
        if paths.len() == before {
            return Err(
                Error::data(format!("no file matches `{shown}`")).help(missing_help(pattern))
            );
        }
    }
    if paths.is_empty() {
        return Err(Error::data("no corpus is named")
            .help("give at least one file or pattern, for example `corpus/train/*`"));
    }
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    paths.dedup();
    Ok(paths)
}

/// The files of a folder, without hidden ones.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let mut entries = files::entries(folder)?;
    entries.retain(|path| !hidden(path));
    let shown = folder.display();
    if let Some(inner) = entries.iter().find(|path| path.is_dir()) {
        return Err(
            Error::data(format!("`{shown}` is a folder that has folders in it")).help(format!(
                "give one of them, such as `{}`, or a pattern of files, such as `{shown}/*` or `{shown}/**/*`",
                inner.display()
            )),
        );
    }
    entries.retain(|path| path.is_file());
    if entries.is_empty() {
        return Err(
            Error::data(format!("there is no file in the folder `{shown}`"))
                .help("put the text there, or give another folder"),
        );
    }
    Ok(entries)
}

/// The folder before the first wildcard of a pattern, as an absolute path if possible.
fn fixed_folder(pattern: &Path) -> PathBuf {
    let plain = |part: &std::path::Component<'_>| !is_pattern(part);
    let parent = pattern.parent().unwrap_or(Path::new(""));
    let folder: PathBuf = parent.components().take_while(plain).collect();
    std::path::absolute(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    })
    .unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn patterns_give_files_in_name_order_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b.txt", "a.txt", ".hidden", "c[1].txt"] {
            fs::write(root.join(name), "x\n").unwrap();
        }
        fs::create_dir(root.join("sub")).unwrap();
        let names = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<_> = patterns.iter().map(|p| root.join(p)).collect();
            let paths = expand(&patterns).unwrap();
            let name = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().into_owned();
            paths.iter().map(name).collect()
        };
        assert_eq!(names(&["*"]), ["a.txt", "b.txt", "c[1].txt"]);
        assert_eq!(
            names(&["b.txt", "*", "a.txt"]),
            ["a.txt", "b.txt", "c[1].txt"]
        );
        assert_eq!(names(&["c[1].txt"]), ["c[1].txt"]);
        for (pattern, says) in [
            ("no.txt", "there is no file"),
            ("no/*", "no file matches"),
            ("a[", "is not a pattern"),
        ] {
            let error = expand(&[root.join(pattern)]).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.to_string().contains(pattern), "{error}");
        }
        let help = expand(&[root.join("no/*.txt")]).unwrap_err();
        assert!(help.chain().to_string().contains(root.to_str().unwrap()));
        assert!(expand::<&str>(&[]).is_err());
    }

    #[test]
    fn a_folder_stands_for_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let error = expand(&[root]).unwrap_err();
        assert!(error.to_string().contains("there is no file in"), "{error}");
        for name in ["b", "a", ".hidden"] {
            fs::write(root.join(name), name).unwrap();
        }
        assert_eq!(expand(&[root]).unwrap(), [root.join("a"), root.join("b")]);
        assert_eq!(expand(&[root]).unwrap(), expand(&[root.join("*")]).unwrap());
        fs::create_dir(root.join("inner")).unwrap();
        let error = expand(&[root]).unwrap_err();
        assert!(error.to_string().contains("has folders in it"), "{error}");
        assert!(error.chain().to_string().contains("inner`"));
    }
}
