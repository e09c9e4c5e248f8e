//! The files of a cache folder: found by key, and evicted when there are too many.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::cached_tokens::names_in_use;
use super::token_file::{EXTENSION, Key, TokenFile};
use crate::files;

/// A partial file is abandoned if nobody has written to it for this long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A cache folder.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) folder: PathBuf,
    /// Whether all bytes of a token file are checked when it is opened.
    pub(super) verify: bool,
    /// Whether token files are copied into memory when they are opened, instead of mapped.
    pub(super) copied: bool,
}

impl Store {
    /// Path of the token file of a key.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.name())
    }

    /// The token file of a key, if there is a valid one. Marks it as used now.
    pub(super) fn find(&self, key: &Key) -> Option<TokenFile> {
        let path = self.path(key);
        let found = TokenFile::open(&path, key, self.copied).and_then(|found| match found {
            Some(file) if self.verify && !file.is_intact() => {
                Err("its content does not match its checksum".to_owned())
            }
            found => Ok(found),
        });
        match found {
            Ok(found) => {
                let file = found?;
                // The least recently used files are evicted first. If the time cannot be set, this file is evicted earlier.
                let used = File::options().append(true).open(&path);
                let _ = used.and_then(|file| file.set_modified(SystemTime::now()));
                Some(file)
            }
            Err(what) => {
                tracing::warn!(
                    "the cached tokens in `{}` are damaged ({what}): they are built again from the text",
                    path.display()
                );
                // The next search does not report it again.
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Removes abandoned partial files, and the least recently used token files until the folder is within `limit` bytes.
    /// Files in use stay. Failures are logged and left to the next run.
    pub(super) fn evict(&self, limit: u64) {
        if let Err(error) = files::sweep_older(&self.folder, ABANDONED) {
            tracing::debug!("{}", error.chain());
        }
        let mut total = 0;
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in files::entries(&self.folder).unwrap_or_default() {
            let is_token_file = path.extension().is_some_and(|end| end == EXTENSION);
            if let Some(metadata) = path.metadata().ok().filter(|_| is_token_file)
                && let Ok(used) = metadata.modified()
            {
                total += metadata.len();
                found.push((used, metadata.len(), path));
            }
        }
        let in_use = names_in_use(&self.folder);
        found.sort();
        for (_, bytes, path) in found {
            if total <= limit {
                break;
            }
            let name = path.file_name().map(|name| name.to_string_lossy());
            if name.is_some_and(|name| in_use.contains(&*name)) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => total -= bytes,
                Err(error) => tracing::debug!(%error, "cannot remove `{}`", path.display()),
            }
        }
    }
}
