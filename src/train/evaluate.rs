//! The perplexity of a text: the exact probability of every target once, by the full or the adaptive softmax. Recurrent states carry over,
//! padding is not counted.

use super::session::Evaluator;
use crate::corpus::{Batch, Batches, IGNORE, Loader, Text, Unigram};
use crate::error::{Error, Kind, Result};
use crate::numbers::bits_per_byte;

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The total negative log-likelihood, in nats.
    pub nll: f64,
    /// The number of targets.
    pub targets: u64,
    /// Targets that are not in the vocabulary and count as the unknown word.
    pub unknown: u64,
    /// The UTF-8 bytes of the targets, line ends included, each with the white space before it.
    pub bytes: u64,
    /// The total negative log-likelihood under the unigram model of the vocabulary; see [`Unigram`]. `None` if the vocabulary
    /// has no counts, or if more than 1 % of the targets are unknown words but the count of the unknown word is 0.
    pub unigram: Option<f64>,
}

impl Evaluation {
    /// The evaluation of no target.
    pub const NONE: Evaluation = Evaluation {
        nll: 0.0,
        targets: 0,
        unknown: 0,
        bytes: 0,
        unigram: None,
    };

    /// `exp(nll / targets)`.
    pub fn perplexity(&self) -> f64 {
        (self.nll / self.targets as f64).exp()
    }

    /// The total negative log-likelihood in bits, divided by the bytes of the targets. A lower bound if targets are unknown words:
    /// see [`Evaluation::is_lower_bound`]. `None` without bytes.
    pub fn bits_per_byte(&self) -> Option<f64> {
        bits_per_byte(self.nll, self.bytes)
    }

    /// Whether [`Evaluation::bits_per_byte`] is a lower bound: targets are unknown words, and the bits that identify these words
    /// are not counted.
    pub fn is_lower_bound(&self) -> bool {
        self.unknown > 0
    }

    /// The perplexity of the unigram model.
    pub fn unigram_perplexity(&self) -> Option<f64> {
        Some((self.unigram? / self.targets as f64).exp())
    }

    /// The share of the targets that are unknown words.
    pub fn share_unknown(&self) -> f64 {
        self.unknown as f64 / self.targets as f64
    }
}

/// Evaluates a text on `targets` targets, sampled evenly from the whole text (0: all; see [`Batches::spread`]). After each
/// batch calls `watch` with the number of batches done and the number of all; an error that it returns ends
/// the evaluation.
///
/// # Errors
///
/// [`Kind::Data`] if the text has no target or is not UTF-8, [`Kind::Device`] if the device is lost, [`Kind::Diverged`] if the
/// perplexity is not finite, and what `watch` returns.
pub fn evaluate(
    mut evaluator: Evaluator<'_>,
    text: &Text,
    targets: u64,
    mut watch: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Evaluation> {
    let extent = evaluator.extent();
    evaluator.reset()?;
    let batches = Batches::spread(text, extent.batch, extent.unroll, targets)?;
    let most = if targets == 0 { u64::MAX } else { targets };
    let total = batches.epoch_steps()?;
    let is_of_part = batches.is_of_part();
    let mut found = Evaluation::NONE;
    let unigram = Unigram::of(text.vocabulary());
    let mut of_unigram = 0.0;
    let mut done = 0;
    for batch in Loader::spawn(batches, |batch| batch)? {
        let mut batch = batch?;
        truncate(
            &mut batch,
            most - found.targets,
            text.vocabulary().unknown_target(),
        );
        // A new window begins.
        if batch.reset && done > 0 {
            evaluator.zero_states()?;
        }
        if let Some(unigram) = &unigram {
            let counted = batch.targets.iter().filter(|target| **target != IGNORE);
            of_unigram += counted.map(|id| unigram.loss(*id)).sum::<f64>();
        }
        found.bytes += batch.bytes.iter().sum::<u64>();
        let nll = evaluator.losses(batch.inputs, batch.targets)?;
        found.nll += nll.iter().sum::<f64>();
        found.targets += batch.words as u64;
        found.unknown += batch.unknown as u64;
        done += 1;
        watch(done, total.max(done))?;
        if found.targets == most {
            break;
        }
    }
    if !(found.nll.is_finite() && found.perplexity().is_finite()) {
        let mean = found.nll / found.targets as f64;
        return Err(Error::new(
            Kind::Diverged,
            format!("the perplexity of the evaluation is not finite: the mean loss is {mean}"),
        )
        .help("train again with a smaller learning rate"));
    }
    if !is_of_part {
        found.bytes = text.target_bytes()?;
    }
    let means = |unigram: &Unigram| unigram.is_meaningful(found.targets, found.unknown);
    found.unigram = unigram.filter(means).map(|_| of_unigram);
    Ok(found)
}

/// Turns all targets after the first `targets` into padding. Targets are counted step by step, over all streams.
fn truncate(batch: &mut Batch, targets: u64, unknown: Option<u32>) {
    if targets >= batch.words as u64 {
        return;
    }
    (batch.words, batch.unknown) = (0, 0);
    for (row, target) in batch.targets.iter_mut().enumerate() {
        if *target == IGNORE {
            continue;
        }
        if batch.words as u64 == targets {
            *target = IGNORE;
            if let Some(bytes) = batch.bytes.get_mut(row) {
                *bytes = 0;
            }
        } else {
            batch.words += 1;
            batch.unknown += usize::from(Some(*target) == unknown);
        }
    }
}
