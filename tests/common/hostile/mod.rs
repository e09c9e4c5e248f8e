//! Reads untrusted bytes, as the library reads files from users and other sources. A function panics only if the library has a
//! bug.
//!
//! The fuzzers in `tests/fuzz` call these functions, and `tests/library/fuzzers.rs` calls them with the inputs in
//! `tests/fuzz/corpus`.

pub mod checkpoint;
pub mod configuration;
pub mod corpus;
pub mod metrics;
pub mod mutate;
pub mod token_file;
pub mod tokenizer;
pub mod vocabulary;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;
use wlstm::error::{Error, Kind};

/// A reader of hostile bytes.
pub type Reader = fn(&[u8]);

/// Every reader, with the name of its fuzzer and of the folder of its inputs.
pub const READERS: [(&str, Reader); 7] = [
    ("checkpoint", checkpoint::read),
    ("configuration", configuration::read),
    ("corpus", corpus::read),
    ("metrics", metrics::read),
    ("token_file", token_file::read),
    ("tokenizer", tokenizer::read),
    ("vocabulary", vocabulary::read),
];

/// A folder of this process, for files that the library opens by path.
fn scratch() -> &'static Path {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    FOLDER.path()
}

/// A file in the folder [`scratch`].
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Checks that an error is of one of these kinds, and that its text is short and ends in help.
fn explained(error: &Error, kinds: &[Kind]) {
    let text = error.chain().to_string();
    assert!(kinds.contains(&error.kind()), "{:?}: {text}", error.kind());
    assert!(text.len() < 20_000, "an error of {} bytes", text.len());
    assert!(text.contains("help: "), "no advice: {text}");
}

/// The value. Checks an error, and returns `None` for it.
fn accepted<T: Debug>(result: wlstm::error::Result<T>, kinds: &[Kind]) -> Option<T> {
    result.map_err(|error| explained(&error, kinds)).ok()
}

/// Splits off the first byte, which selects a setting.
fn choice(bytes: &[u8]) -> (usize, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(first, rest)| (usize::from(*first), rest))
}
