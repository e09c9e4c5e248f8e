//! Perplexity: the full softmax over every target of a text exactly once, state carried, padding never counted.

use super::session::Session;
use crate::corpus::{Batch, Batches, IGNORE, Loader, Text};
use crate::device::Data;
use crate::error::{Error, Kind, Result};
use crate::model::language_model::Extent;

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The total negative log-likelihood, in nats.
    pub nll: f64,
    /// The targets.
    pub targets: u64,
    /// Targets that the vocabulary knows only as the unknown word.
    pub unknown: u64,
}

impl Evaluation {
    /// Of no target.
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

/// The streams and steps that evaluations of a configuration use: those of training.
pub fn extent(config: &crate::config::Config) -> Extent {
    Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    }
}

/// Evaluates a text, or its first `targets` targets in the order of batches (0: all). `watch` hears the batches done and all, and can stop it.
///
/// # Errors
///
/// [`Kind::Data`] if the text has no target or is not UTF-8, [`Kind::Device`] if the device is lost or out of memory, and
/// what `watch` returns.
pub fn evaluate(
    session: &mut Session,
    text: &Text,
    targets: u64,
    mut watch: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Evaluation> {
    let extent = extent(session.config());
    session.load_evaluation(extent)?;
    session.reset_evaluation()?;
    let batches = Batches::evaluation(text, extent.batch, extent.unroll)?;
    let most = match targets {
        0 => u64::MAX,
        targets => targets,
    };
    let rows = (extent.batch * extent.unroll) as u64;
    let total = batches.epoch_steps()?.min(most.div_ceil(rows));
    let mut found = Evaluation {
        nll: 0.0,
        targets: 0,
        unknown: 0,
    };
    let mut done = 0;
    for batch in Loader::spawn(batches, |batch| batch)? {
        let mut batch = batch?;
        keep(
            &mut batch,
            most - found.targets,
            text.vocabulary().unknown(),
        );
        let inputs = vec![
            ("inputs", Data::Index(batch.inputs)),
            ("targets", Data::Index(batch.targets)),
        ];
        let nll = session.evaluate(&inputs)?;
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

/// Makes padding of all targets after the first `targets`, time by time.
fn keep(batch: &mut Batch, targets: u64, unknown: u32) {
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
