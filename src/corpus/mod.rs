//! From text to batches: vocabulary, token files, batches and the candidates of the sampled softmax.
//!
//! Nothing here knows models or devices, and of the configuration only the names of orders and tokens. Nothing grows with
//! the length of the corpus but a sparse index (about a byte for every 1,500 of text, in contiguous order): files are
//! memory-mapped, and tokens are looked up as they are walked over.
//!
//! | module | what |
//! |---|---|
//! | `files` | patterns to memory-mapped files: [`Corpus`] |
//! | `tokens` | the tokenisers and the way back: [`TokenKind`], [`detokenise`] |
//! | `vocabulary`, `count` | words and ids: [`Vocabulary`], [`VocabularyBuilder`] |
//! | `shuffle` | the order of files and lines of an epoch |
//! | `sentences`, `contiguous` | the two ways to cut text into batches |
//! | `batches` | what both share: [`Batches`], [`Batch`], [`Position`] |
//! | `loader` | batches prepared on another thread: [`Loader`] |
//! | `sampler` | log-uniform candidates: [`CandidateSampler`] |
//!
//! Invariants: the same files, options and seed give the same batches on every machine; a batch's [`Position`] is all that
//! is needed to continue with the batch after it; an evaluation meets every target of its files exactly once.
//!
//! ```
//! use std::sync::Arc;
//! use wlstm::corpus::{Batches, Corpus, Order, Text, TokenKind, Training, VocabularyBuilder};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("text.txt");
//! # std::fs::write(&path, "the cat sat\non the mat\nand the dog sat by the cat\n")?;
//! let corpus = Arc::new(Corpus::open(&[path])?);
//! let vocabulary = VocabularyBuilder::new(Order::Sentences, TokenKind::Whitespace).build(&corpus)?;
//! let text = Text::new(corpus, Arc::new(vocabulary), TokenKind::Whitespace);
//!
//! let options = Training { batch: 2, unroll: 3, shuffle: false, seed: 1, epochs: 1 };
//! let mut batches = Batches::training(&text, &options)?;
//! let first = batches.next().expect("the text is long enough")?;
//! // Rows are time-major: stream b at time t is row t*B + b.
//! let words = |ids: &[u32]| ids.iter().map(|&id| text.vocabulary().word(id)).collect::<Vec<_>>();
//! assert_eq!(words(&first.inputs), ["<S>", "<S>", "the", "on", "cat", "the"]);
//! assert_eq!(words(&first.targets), ["the", "on", "cat", "the", "sat", "mat"]);
//!
//! // The same again from any batch on.
//! let again = Batches::resume(&text, &options, &first.position)?;
//! assert!(batches.map(|b| b.unwrap().inputs).eq(again.map(|b| b.unwrap().inputs)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
mod cache;
mod contiguous;
mod count;
mod files;
mod loader;
mod sampler;
mod sentences;
mod shuffle;
mod tally;
mod token_file;
mod tokens;
mod vocabulary;

pub use batches::{Batch, Batches, IGNORE, Position, Text, Training};
pub use cache::TokenCache;
pub use count::VocabularyBuilder;
pub use files::{Corpus, expand};
pub use loader::Loader;
pub use sampler::{CandidateSampler, Candidates};
pub use sentences::RowPosition;
pub use tokens::{Detokeniser, TokenKind, detokenise};
pub use vocabulary::{Order, Vocabulary};
