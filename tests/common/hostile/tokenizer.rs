//! A file `tokenizer.json`.

use wlstm::config::Tokens;
use wlstm::corpus::{Bpe, Order, Vocabulary, detokenise};
use wlstm::error::Kind;

use super::accepted;

/// Lines that an accepted tokenizer must encode.
const LINES: [&str; 4] = [
    "It's 3.5 \u{e9}l\u{e9}phants,  isn't it?",
    " \t ",
    "\u{65e5}\u{672c}\u{1f468}\u{200d}\u{1f469} e\u{301}\u{0}",
    "",
];

/// The file is the bytes.
pub fn read(bytes: &[u8]) {
    let Some(tokenizer) = accepted(Bpe::from_json(bytes, "tokenizer.json"), &[Kind::Data]) else {
        return;
    };
    let tokenizer = std::sync::Arc::new(tokenizer);
    let words = Vocabulary::uncounted(tokenizer, Order::Contiguous);
    let Some(words) = accepted(words, &[Kind::Data]) else {
        return;
    };
    for line in LINES {
        let ids = words.encode_text(line, Tokens::Bpe);
        assert!(ids.iter().all(|id| (*id as usize) < words.len()));
        let _ = detokenise(ids.iter().map(|id| words.word(*id)), Tokens::Bpe);
    }
    let saved = Vocabulary::from_bytes(&words.to_bytes(), Order::Contiguous, "saved");
    if let Some(saved) = accepted(saved, &[Kind::Data]) {
        assert_eq!(saved.to_bytes(), words.to_bytes());
    }
}
