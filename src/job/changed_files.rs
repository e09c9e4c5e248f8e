//! Names the files of the texts of a run that have changed since its last checkpoint.

use std::fs;
use std::path::Path;

use super::text::Texts;
use crate::corpus::Corpus;
use crate::train::progress::FileSize;

/// Checkpoints name the files of the texts only if there are not more than this.
const RECORDED: usize = 500;

/// The number of files that a message names.
const NAMED: usize = 3;

/// The names and sizes of all files of the texts, for checkpoints. Empty if there are too many.
pub(super) fn file_sizes(texts: &Texts) -> Vec<FileSize> {
    let sizes: Vec<FileSize> = sources(texts)
        .map(|(path, bytes)| FileSize {
            name: name_of(path),
            bytes,
        })
        .collect();
    if sizes.len() <= RECORDED {
        sizes
    } else {
        Vec::new()
    }
}

/// The files of the texts that are new, missing or of another size than `before`. If there are none, those that were modified
/// after the checkpoint. `None` if there are none of these either.
pub(super) fn changed_files(
    texts: &Texts,
    before: &[FileSize],
    checkpoint: &Path,
) -> Option<String> {
    let mut changed = by_size(texts, before);
    if changed.is_empty() {
        changed = by_time(texts, checkpoint);
    }
    let more = match changed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    changed.truncate(NAMED);
    (!changed.is_empty()).then(|| changed.join(", ") + &more)
}

fn by_size(texts: &Texts, before: &[FileSize]) -> Vec<String> {
    // An old version has recorded none, or there are too many files.
    if before.is_empty() || sources(texts).count() > RECORDED {
        return Vec::new();
    }
    let mut gone = before.to_vec();
    // Files are told apart by name and size: the folder of the texts may have moved.
    let mut others: Vec<(&Path, u64)> = Vec::new();
    for (path, bytes) in sources(texts) {
        let is_same = |file: &FileSize| file.name == name_of(path) && file.bytes == bytes;
        match gone.iter().position(is_same) {
            Some(at) => drop(gone.swap_remove(at)),
            None => others.push((path, bytes)),
        }
    }
    let mut changed = Vec::new();
    for (path, bytes) in others {
        let place = path.display();
        let same_name = |file: &FileSize| file.name == name_of(path);
        changed.push(match gone.iter().position(same_name) {
            Some(at) => {
                let had = gone.swap_remove(at).bytes;
                format!("`{place}` has {bytes} bytes and had {had}")
            }
            None => format!("`{place}` is new"),
        });
    }
    changed.extend(
        gone.iter()
            .map(|file| format!("`{}` is missing", file.name)),
    );
    changed
}

fn by_time(texts: &Texts, checkpoint: &Path) -> Vec<String> {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(saved) = modified(checkpoint) else {
        return Vec::new();
    };
    let newer = sources(texts).filter(|(path, _)| modified(path).is_some_and(|time| time > saved));
    newer
        .map(|(path, _)| format!("`{}`", path.display()))
        .collect()
}

/// The files of both texts.
fn sources(texts: &Texts) -> impl Iterator<Item = (&Path, u64)> {
    let train = texts.train.corpus().sources();
    let valid = texts.valid.as_ref().map(|text| text.corpus());
    let valid = valid.map_or(&[][..], Corpus::sources);
    // With `data.valid_share`, both are parts of the same files.
    let valid = if valid == train { &[][..] } else { valid };
    train
        .iter()
        .chain(valid)
        .map(|source| (source.path.as_path(), source.bytes))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
