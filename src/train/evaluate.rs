//! Perplexity: the full softmax over every target of a text exactly once, state carried, padding never counted.

use super::session::Session;
use crate::corpus::{Batches, Loader, Text};
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
    /// `exp(nll / targets)`.
    pub fn perplexity(&self) -> f64 {
        (self.nll / self.targets as f64).exp()
    }
}

/// The streams and steps that evaluations of a configuration use: those of training.
pub fn extent(config: &crate::config::Config) -> Extent {
    Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    }
}

/// Evaluates a text. `watch` hears the batches done and all, and can stop it.
///
/// # Errors
///
/// [`Kind::Data`] if the text has no target or is not UTF-8, [`Kind::Device`] if the device is lost or out of memory, and
/// what `watch` returns.
pub fn evaluate(
    session: &mut Session,
    text: &Text,
    mut watch: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Evaluation> {
    let extent = extent(session.config());
    session.load_evaluation(extent)?;
    session.reset_evaluation()?;
    let batches = Batches::evaluation(text, extent.batch, extent.unroll)?;
    let total = batches.epoch_steps()?;
    let mut found = Evaluation {
        nll: 0.0,
        targets: 0,
        unknown: 0,
    };
    let mut done = 0;
    for batch in Loader::spawn(batches, |batch| batch)? {
        let batch = batch?;
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
