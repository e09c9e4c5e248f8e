//! The open token files of a corpus, and their protection from eviction.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::token_file::{Key, TokenFile};
use crate::corpus::pages::PageBudget;
use crate::files;

/// How the names of the lists of files in use begin.
const LIST_PREFIX: &str = "use-";

/// The token files of a corpus.
#[derive(Debug)]
pub(in crate::corpus) struct CachedTokens {
    folder: PathBuf,
    files: Vec<Option<TokenFile>>,
    pages: PageBudget,
    _in_use: Option<InUse>,
}

impl CachedTokens {
    /// Token files in `folder`, one for each file of the corpus that has one.
    pub(super) fn new(
        folder: &Path,
        files: Vec<Option<TokenFile>>,
        in_use: Option<InUse>,
    ) -> CachedTokens {
        CachedTokens {
            folder: folder.to_owned(),
            files,
            pages: PageBudget::default(),
            _in_use: in_use,
        }
    }

    /// The token file of file `file` of the corpus, if there is one.
    #[inline]
    pub(in crate::corpus) fn file(&self, file: usize) -> Option<&TokenFile> {
        self.files[file].as_ref()
    }

    /// The folder of the cache.
    pub(in crate::corpus) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Records a read of about this many bytes; see [`PageBudget`].
    pub(in crate::corpus) fn note_read(&self, bytes: usize) {
        let maps = self.files.iter().flatten().filter_map(TokenFile::map);
        self.pages.note_read(bytes, maps);
    }

    /// Records a read of a few bytes at a random offset of a file.
    pub(in crate::corpus) fn note_random_read(&self, file: usize) {
        let length = self.file(file).map_or(0, TokenFile::bytes);
        let maps = self.files.iter().flatten().filter_map(TokenFile::map);
        self.pages.note_random_read(length, maps);
    }
}

/// A list of the token files that this process uses, locked until this value is dropped. Dropping it removes the
/// list.
#[derive(Debug)]
pub(super) struct InUse {
    _list: NamedTempFile,
}

impl InUse {
    /// Writes and locks the list of these files.
    ///
    /// `None` if it cannot be written. Then another process may evict the files: this process keeps its maps, and the next
    /// one parses the text again.
    pub(super) fn begin(folder: &Path, keys: &[Key]) -> Option<InUse> {
        let names: Vec<String> = keys.iter().map(Key::name).collect();
        let list = || {
            let mut list = tempfile::Builder::new()
                .prefix(LIST_PREFIX)
                .tempfile_in(folder)?;
            list.write_all(names.join("\n").as_bytes())?;
            list.as_file().lock_shared()?;
            Ok::<_, std::io::Error>(InUse { _list: list })
        };
        list()
            .inspect_err(|error| tracing::debug!(%error, "cannot list the files in use"))
            .ok()
    }
}

/// Names of the token files that any process uses. Removes the lists of processes that have ended.
pub(super) fn names_in_use(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files::entries(folder).unwrap_or_default() {
        let is_list = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(LIST_PREFIX.as_bytes()));
        let Some(file) = is_list.then(|| File::open(&path).ok()).flatten() else {
            continue;
        };
        // A new list may not be locked yet.
        let age = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let is_old = age.is_some_and(|age| age > Duration::from_secs(10));
        match file.try_lock() {
            Ok(()) if is_old => {
                drop(file);
                let _ = fs::remove_file(&path);
            }
            Ok(()) | Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {
                let _ = file.unlock();
                let text = fs::read_to_string(&path).unwrap_or_default();
                names.extend(text.lines().map(str::to_owned));
            }
        }
    }
    names
}
