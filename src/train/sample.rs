//! A short text that a model generates at the end of its training.

use std::time::{Duration, Instant};

use super::generate::{Generator, Sampling};
use super::session::{Predictor, TrainingSession};
use crate::config::Tokens;
use crate::corpus::{Vocabulary, detokenise};
use crate::error::Result;

/// Generation ends after this time.
const TIME: Duration = Duration::from_secs(5);

/// The largest vocabulary for which an emulated GPU generates a sample.
const WORDS: usize = 200_000;

/// Whether a sample would take minutes per word.
pub fn is_too_slow(session: &TrainingSession) -> bool {
    session.vocabulary() > WORDS && session.is_emulated()
}

/// Generates a short text: 300 characters or 60 words, or as many as there is time for.
///
/// # Errors
///
/// Same as [`Generator::words`].
pub fn sample(predictor: Predictor<'_>, words: &Vocabulary) -> Result<String> {
    let kind = predictor.config().data.tokens;
    let count = if kind == Tokens::Characters { 300 } else { 60 };
    let sampling = Sampling {
        temperature: 0.7,
        top_k: 0,
        top_p: 1.0,
        seed: predictor.config().train.seed,
    };
    let mut generator = Generator::new(predictor, words, &[], sampling, 0)?;
    let begin = Instant::now();
    let mut ids = Vec::new();
    while ids.len() < count && begin.elapsed() < TIME {
        ids.push(generator.words()?[0].id);
    }
    let text = detokenise(ids.iter().map(|id| words.word(*id)), kind);
    Ok(text.trim().to_owned())
}
