//! Parses the texts that have no token file yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::prelude::*;

use super::store::Store;
use super::token_file::{Key, TokenFile};
use super::token_writer::{Failure, NewFile};
use crate::corpus::files::Corpus;
use crate::corpus::vocabulary::Vocabulary;
use crate::error::{Error, Result};

/// Number of files that are parsed at the same time: while one is flushed to the disk, all cores parse the other.
const PARALLEL_FILES: usize = 2;

/// Logs that tokens are not cached, and why.
pub(super) fn warn_uncached(error: &Error) {
    tracing::warn!(
        "the tokens of the text are not cached, so the text is parsed as it is read: {}",
        error.chain()
    );
}

/// The token files that a corpus needs.
pub(super) struct Build<'a> {
    pub(super) store: &'a Store,
    pub(super) corpus: &'a Corpus,
    pub(super) vocabulary: &'a Vocabulary,
    /// One key for each file of the corpus.
    pub(super) keys: &'a [Key],
    /// Receives the bytes parsed so far and the bytes to parse, from any thread.
    pub(super) watch: &'a (dyn Fn(u64, u64) + Sync),
}

impl Build<'_> {
    /// Finds or writes the token files of all keys. `None` for those that cannot be written.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8. Of several bad files, the first one is reported.
    pub(super) fn all(&self) -> Result<Vec<Option<TokenFile>>> {
        let mut found: Vec<Option<TokenFile>> = self
            .keys
            .par_iter()
            .map(|key| self.store.find(key))
            .collect();
        // An empty text needs no tokens.
        let missing = |file: &usize| found[*file].is_none() && !self.corpus.text(*file).is_empty();
        let mut missing: Vec<usize> = (0..self.keys.len()).filter(missing).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        // Processes that start together begin with different files, and find those that others have written.
        let first = std::process::id() as usize % missing.len();
        missing.rotate_left(first);

        let results = self.build(&missing);
        let mut warned = false;
        for (file, result) in results {
            match result {
                Ok(tokens) => found[file] = tokens,
                Err(Failure::Text(error)) => return Err(error),
                Err(Failure::Disk(error)) => {
                    if !warned {
                        warn_uncached(&error);
                    }
                    warned = true;
                }
            }
        }
        Ok(found)
    }

    /// Writes the token files of these files of text. The results are in file order. After a failure, later files are
    /// skipped.
    fn build(&self, files: &[usize]) -> BTreeMap<usize, Result<Option<TokenFile>, Failure>> {
        let bytes = |file: &usize| self.corpus.text(*file).len() as u64;
        let total: u64 = files.iter().map(bytes).sum();
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let first_failed = AtomicUsize::new(usize::MAX);
        (self.watch)(0, total);
        let watch = |bytes: usize| {
            let before = done.fetch_add(bytes as u64, Ordering::Relaxed);
            (self.watch)(before + bytes as u64, total);
        };
        let results = Mutex::new(BTreeMap::new());
        let work = || {
            while let Some(&file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if file > first_failed.load(Ordering::Relaxed) {
                    continue;
                }
                let result = self.find_or_write(file, &watch);
                if result.is_err() {
                    first_failed.fetch_min(file, Ordering::Relaxed);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.insert(file, result);
            }
        };
        thread::scope(|scope| {
            for _ in 1..PARALLEL_FILES.min(files.len()) {
                let thread = thread::Builder::new().name("tokens".to_owned());
                if let Err(error) = thread.spawn_scoped(scope, work) {
                    tracing::debug!(%error, "one file at a time");
                }
            }
            work();
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token file of one file of text.
    fn find_or_write(
        &self,
        file: usize,
        watch: &(dyn Fn(usize) + Sync),
    ) -> Result<Option<TokenFile>, Failure> {
        let key = &self.keys[file];
        // Another process may have written it in the meantime.
        if let Some(found) = self.store.find(key) {
            watch(self.corpus.text(file).len());
            return Ok(Some(found));
        }
        let path = self.store.path(key);
        let new = NewFile {
            path: &path,
            key,
            corpus: self.corpus,
            file,
            vocabulary: self.vocabulary,
            watch,
        };
        let written = new.write();
        // Some systems cannot replace a file that another process has mapped. Then the file is there already.
        match (self.store.find(key), written) {
            (Some(found), _) => Ok(Some(found)),
            (None, written) => written.map(|()| None),
        }
    }
}
