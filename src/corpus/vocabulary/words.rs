//! The words of a model and their ids.
//!
//! All words are stored in one string, and the hash table stores ids only: 800,000 words take about 20 MB.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::subwords::Subwords;
use crate::corpus::bpe::Bpe;
use crate::corpus::tokens::TokenKind;
use crate::digest::Xxh64;
use crate::error::{Error, Result};

pub use crate::config::Order;

/// Words, their counts and their ids.
#[derive(Clone)]
pub struct Vocabulary {
    pub(super) order: Order,
    /// The bytes of all words, concatenated.
    words: String,
    /// End of each word in `words`.
    ends: Vec<usize>,
    pub(super) counts: Vec<u64>,
    /// Ids by the hash of their word.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    pub(super) mark: u32,
    pub(super) unknown: u32,
    /// With `data.tokens = "bpe"`, the tokenizer.
    pub(super) subwords: Option<Arc<Subwords>>,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vocabulary({:?}, {} words)", self.order, self.len())
    }
}

impl Vocabulary {
    /// A vocabulary without words. It is not valid until it has its special words.
    pub(super) fn empty(order: Order) -> Vocabulary {
        Vocabulary {
            order,
            words: String::new(),
            ends: Vec::new(),
            counts: Vec::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            mark: 0,
            unknown: 0,
            subwords: None,
        }
    }

    /// Adds a word with the next id. If the word exists already, nothing is added and its id is returned.
    ///
    /// # Errors
    ///
    /// If there are too many words.
    pub(super) fn push(&mut self, word: &str, count: u64) -> Result<Option<u32>> {
        // The largest `u32` marks padding in batches.
        let id = u32::try_from(self.counts.len())
            .ok()
            .filter(|&id| id < u32::MAX)
            .ok_or_else(|| {
                Error::data("the vocabulary has more than 4,294,967,295 words")
                    .help("limit it with `--size` or `data.vocab_size`")
            })?;
        if let Some(first) = self.get(word) {
            return Ok(Some(first));
        }
        self.words.push_str(word);
        self.ends.push(self.words.len());
        self.counts.push(count);
        let (hasher, words, ends) = (&self.hasher, self.words.as_bytes(), &self.ends);
        let hash = |word: &[u8]| hasher.hash_one(word);
        self.table.insert_unique(hash(word.as_bytes()), id, |&id| {
            hash(&words[range_of(ends, id)])
        });
        Ok(None)
    }

    /// Whether both have the same words with the same ids.
    pub fn same_words(&self, other: &Vocabulary) -> bool {
        self.len() == other.len()
            && (0..self.len() as u32).all(|id| self.word(id) == other.word(id))
    }

    /// Digest of the words and their ids. Counts do not matter.
    pub(in crate::corpus) fn digest(&self) -> u64 {
        let mut content = Xxh64::default();
        content.add(self.words.as_bytes());
        for &end in &self.ends {
            content.add(&(end as u64).to_le_bytes());
        }
        if let Some(tokenizer) = self.tokenizer() {
            content.add(tokenizer.json());
        }
        content.value()
    }

    /// The order whose special words it has.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Number of words, special words included.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Never true: a vocabulary has at least its special words.
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

    /// How often the word of an id was counted. 0 for words that were added by hand.
    ///
    /// # Panics
    ///
    /// If there is no such id.
    pub fn count(&self, id: u32) -> u64 {
        self.counts[id as usize]
    }

    /// Id of the token that ends a sentence or line: `<S>` in `sentences` order, `<eos>` in `contiguous` order.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// Id of the unknown word: `<UNK>`, or in `contiguous` order `<unk>` if the vocabulary has it.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Id of the targets that stand for words outside the vocabulary. `None` if tokens are subwords, which spell every text.
    pub fn unknown_target(&self) -> Option<u32> {
        self.subwords.is_none().then_some(self.unknown)
    }

    /// Whether there are no counts, as in a vocabulary from a tokenizer alone.
    pub fn is_uncounted(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Whether words are sorted by descending count. The sampled softmax requires this.
    pub fn is_sorted(&self) -> bool {
        self.counts.is_sorted_by(|a, b| a >= b)
    }

    /// The id of a word, if it is in the vocabulary.
    #[inline]
    pub fn get(&self, word: &str) -> Option<u32> {
        self.get_bytes(word.as_bytes())
    }

    /// The id of a word, or that of the unknown word.
    #[inline]
    pub fn encode(&self, word: &str) -> u32 {
        self.get(word).unwrap_or(self.unknown)
    }

    /// The ids of the tokens of a text, without boundary tokens.
    pub fn encode_text(&self, text: &str, kind: TokenKind) -> Vec<u32> {
        let mut ids = Vec::new();
        for token in kind.split(text) {
            match kind {
                TokenKind::Bpe => self.encode_segment(token, &mut ids),
                _ => ids.push(self.encode(token)),
            }
        }
        ids
    }

    /// Appends the ids of the tokens of a segment of BPE.
    pub(in crate::corpus) fn encode_segment(&self, segment: &str, ids: &mut Vec<u32>) {
        match &self.subwords {
            Some(subwords) => subwords.encode(segment, ids),
            None => ids.push(self.unknown),
        }
    }

    /// The tokens of a text, without boundary tokens. Those of BPE are written in the alphabet of their tokenizer.
    pub fn tokens(&self, text: &str, kind: TokenKind) -> Vec<String> {
        match kind {
            TokenKind::Bpe => {
                let ids = self.encode_text(text, kind).into_iter();
                ids.map(|id| self.word(id).to_owned()).collect()
            }
            _ => kind.split(text).map(str::to_owned).collect(),
        }
    }

    /// With `data.tokens = "bpe"`, the tokenizer.
    pub fn tokenizer(&self) -> Option<&Arc<Bpe>> {
        self.subwords.as_deref().map(Subwords::tokenizer)
    }

    /// The id of a word, if it is in the vocabulary. Its bytes need not be UTF-8.
    #[inline]
    pub(in crate::corpus) fn get_bytes(&self, word: &[u8]) -> Option<u32> {
        let bytes = self.words.as_bytes();
        self.table
            .find(self.hasher.hash_one(word), |&id| {
                &bytes[range_of(&self.ends, id)] == word
            })
            .copied()
    }
}

/// The range of word `id` among words that end at `ends`.
#[inline]
fn range_of(ends: &[usize], id: u32) -> Range<usize> {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    start..ends[id]
}
