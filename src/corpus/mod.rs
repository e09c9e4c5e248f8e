//! From text to batches: vocabulary, token files, batches and the candidates of the sampled softmax.
//!
//! Nothing here knows models or devices, and of the configuration only the names of orders and tokens. Nothing grows with
//! the length of the corpus but sparse indices: a quarter of a byte for each line of the one file that is read, shuffled, as
//! text; a byte for every 1,500 of text that is read in contiguous order; half a byte a line of a file whose tokens are being
//! written. Files are memory-mapped, and their pages are let go as they are walked over.
//!
//! A large text is parsed once, into a cache of tokens on the disk, and read from there by all runs with the same words
//! ([`TokenCache`]). The text itself is read where there is no cache: both ways give the same batches and positions, so that a
//! run may stop with one and go on with the other.
//!
//! | module | what |
//! |---|---|
//! | `names`, `files` | names, folders and patterns to memory-mapped files, and what tells one text from another: [`Corpus`] |
//! | `tokens` | the tokenisers and the way back: [`TokenKind`], [`detokenise`] |
//! | `vocabulary`, `count`, `tally` | words and ids, counted in bounded memory: [`Vocabulary`], [`VocabularyBuilder`] |
//! | `text` | files as ids, token by token: [`Text`] |
//! | `cache`, `token_file` | the same, kept on the disk: [`TokenCache`] |
//! | `shuffle` | the order of files and lines of an epoch |
//! | `sentences`, `contiguous` | the two ways to cut text into batches |
//! | `batches` | what both share: [`Batches`], [`Batch`], [`Position`] |
//! | `loader` | batches prepared on another thread: [`Loader`] |
//! | `sampler` | log-uniform candidates: [`CandidateSampler`] |
//!
//! Invariants: the same files, options and seed give the same batches on every machine, with and without a cache; a batch's
//! [`Position`] is all that is needed to continue with the batch after it, and no text but the very same is continued with; an
//! evaluation meets every target of its files exactly once; the same text gives the same vocabulary, however many threads count
//! it.
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
mod names;
mod sampler;
mod sentences;
mod shuffle;
mod tally;
mod text;
mod token_file;
mod tokens;
mod vocabulary;

pub use batches::{Batch, Batches, IGNORE, Position, Training};
pub use cache::TokenCache;
pub use count::VocabularyBuilder;
pub use files::Corpus;
pub use loader::Loader;
pub use names::expand;
pub use sampler::{CandidateSampler, Candidates};
pub use sentences::RowPosition;
pub use text::Text;
pub use tokens::{Detokeniser, TokenKind, detokenise};
pub use vocabulary::{Order, Vocabulary};
