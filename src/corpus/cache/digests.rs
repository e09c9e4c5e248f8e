//! `digests.json` in the cache folder: the digests of texts by path and stamp, so that unchanged texts are not read again.
//!
//! If several processes write it, the last one wins. A lost entry only means that a text is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::corpus::files::Corpus;
use crate::files;

const FILE: &str = "digests.json";

/// Number of entries above which those of other corpora are dropped.
const LIMIT: usize = 20_000;

/// Digests of texts by path.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Digests(BTreeMap<String, Entry>);

/// The digest of a text at the time when its file had this stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stamp: String,
    digest: u64,
}

/// Gives a corpus the digests that are stored for its files.
pub(super) fn recall(corpus: &Corpus, folder: &Path) {
    let digests = Digests::read(folder);
    for file in 0..corpus.files() {
        if let Some(entry) = digests.0.get(&key(corpus, file)) {
            corpus.remember(file, &entry.stamp, entry.digest);
        }
    }
}

/// Stores the digests of the files of a corpus.
pub(super) fn store(corpus: &Corpus, folder: &Path) {
    let mut digests = Digests::read(folder);
    let mut changed = false;
    let mut ours = BTreeSet::new();
    for file in 0..corpus.files() {
        let Some(stamp) = corpus.stamp(file) else {
            continue;
        };
        let entry = Entry {
            stamp: stamp.to_owned(),
            digest: corpus.file_digest(file),
        };
        let key = key(corpus, file);
        ours.insert(key.clone());
        changed |= digests.0.insert(key, entry.clone()) != Some(entry);
    }
    if !changed {
        return;
    }
    if digests.0.len() > LIMIT {
        digests.0.retain(|key, _| ours.contains(key));
    }
    digests.write(folder);
}

impl Digests {
    /// The stored digests. None if the file cannot be read.
    fn read(folder: &Path) -> Digests {
        let bytes = fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(&self, folder: &Path) {
        let path = folder.join(FILE);
        let written = files::write_atomically(&path, |out| {
            serde_json::to_vec(self)
                .map_err(std::io::Error::from)
                .and_then(|text| out.write_all(&text))
                .map_err(|error| files::cannot_write(&path, error))
        });
        if let Err(error) = written {
            tracing::debug!("{}", error.chain());
        }
    }
}

/// The key of a file of text: its canonical path.
fn key(corpus: &Corpus, file: usize) -> String {
    let path = corpus.path(file);
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.to_string_lossy().into_owned()
}
