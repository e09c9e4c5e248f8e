//! Folders with texts, and the corpus in them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use wlstm::corpus::{BatchOptions, Batches, Corpus, Order, Text, TokenKind, VocabularyBuilder};
use wlstm::error::Kind;

use super::naive::lines_of;

/// A corpus on disk, removed with this value.
pub struct Folder {
    pub folder: tempfile::TempDir,
}

impl Folder {
    pub fn new(files: &[impl AsRef<[u8]>]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (k, file) in files.iter().enumerate() {
            fs::write(folder.path().join(format!("part-{k:02}.txt")), file).unwrap();
        }
        Folder { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn corpus(&self) -> Corpus {
        Corpus::open(&[self.path().join("*.txt")]).unwrap()
    }

    pub fn text(&self, order: Order) -> Text {
        let corpus = self.corpus();
        let kind = TokenKind::Whitespace;
        let vocabulary = VocabularyBuilder::new(order, kind).build(&corpus).unwrap();
        Text::new(Arc::new(corpus), Arc::new(vocabulary), kind)
    }
}

pub fn options(batch: usize, unroll: usize, epochs: u64) -> BatchOptions {
    BatchOptions {
        batch,
        unroll,
        shuffle: false,
        seed: 3,
        epochs,
    }
}

/// One to four files of up to thirty lines, with blank lines, spaces around words, both kinds of line ends,
/// and maybe no line feed at the end.
pub fn files() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "cc",
        "d'd",
        "é",
        "<unk>",
        "<UNK>",
        "long-word",
    ]);
    let words = prop::collection::vec(word, 0..9);
    let line = (words, prop::sample::select(vec![" ", "  ", "\t", "\u{a0}"]))
        .prop_map(|(words, space)| words.join(space));
    let end = prop::sample::select(vec!["\n", "\r\n", " \n"]);
    let lines = prop::collection::vec((line, end), 1..30);
    let file = (lines, any::<bool>()).prop_map(|(lines, open)| {
        let mut file: String = lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.to_owned()])
            .collect();
        if open {
            file.push_str("the end");
        }
        file
    });
    prop::collection::vec(file, 1..5)
}

/// The batches, or `None` if the text is too short.
pub fn training(text: &Text, options: &BatchOptions) -> Option<Batches> {
    match Batches::training(text, options) {
        Ok(batches) => Some(batches),
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains("shorter than a batch") || message.contains("no sentence"),
                "{message}"
            );
            assert_eq!(error.kind(), Kind::Data);
            None
        }
    }
}

pub fn build(files: &[String], order: Order) -> Option<(Folder, Text)> {
    let folder = Folder::new(files);
    let any_word = lines_of(files).iter().any(|line| !line.is_empty());
    any_word.then(|| {
        let text = folder.text(order);
        (folder, text)
    })
}
