//! What names, folders and patterns stand for.

use std::path::{Path, PathBuf};

use crate::config::is_pattern;
use crate::error::{Error, Result};
use crate::files;

/// What is to be seen where a file is not.
fn what_is_there(pattern: &Path) -> String {
    let folder = folder_of(pattern);
    let shown = folder.display();
    match folder.is_dir() {
        true => format!("the folder `{shown}` is there, but not the file: check its name"),
        false => {
            format!("there is no folder `{shown}` either: check the path, or bring the text there")
        }
    }
}

/// The files that names and patterns (`corpus/train/*`) stand for, in name order, each once.
///
/// `*`, `?`, `[ab]` and `**` work as in a shell: they match no names that begin with a dot. A pattern stands for files only,
/// not for folders. A name that exists is taken as it is; that of a folder stands for the files in it, as `folder/*` does.
///
/// # Errors
///
/// If a file is missing, a pattern is malformed or matches nothing, a folder has no file or has folders too, so that it is not
/// plain which files are meant, or there is no name at all.
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
                Error::data(format!("there is no file `{shown}`")).help(what_is_there(pattern))
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
                    .help("check the rights of the folders")
            })?;
            if path.is_file() {
                paths.push(path);
            }
        }
        if paths.len() == before {
            return Err(
                Error::data(format!("no file matches `{shown}`")).help(what_is_there(pattern))
            );
        }
    }
    if paths.is_empty() {
        return Err(Error::data("no corpus is named")
            .help("name at least one file or pattern, as `corpus/train/*`"));
    }
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    paths.dedup();
    Ok(paths)
}

/// The files of a folder that is named as a whole.
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
                "name one of them, as `{}`, or files by a pattern, as `{shown}/*` or `{shown}/**/*`",
                inner.display()
            )),
        );
    }
    entries.retain(|path| path.is_file());
    if entries.is_empty() {
        return Err(
            Error::data(format!("there is no file in the folder `{shown}`"))
                .help("bring the text there, or name another folder"),
        );
    }
    Ok(entries)
}

/// The folder in which a pattern is searched, as a whole path where that can be said.
fn folder_of(pattern: &Path) -> PathBuf {
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
