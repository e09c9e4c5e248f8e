//! A short text that a model generates at the end of its training.

use std::time::{Duration, Instant};

use super::generate::{Generator, Sampling};
use super::session::{Predictor, TrainingSession};
use crate::config::{Softmax, Tokens};
use crate::corpus::{Vocabulary, detokenise};
use crate::error::Result;

/// Generation ends after this time.
const TIME: Duration = Duration::from_secs(5);

/// The largest vocabulary for which an emulated GPU generates a sample with a full softmax.
const WORDS: usize = 200_000;

/// Whether an emulated GPU would need minutes per word. An adaptive softmax is fast enough for any vocabulary.
pub fn is_too_slow(session: &TrainingSession) -> bool {
    let is_adaptive = matches!(session.config().softmax, Softmax::Adaptive(_));
    session.vocabulary() > WORDS && !is_adaptive && session.is_emulated()
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
