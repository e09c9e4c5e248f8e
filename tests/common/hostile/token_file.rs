//! A file of the token cache.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use wlstm::config::Tokens;
use wlstm::corpus::{BatchOptions, Batches, Corpus, Order, Text, TokenCache, VocabularyBuilder};
use wlstm::digest::Xxh64;
use wlstm::error::Kind;

use super::{accepted, choice, file, scratch};

/// Bytes of the footer: twelve `u64`.
const FOOTER: usize = 96;

/// A text whose tokens are cached.
struct Cached {
    plain: Text,
    cache: TokenCache,
    /// The token file, and its bytes.
    path: PathBuf,
    valid: Vec<u8>,
}

static CACHED: LazyLock<Cached> = LazyLock::new(|| {
    let text = "the cat sat\non the mat\n\nand the dog sat by the cat\n".repeat(9);
    let corpus = Corpus::open(&[file("cached.txt", text.as_bytes())]).expect("a text");
    let words = VocabularyBuilder::new(Order::Sentences, Tokens::Whitespace).build(&corpus);
    let words = words.expect("words");
    let folder = scratch().join("token_file");
    let cached = Cached {
        plain: Text::new(Arc::new(corpus), Arc::new(words), Tokens::Whitespace),
        // As of a large text: its digest is not checked.
        cache: TokenCache::in_folder(&folder).min_bytes(0).verify_up_to(0),
        path: PathBuf::new(),
        valid: Vec::new(),
    };
    cached.open();
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    let is_tokens = |path: &PathBuf| path.extension().is_some_and(|end| end == "tokens");
    let path = files.map(|entry| entry.path()).find(is_tokens);
    let path = path.expect("a token file");
    let valid = std::fs::read(&path).expect("a token file");
    Cached {
        path,
        valid,
        ..cached
    }
});

impl Cached {
    fn open(&self) -> Text {
        let corpus = Corpus::open(&[self.plain.corpus().path(0)]).expect("a text");
        let words = self.plain.vocabulary().clone();
        let opened = self.cache.open(
            Arc::new(corpus),
            Arc::new(words),
            self.plain.kind(),
            &|_, _| {},
        );
        opened.expect("a text, with or without its cache")
    }
}

/// The bytes of a valid token file.
pub fn valid() -> &'static [u8] {
    &CACHED.valid
}

/// If the first byte is even, the other bytes are the file. If it is odd, they are its tokens, followed by a valid footer.
pub fn read(bytes: &[u8]) {
    let cached = &*CACHED;
    let (choice, bytes) = choice(bytes);
    let bytes = if choice % 2 == 0 {
        bytes.to_vec()
    } else {
        with_footer(cached, choice, bytes)
    };
    std::fs::write(&cached.path, bytes).expect("a file");
    let text = cached.open();
    let (words, options) = (
        text.vocabulary().len(),
        BatchOptions {
            batch: 2,
            unroll: 5,
            shuffle: choice & 2 != 0,
            seed: 1,
            epochs: 2,
        },
    );
    for batches in [
        Batches::training(&text, &options),
        Batches::evaluation(&text, 3, 4),
    ] {
        let read = batches.and_then(|batches| batches.take(300).collect::<Result<Vec<_>, _>>());
        for batch in accepted(read, &[Kind::Data]).into_iter().flatten() {
            for id in batch.inputs.iter().chain(&batch.targets) {
                let is_word = (*id as usize) < words || *id == wlstm::corpus::IGNORE;
                assert!(is_word, "id {id} of {words} words");
            }
        }
    }
}

/// Tokens and line index with a footer whose counts are those of the valid file, or match the bytes.
fn with_footer(cached: &Cached, choice: usize, bytes: &[u8]) -> Vec<u8> {
    let footer = &cached.valid[cached.valid.len() - FOOTER..];
    let (numbers, _) = footer.as_chunks::<8>();
    let mut numbers: Vec<u64> = numbers.iter().map(|n| u64::from_le_bytes(*n)).collect();
    let mut content = bytes.to_vec();
    content.resize(content.len().next_multiple_of(8), 0);
    if choice & 4 == 0 {
        content.resize(cached.valid.len() - FOOTER, 0);
    } else {
        // All tokens, followed by the smallest possible line index.
        numbers[8] = (content.len() / 4) as u64;
        numbers[9] = (choice / 8) as u64;
        let entries = numbers[9].div_ceil(16) as usize;
        content.extend(
            bytes
                .iter()
                .cycle()
                .take(if bytes.is_empty() { 0 } else { 8 * entries }),
        );
        content.resize(4 * numbers[8] as usize + 8 * entries, 0);
    }
    numbers[10] = Xxh64::of(&content);
    let stated: Vec<u8> = numbers[..11].iter().flat_map(|n| n.to_le_bytes()).collect();
    numbers[11] = Xxh64::of(&stated);
    content.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    content
}
