//! From text to batches: vocabulary, token cache, batches, and the candidates of the sampled softmax.
//!
//! This module does not depend on models or devices, and uses only the `data` section of the configuration. Memory use does not
//! grow with the length of the corpus, except for sparse indices: a quarter of a byte for each line of the file that is read,
//! if lines are shuffled; one byte for every 1,500 bytes of text in contiguous order; half a byte for each line of a file whose
//! tokens are being cached. A text of less than 64 MB is copied into memory. The files of a larger one are memory-mapped, and
//! pages that were read are released again.
//!
//! A large text is parsed once, into token files on the disk that all runs with the same vocabulary share ([`TokenCache`]).
//! Without a token file, the text itself is read. Both give the same batches and positions, so a run can be stopped with one
//! and resumed with the other.
//!
//! | module | content |
//! |---|---|
//! | `files`, `text_file`, `contents`, `expand`, `pages` | files in memory or mapped, from file names and patterns: [`Corpus`], [`expand()`] |
//! | `normalise` | Unicode normalization of files and lines |
//! | `held_out` | the lines of a training text that are held out for validation |
//! | `chunks` | cutting a corpus into chunks for parallel reading |
//! | `tokens`, `spaces`, `bad_utf8`, `words`, `detokenise` | tokenizers, and joining tokens to text: [`TokenKind`], [`Detokeniser`] |
//! | `marks`, `mark_counts` | literal marks such as `<eos>` in a text: [`Marks`] |
//! | `overlap` | the part of a text that is in the training text: [`Overlap`] |
//! | `bpe` | subwords: [`Bpe`] |
//! | `vocabulary` | words and ids; counting words in bounded memory: [`Vocabulary`], [`VocabularyBuilder`] |
//! | `unigram` | the unigram model of a vocabulary: [`Unigram`] |
//! | `text` | a corpus as token ids: [`Text`] |
//! | `cache` | token ids on the disk: [`TokenCache`] |
//! | `shuffle` | the order of the files of an epoch and of the lines of a file |
//! | `batch`, `batches` | [`Batch`], [`BatchOptions`], [`Position`]; [`Batches`] of either order |
//! | `sentences`, `sentence_queue`, `contiguous` | how each order cuts text into batches |
//! | `targets`, `windows` | the number of targets of a text; evaluation of a subset of them |
//! | `loader` | batches prepared on another thread: [`Loader`] |
//! | `sampler` | log-uniform candidates: [`CandidateSampler`] |
//!
//! Invariants:
//!
//! - The same files, options and seed give the same batches on every machine, with and without a cache.
//! - The [`Position`] of a batch is all that is needed to continue with the next batch. A run resumes on the same text only.
//! - An evaluation covers every target of its files exactly once, or a subset sampled evenly from the whole text.
//! - The same text gives the same vocabulary, with any number of threads.
//!
//! ```
//! use std::sync::Arc;
//! use wlstm::corpus::{BatchOptions, Batches, Corpus, Order, Text, TokenKind, VocabularyBuilder};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("text.txt");
//! # std::fs::write(&path, "the cat sat\non the mat\nand the dog sat by the cat\n")?;
//! let corpus = Arc::new(Corpus::open(&[path])?);
//! let vocabulary = VocabularyBuilder::new(Order::Sentences, TokenKind::Whitespace).build(&corpus)?;
//! let text = Text::new(corpus, Arc::new(vocabulary), TokenKind::Whitespace);
//!
//! let options = BatchOptions { batch: 2, unroll: 3, shuffle: false, seed: 1, epochs: 1 };
//! let mut batches = Batches::training(&text, &options)?;
//! let first = batches.next().expect("the text is long enough")?;
//! // Rows are time-major: stream b at time t is row t*B + b.
//! let words = |ids: &[u32]| ids.iter().map(|&id| text.vocabulary().word(id)).collect::<Vec<_>>();
//! assert_eq!(words(&first.inputs), ["<S>", "<S>", "the", "on", "cat", "the"]);
//! assert_eq!(words(&first.targets), ["the", "on", "cat", "the", "sat", "mat"]);
//!
//! // Continue from any batch.
//! let resumed = Batches::resume(&text, &options, &first.position)?;
//! assert!(batches.map(|b| b.unwrap().inputs).eq(resumed.map(|b| b.unwrap().inputs)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bad_utf8;
mod batch;
mod batches;
mod bpe;
mod cache;
mod chunks;
mod contents;
mod contiguous;
mod detokenise;
mod expand;
mod files;
mod held_out;
mod loader;
mod mark_counts;
mod marks;
mod normalise;
mod overlap;
mod pages;
mod sampler;
mod sentence_queue;
mod sentences;
mod shuffle;
mod spaces;
mod targets;
mod text;
mod text_file;
mod tokens;
mod unigram;
mod vocabulary;
mod windows;
mod words;

pub use batch::{Batch, BatchOptions, IGNORE, Position, RowPosition};
pub use batches::Batches;
pub use bpe::{Bpe, DEFAULT_SIZE as DEFAULT_BPE_SIZE};
pub use cache::TokenCache;
pub use detokenise::{Detokeniser, detokenise};
pub use expand::expand;
pub use files::{Corpus, Source};
pub use loader::Loader;
pub use mark_counts::Marks;
pub use overlap::Overlap;
pub use sampler::{CandidateSampler, Candidates};
pub use text::Text;
pub use tokens::TokenKind;
pub use unigram::Unigram;
pub use vocabulary::{Order, Vocabulary, VocabularyBuilder};
pub use words::WORD_RULE;
