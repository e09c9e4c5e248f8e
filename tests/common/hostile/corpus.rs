//! Texts with all kinds of tokens, in both orders.

use std::sync::Arc;

use wlstm::config::Tokens;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, Corpus, Order, Text, TokenCache, VocabularyBuilder,
};
use wlstm::error::{Kind, Result};

use super::{accepted, choice, file, scratch};

/// The maximum number of steps of a text that are compared.
const STEPS: usize = 200;

/// The first byte selects the order, the kind of tokens and shuffling; the second the batch size. The other bytes are one or
/// two files, separated by a byte 0xFF.
pub fn read(bytes: &[u8]) {
    let (first, bytes) = choice(bytes);
    let (second, bytes) = choice(bytes);
    let order = [Order::Sentences, Order::Contiguous][first % 2];
    let kind = [Tokens::Whitespace, Tokens::Words, Tokens::Characters][first / 2 % 3];
    let options = BatchOptions {
        batch: 1 + second % 4,
        unroll: 1 + second / 4 % 7,
        shuffle: first / 6 % 2 == 1,
        seed: 1,
        epochs: 2,
    };
    let paths: Vec<_> = bytes
        .splitn(2, |byte| *byte == 0xff)
        .enumerate()
        .map(|(k, bytes)| file(&format!("text/{k}"), bytes))
        .collect();
    let Some(corpus) = accepted(Corpus::open(&paths), &[Kind::Data]) else {
        return;
    };
    let corpus = Arc::new(corpus);
    let built = VocabularyBuilder::new(order, kind).build(&corpus);
    let Some(words) = accepted(built, &[Kind::Data]) else {
        return;
    };
    let words = Arc::new(words);
    let plain = Text::new(corpus.clone(), words.clone(), kind);
    let cache = scratch().join("tokens");
    let _ = std::fs::remove_dir_all(&cache);
    let cached = TokenCache::in_folder(cache)
        .min_bytes(0)
        .open(corpus, words, kind, &|_, _| {});
    let Some(cached) = accepted(cached, &[Kind::Data]) else {
        return;
    };
    same(&plain, &cached, &options);
}

/// Checks that a text and its cached tokens give the same batches, from the beginning and from the middle.
pub fn same(plain: &Text, cached: &Text, options: &BatchOptions) {
    let words = plain.vocabulary().len();
    let read = |text: &Text| batches(Batches::training(text, options), words);
    let (want, got) = (read(plain), read(cached));
    assert_eq!(want, got, "training");
    if let Some(steps) = want.filter(|steps| !steps.is_empty()) {
        let middle = steps.len() / 2;
        for text in [plain, cached] {
            let rest = batches(
                Batches::resume(text, options, &steps[middle].position),
                words,
            );
            let rest = rest.expect("batches after a position");
            let both = rest.len().min(steps.len() - middle - 1);
            assert_eq!(rest[..both], steps[middle + 1..][..both], "resumed");
        }
    }
    let read = |text: &Text| {
        batches(
            Batches::evaluation(text, options.batch, options.unroll),
            words,
        )
    };
    assert_eq!(read(plain), read(cached), "evaluation");
}

/// The first batches. `None` if there is an error.
fn batches(batches: Result<Batches>, words: usize) -> Option<Vec<Batch>> {
    let read = batches.and_then(|batches| batches.take(STEPS).collect::<Result<Vec<Batch>>>());
    let read = accepted(read, &[Kind::Data])?;
    for batch in &read {
        for id in batch.inputs.iter().chain(&batch.targets) {
            let is_word = (*id as usize) < words || *id == wlstm::corpus::IGNORE;
            assert!(is_word, "id {id} of {words} words");
        }
    }
    Some(read)
}
