//! A vocabulary file.

use wlstm::config::Tokens;
use wlstm::corpus::{Order, Vocabulary, detokenise};
use wlstm::error::Kind;

use super::{accepted, choice};

/// The first byte selects the order and the kind of tokens. The other bytes are the file.
pub fn read(bytes: &[u8]) {
    let (choice, bytes) = choice(bytes);
    let order = [Order::Sentences, Order::Contiguous][choice % 2];
    let kinds = [Tokens::Whitespace, Tokens::Words, Tokens::Characters];
    let kind = kinds[choice / 2 % 3];
    let loaded = Vocabulary::from_bytes(bytes, order, "vocab.txt");
    let Some(words) = accepted(loaded, &[Kind::Data]) else {
        return;
    };
    let saved = Vocabulary::from_bytes(&words.to_bytes(), order, "saved.txt");
    let saved = saved.expect("a vocabulary that was written");
    assert!(saved.same_words(&words), "other words after saving");
    assert_eq!(saved.to_bytes(), words.to_bytes());
    let ids = 0..words.len() as u32;
    for id in ids.clone() {
        assert_eq!(words.get(words.word(id)), Some(id));
    }
    let text = detokenise(ids.map(|id| words.word(id)), kind);
    for id in words.encode_text(&text, kind) {
        assert!((id as usize) < words.len());
    }
}
