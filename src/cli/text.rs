//! The text that several commands read: from the cache of tokens, which is filled here.

use std::sync::Arc;

use super::progress::Live;
use crate::config::Tokens;
use crate::corpus::{Corpus, Text, TokenCache, Vocabulary};
use crate::error::Result;

/// The text of these files in these words. What was not read by an earlier run is parsed now, which is shown.
pub(super) fn text(
    corpus: Arc<Corpus>,
    words: Arc<Vocabulary>,
    kind: Tokens,
    quiet: bool,
) -> Result<Text> {
    let Some(cache) = TokenCache::of_user() else {
        return Ok(Text::new(corpus, words, kind));
    };
    let live = Live::new("reading the text", quiet);
    let text = cache.open(corpus, words, kind, &|done, total| {
        // In MB, for people.
        live.show(done >> 20, total >> 20);
    });
    live.end();
    text
}
