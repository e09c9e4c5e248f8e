//! Texts, and the corpus with a cache of its tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, Corpus, Order, Position, Text, TokenCache, TokenKind, Vocabulary,
    VocabularyBuilder,
};
use wlstm::error::Result;

pub const KINDS: [TokenKind; 3] = [
    TokenKind::Whitespace,
    TokenKind::Words,
    TokenKind::Characters,
];

/// Text files and a cache folder.
pub struct TestCorpus {
    pub folder: tempfile::TempDir,
}

impl TestCorpus {
    pub fn new(files: &[impl AsRef<[u8]>]) -> TestCorpus {
        let test = TestCorpus {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(test.folder.path().join("text")).unwrap();
        for (k, file) in files.iter().enumerate() {
            test.write(k, file);
        }
        test
    }

    pub fn write(&self, file: usize, bytes: impl AsRef<[u8]>) {
        let name = format!("text/part-{file:02}");
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    pub fn corpus(&self) -> Arc<Corpus> {
        Arc::new(Corpus::open(&[self.folder.path().join("text")]).unwrap())
    }

    pub fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    pub fn cache(&self) -> TokenCache {
        TokenCache::in_folder(self.tokens()).min_bytes(0)
    }

    pub fn words(&self, order: Order, kind: TokenKind) -> Option<Arc<Vocabulary>> {
        // With a minimum count, so that there are unknown words.
        let builder = VocabularyBuilder::new(order, kind).min_count(2);
        builder.build(&self.corpus()).ok().map(Arc::new)
    }

    /// Names in the cache folder with this ending.
    pub fn names(&self, end: &str) -> Vec<String> {
        let names = fs::read_dir(self.tokens()).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(end))
            .collect();
        names.sort();
        names
    }
}

/// Opens a text. Returns how many bytes of it were parsed.
pub fn open(cache: &TokenCache, corpus: Arc<Corpus>, words: &Arc<Vocabulary>) -> (Text, u64) {
    let parsed = AtomicU64::new(0);
    let kind = TokenKind::Whitespace;
    let text = cache.open(corpus, words.clone(), kind, &|done, _| {
        parsed.fetch_max(done, Ordering::SeqCst);
    });
    (text.unwrap(), parsed.into_inner())
}

pub fn options(batch: usize, unroll: usize, epochs: u64) -> BatchOptions {
    BatchOptions {
        batch,
        unroll,
        shuffle: true,
        seed: 3,
        epochs,
    }
}

pub fn all(batches: Result<Batches>) -> Result<Vec<Batch>> {
    batches?.collect()
}

pub fn round_trip(position: &Position) -> Position {
    serde_json::from_str(&serde_json::to_string(position).unwrap()).unwrap()
}

/// One to four files of up to sixty lines, with blank lines, spaces around words, marks in the text, both kinds of line ends, and
/// maybe no line feed at the end.
pub fn files() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "a", "b", "cc", "d'd", "é-é", "<unk>", "<UNK>", "<S>", "<eos>", "x.", "rare",
    ]);
    let line = (
        prop::collection::vec(word, 0..7),
        prop::sample::select(vec![" ", "  ", "\t", "\u{a0}"]),
        prop::sample::select(vec!["\n", "\r\n", " \n", "\n\n"]),
    );
    let line = line.prop_map(|(words, space, end)| words.join(space) + end);
    let lines = prop::collection::vec(line, 1..60);
    let file = (lines, any::<bool>()).prop_map(|(lines, open)| {
        let end = if open { "the end" } else { "" };
        lines.concat() + end
    });
    prop::collection::vec(file, 1..5)
}

pub fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).unwrap();
    let then = SystemTime::now() - Duration::from_secs(seconds);
    file.set_modified(then).unwrap();
}
