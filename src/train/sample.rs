//! A few lines that a model makes up when its training has ended.

use std::time::{Duration, Instant};

use super::generate::{Choice, Generator};
use super::session::{Predictor, TrainingSession};
use crate::config::Tokens;
use crate::corpus::{Vocabulary, detokenise};
use crate::error::Result;

/// No more words are made up after this time.
const TIME: Duration = Duration::from_secs(5);

/// The largest vocabulary that a device in software draws samples from.
const WORDS: usize = 200_000;

/// Whether a sample would take minutes a word.
pub fn is_too_slow(session: &TrainingSession) -> bool {
    session.vocabulary() > WORDS && session.is_emulated()
}

/// Some words of the model of a session, as text: fewer where a word takes long.
///
/// # Errors
///
/// As [`Generator::words`].
pub fn sample(predictor: Predictor<'_>, words: &Vocabulary) -> Result<String> {
    let kind = predictor.config().data.tokens;
    let count = if kind == Tokens::Characters { 300 } else { 60 };
    let choice = Choice {
        temperature: 0.7,
        top_k: 0,
        top_p: 1.0,
        seed: predictor.config().train.seed,
    };
    let mut generator = Generator::new(predictor, words, &[], choice, 0)?;
    // With a large vocabulary on a slow device a word takes its time.
    let begin = Instant::now();
    let mut ids = Vec::new();
    while ids.len() < count && begin.elapsed() < TIME {
        ids.push(generator.words()?[0].id);
    }
    let text = detokenise(ids.iter().map(|id| words.word(*id)), kind);
    Ok(text.trim().to_owned())
}
