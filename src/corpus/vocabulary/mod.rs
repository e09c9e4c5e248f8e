//! Words and their ids: read from a vocabulary file, or counted in a corpus.

mod builder;
mod check;
mod count_table;
mod counter;
mod file;
mod merge;
mod special;
mod subwords;
mod tokenizer;
mod top_words;
mod words;

pub use builder::VocabularyBuilder;
pub use words::{Order, Vocabulary};
