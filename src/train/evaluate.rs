//! The perplexity of a text: the full softmax over every target exactly once. Recurrent states carry over,
//! padding is not counted.

use super::session::Evaluator;
use crate::corpus::{Batch, Batches, IGNORE, Loader, Text};
use crate::error::{Error, Kind, Result};

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The total negative log-likelihood, in nats.
    pub nll: f64,
    /// The number of targets.
    pub targets: u64,
    /// Targets that are not in the vocabulary and count as the unknown word.
    pub unknown: u64,
}

impl Evaluation {
    /// The evaluation of no target.
    pub const NONE: Evaluation = Evaluation {
        nll: 0.0,
        targets: 0,
        unknown: 0,
    };

    /// `exp(nll / targets)`.
    pub fn perplexity(&self) -> f64 {
        (self.nll / self.targets as f64).exp()
    }

    /// The share of the targets that are unknown words.
    pub fn share_unknown(&self) -> f64 {
        self.unknown as f64 / self.targets as f64
    }
}

/// Evaluates a text, or its first `targets` targets in the order of batches (0: all of them). After each
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
    let batches = Batches::evaluation(text, extent.batch, extent.unroll)?;
    let most = if targets == 0 { u64::MAX } else { targets };
    let rows = (extent.batch * extent.unroll) as u64;
    let total = batches.epoch_steps()?.min(most.div_ceil(rows));
    let mut found = Evaluation::NONE;
    let mut done = 0;
    for batch in Loader::spawn(batches, |batch| batch)? {
        let mut batch = batch?;
        truncate(
            &mut batch,
            most - found.targets,
            text.vocabulary().unknown(),
        );
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
    Ok(found)
}

/// Turns all targets after the first `targets` into padding. Targets are counted step by step, over all streams.
fn truncate(batch: &mut Batch, targets: u64, unknown: u32) {
    if targets >= batch.words as u64 {
        return;
    }
    (batch.words, batch.unknown) = (0, 0);
    for target in batch.targets.iter_mut().filter(|target| **target != IGNORE) {
        if batch.words as u64 == targets {
            *target = IGNORE;
        } else {
            batch.words += 1;
            batch.unknown += usize::from(*target == unknown);
        }
    }
}
