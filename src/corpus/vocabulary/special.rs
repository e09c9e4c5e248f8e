//! The special words: the boundary tokens of sentences and lines, and the unknown word.

use super::words::{Order, Vocabulary};
use crate::error::{Error, Result};

/// The token before and after a sentence, in `sentences` order.
pub(super) const SENTENCE: &str = "<S>";
/// The token of a line end, in `contiguous` order.
pub(super) const END_OF_LINE: &str = "<eos>";
/// The unknown word: it replaces all words outside the vocabulary. In `contiguous` order `<unk>` is preferred.
pub(super) const UNKNOWN: &str = "<UNK>";
/// The unknown word in the texts of WikiText and the Penn Treebank.
pub(super) const UNKNOWN_IN_TEXT: &str = "<unk>";

/// Whether a word is in angle brackets, like special words.
pub(super) fn is_special(word: &str) -> bool {
    word.len() > 2 && word.starts_with('<') && word.ends_with('>')
}

/// Finds the special words of a vocabulary that has all its words. `origin` names it in errors.
///
/// # Errors
///
/// If a special word is missing.
pub(super) fn with_special_words(mut vocabulary: Vocabulary, origin: &str) -> Result<Vocabulary> {
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
            "`{name}` order needs this word: make a vocabulary with `wlstm vocab --order {name}`, or add a line `{word} COUNT` where its \
             count belongs"
        ))
    };
    vocabulary.mark = vocabulary.get(mark).ok_or_else(|| missing(mark))?;
    vocabulary.unknown = unknown.ok_or_else(|| missing(UNKNOWN))?;
    Ok(vocabulary)
}
