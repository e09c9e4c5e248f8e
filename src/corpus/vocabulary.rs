//! The words of a model and their ids.
//!
//! A vocabulary file has `word count` a line; the id of a word is its line number, from 0. The words are one piece of
//! text and the table of ids has no keys of its own: 800,000 words take about 20 MB.

use std::hash::BuildHasher;
use std::path::Path;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::tokens::TokenKind;
use crate::digest::Content;
use crate::error::{Error, Result};
use crate::files;

/// The mark of the begin and the end of a sentence, in `sentences` order.
pub(crate) const SENTENCE: &str = "<S>";
/// The end of a line, in `contiguous` order.
pub(crate) const END_OF_LINE: &str = "<eos>";
/// The word for all that are not in the vocabulary; in `contiguous` order `<unk>`, where there is one, is preferred.
pub(crate) const UNKNOWN: &str = "<UNK>";
/// The word for unknown words in WikiText and the Penn Treebank.
pub(crate) const UNKNOWN_IN_TEXT: &str = "<unk>";

pub use crate::config::Order;

/// Words, their counts and ids.
#[derive(Clone)]
pub struct Vocabulary {
    order: Order,
    /// All words, one after the other.
    words: String,
    /// Where each word ends in `words`.
    ends: Vec<usize>,
    counts: Vec<u64>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    mark: u32,
    unknown: u32,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vocabulary({:?}, {} words)", self.order, self.len())
    }
}

impl Vocabulary {
    /// Loads a vocabulary file.
    ///
    /// # Errors
    ///
    /// With file and line: if it is missing, empty or not UTF-8, a line is not `word count`, a word is there twice, or the
    /// special words of the order are missing: `<S>` and `<UNK>`, or `<eos>` and one of `<unk>` and `<UNK>`.
    pub fn load(path: &Path, order: Order) -> Result<Vocabulary> {
        let origin = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            Error::data(format!("cannot read the vocabulary `{origin}`"))
                .because(error)
                .help("make one with `wlstm vocab`, or leave `data.vocab` out to have it built")
        })?;
        // What an editor may have put in front is no part of the first word.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Vocabulary::from_bytes(bytes, order, &origin)
    }

    /// Reads a vocabulary from the bytes of a vocabulary file; `origin` says in errors where they come from.
    ///
    /// # Errors
    ///
    /// As [`Vocabulary::load`].
    pub fn from_bytes(bytes: &[u8], order: Order, origin: &str) -> Result<Vocabulary> {
        let bad_line = |line: usize, what: String| {
            Error::data(format!("{origin}:{}: {what}", line + 1))
                .help("a line of a vocabulary is a word, a space and its count")
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            bad_line(
                memchr::memchr_iter(b'\n', before).count(),
                "not UTF-8".to_owned(),
            )
        })?;
        if text.is_empty() {
            return Err(Error::data(format!("the vocabulary `{origin}` is empty"))
                .help("make one with `wlstm vocab`, or leave `data.vocab` out to have it built"));
        }
        let mut builder = Builder::new(order);
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        for (number, line) in lines.enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let parsed = line.rsplit_once([' ', '\t']).and_then(|(word, count)| {
                // The word of a character vocabulary may be white space itself.
                let trimmed = word.trim();
                let word = if trimmed.is_empty() { word } else { trimmed };
                Some((word, count.parse::<u64>().ok()?)).filter(|(word, _)| !word.is_empty())
            });
            let Some((word, count)) = parsed else {
                return Err(bad_line(number, format!("`{line}` is not `word count`")));
            };
            if let Some(first) = builder.push(word, count)? {
                return Err(bad_line(
                    number,
                    format!("`{word}` is there already, in line {}", first + 1),
                ));
            }
        }
        builder.finish(origin)
    }

    /// Whether both have the same words under the same ids.
    pub fn same_words(&self, other: &Vocabulary) -> bool {
        self.len() == other.len()
            && (0..self.len() as u32).all(|id| self.word(id) == other.word(id))
    }

    /// Tells the words and their ids from others; counts do not matter.
    pub(crate) fn digest(&self) -> u64 {
        let mut content = Content::default();
        content.add(self.words.as_bytes());
        for &end in &self.ends {
            content.add(&(end as u64).to_le_bytes());
        }
        content.value()
    }

    /// The bytes of a vocabulary file, as [`Vocabulary::from_bytes`] reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.words.len() + 8 * self.len());
        for (id, count) in self.counts.iter().enumerate() {
            bytes.extend_from_slice(self.word(id as u32).as_bytes());
            bytes.extend_from_slice(format!(" {count}\n").as_bytes());
        }
        bytes
    }

    /// Saves a vocabulary file. It appears whole or not at all, and replaces a file of the same name.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let refused = |error: Error| {
            error.context(format!("cannot write the vocabulary `{}`", path.display()))
        };
        // A rename would replace devices and pipes too.
        if path.exists() && !path.is_file() {
            let error = Error::data("it exists and is not a regular file");
            return Err(refused(error.help("name another file")));
        }
        let bytes = self.to_bytes();
        let written = files::write_atomically(path, |file| {
            file.write_all(&bytes)
                .map_err(|error| files::cannot_write(path, error))
        });
        written.map_err(refused)
    }

    /// The order whose special words it has.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The number of words, special ones counted too.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Never true: a vocabulary has its special words at least.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The word of an id.
    ///
    /// # Panics
    ///
    /// If there is no such id.
    pub fn word(&self, id: u32) -> &str {
        &self.words[range_of(&self.ends, id)]
    }

    /// How often the word was counted, 0 for words that were added.
    ///
    /// # Panics
    ///
    /// If there is no such id.
    pub fn count(&self, id: u32) -> u64 {
        self.counts[id as usize]
    }

    /// The id of the mark that ends a sentence or line: `<S>` in `sentences` order, `<eos>` in `contiguous` order.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// The id of the word for unknown words: `<UNK>`; or `<unk>`, where there is one and the order is `contiguous`.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Whether ids are in order of falling counts, which the sampled softmax needs.
    pub fn is_sorted(&self) -> bool {
        self.counts.is_sorted_by(|a, b| a >= b)
    }

    /// The id of a word, if it is in the vocabulary.
    #[inline]
    pub fn get(&self, word: &str) -> Option<u32> {
        self.get_bytes(word.as_bytes())
    }

    /// The id of a word, or of the unknown word.
    #[inline]
    pub fn encode(&self, word: &str) -> u32 {
        self.get(word).unwrap_or(self.unknown)
    }

    /// The ids of the tokens of a text, without marks.
    pub fn encode_text(&self, text: &str, kind: TokenKind) -> Vec<u32> {
        kind.split(text).map(|token| self.encode(token)).collect()
    }

    /// The id of a word whose bytes may not be UTF-8, if it is in the vocabulary.
    #[inline]
    pub(crate) fn get_bytes(&self, word: &[u8]) -> Option<u32> {
        let bytes = self.words.as_bytes();
        self.table
            .find(self.hasher.hash_one(word), |&id| {
                &bytes[range_of(&self.ends, id)] == word
            })
            .copied()
    }
}

/// Where the word `id` stands among words that end at `ends`.
#[inline]
fn range_of(ends: &[usize], id: u32) -> std::ops::Range<usize> {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    start..ends[id]
}

/// Makes a vocabulary of words in the order of their ids.
pub(crate) struct Builder {
    vocabulary: Vocabulary,
}

impl Builder {
    pub(crate) fn new(order: Order) -> Builder {
        Builder {
            vocabulary: Vocabulary {
                order,
                words: String::new(),
                ends: Vec::new(),
                counts: Vec::new(),
                table: HashTable::new(),
                hasher: DefaultHashBuilder::default(),
                mark: 0,
                unknown: 0,
            },
        }
    }

    /// Adds a word. If it is there already nothing is added, and its id is given.
    pub(crate) fn push(&mut self, word: &str, count: u64) -> Result<Option<u32>> {
        let Vocabulary {
            words,
            ends,
            counts,
            table,
            hasher,
            ..
        } = &mut self.vocabulary;
        // The last id is what marks padding in batches.
        let id = u32::try_from(counts.len())
            .ok()
            .filter(|&id| id < u32::MAX)
            .ok_or_else(|| {
                Error::data("the vocabulary has more than 4,294,967,295 words")
                    .help("limit it with `--size` or `data.vocab_size`")
            })?;
        let hash = hasher.hash_one(word.as_bytes());
        let found = table.find(hash, |&id| &words[range_of(ends, id)] == word);
        if let Some(&first) = found {
            return Ok(Some(first));
        }
        words.push_str(word);
        ends.push(words.len());
        counts.push(count);
        table.insert_unique(hash, id, |&id| {
            hasher.hash_one(&words.as_bytes()[range_of(ends, id)])
        });
        Ok(None)
    }

    /// Finds the special words.
    pub(crate) fn finish(mut self, origin: &str) -> Result<Vocabulary> {
        let vocabulary = &mut self.vocabulary;
        let order = vocabulary.order;
        let (mark, unknown) = match order {
            Order::Sentences => (SENTENCE, vocabulary.get(UNKNOWN)),
            Order::Contiguous => {
                let found = vocabulary.get(UNKNOWN_IN_TEXT);
                (END_OF_LINE, found.or_else(|| vocabulary.get(UNKNOWN)))
            }
        };
        let missing = |word: &str| {
            let name = match order {
                Order::Sentences => "sentences",
                Order::Contiguous => "contiguous",
            };
            Error::data(format!("`{origin}` has no `{word}`")).help(format!(
                "a vocabulary for `{name}` order needs it: make one with `wlstm vocab --order {name}`, or add a line `{word} COUNT` where \
                 its count belongs"
            ))
        };
        vocabulary.mark = vocabulary.get(mark).ok_or_else(|| missing(mark))?;
        vocabulary.unknown = unknown.ok_or_else(|| missing(UNKNOWN))?;
        Ok(self.vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, order: Order) -> Result<Vocabulary> {
        Vocabulary::from_bytes(text.as_bytes(), order, "v.txt")
    }

    #[test]
    fn ids_are_line_numbers() {
        let text = "the 5\n<S> 3\n<UNK> 1\ncat 1\n";
        let vocabulary = parse(text, Order::Sentences).unwrap();
        assert_eq!((vocabulary.mark(), vocabulary.unknown()), (1, 2));
        assert_eq!((vocabulary.get("cat"), vocabulary.count(0)), (Some(3), 5));
        assert_eq!((vocabulary.get("dog"), vocabulary.encode("dog")), (None, 2));
        assert_eq!(vocabulary.to_bytes(), text.as_bytes());
        assert!(vocabulary.is_sorted());
    }

    #[test]
    fn files_of_windows_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.txt");
        let text = "<eos>\t3\r\n  12\r\n<unk> 0\r\n<UNK> 1";
        std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
        let windows = Vocabulary::load(&path, Order::Contiguous).unwrap();
        assert_eq!((windows.get(" "), windows.unknown()), (Some(1), 2));
        assert!(!windows.is_sorted());
        // In a vocabulary that was saved, the mark of a file's start is a character like others.
        let text = "\u{feff} 9\n<eos> 3\n<unk> 1\n";
        let characters = parse(text, Order::Contiguous).unwrap();
        assert_eq!(characters.get("\u{feff}"), Some(0));
        assert_eq!(characters.to_bytes(), text.as_bytes());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, says) in [
            ("", "the vocabulary `v.txt` is empty"),
            ("<S> 1\nword\n", "v.txt:2: `word` is not `word count`"),
            ("<S> 1\n\n<UNK> 1\n", "v.txt:2: `` is not `word count`"),
            ("<S> 1\nword -1\n", "v.txt:2: `word -1` is not `word count`"),
            (
                "<S> 1\na 1\na 1\n",
                "v.txt:3: `a` is there already, in line 2",
            ),
            ("<S> 1\na 1\n", "`v.txt` has no `<UNK>`"),
            ("<S> 1\n<unk> 1\n", "`v.txt` has no `<UNK>`"),
            ("<UNK> 1\na 1\n", "`v.txt` has no `<S>`"),
        ] {
            let error = parse(text, Order::Sentences).unwrap_err();
            assert_eq!(error.to_string(), says);
            assert_eq!(error.kind(), crate::error::Kind::Data);
        }
        let error = parse("<unk> 1\n<S> 1\n", Order::Contiguous).unwrap_err();
        assert_eq!(error.to_string(), "`v.txt` has no `<eos>`");
        let bytes = b"<S> 1\n<UNK> 2\n\xff 1\n";
        let error = Vocabulary::from_bytes(bytes, Order::Sentences, "v.txt").unwrap_err();
        assert_eq!(error.to_string(), "v.txt:3: not UTF-8");
        let error = Vocabulary::load(Path::new("no/such/file"), Order::Sentences).unwrap_err();
        assert!(error.to_string().contains("no/such/file"));
    }
}
