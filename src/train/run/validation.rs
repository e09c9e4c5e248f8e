//! Validates, and keeps track of the best validation.

use std::time::Instant;

use super::trainer::Trainer;
use crate::corpus::Text;
use crate::error::{Error, Result};
use crate::metrics;
use crate::model::parameter_set::{ParameterSet, next_average};
use crate::numbers::grouped;
use crate::train::collective::all_agree;
use crate::train::evaluate::{Evaluation, evaluate};
use crate::train::watch::Event;

impl Trainer<'_> {
    /// Validates, unless this step was validated already. Returns whether the result is the best so far: then
    /// a checkpoint is due. Only validations that are `due` influence the schedule.
    pub fn validate(&mut self, due: bool) -> Result<bool> {
        let progress = &self.run.progress;
        let Some(text) = self.run.valid.clone() else {
            return Ok(false);
        };
        if progress.validated == Some(progress.step) {
            return Ok(false);
        }
        let (step, epoch, seconds) = (progress.step, progress.epoch, progress.seconds);
        let set = ParameterSet::after(self.run.config, step);
        self.explain_parameters(step);
        let begin = Instant::now();
        let found = self.evaluate_on_root(&text, set);
        self.clock.leave_out(begin);
        self.validation_seconds = Some(begin.elapsed().as_secs_f64());
        let found = found?;
        let perplexity = found.perplexity();
        let valid = metrics::Valid {
            step,
            nll: found.nll,
            targets: found.targets,
            perplexity,
            seconds,
            unknown: Some(found.unknown),
            unknown_trained: self.run.progress.unknown,
            average: (self.run.config.train.ema > 0.0).then_some(set == ParameterSet::Average),
        };
        if let Some(output) = &mut self.output {
            output.metrics.valid(valid.clone())?;
        }
        let mean = found.nll / found.targets as f64;
        let best = self.run.progress.record_validation(mean, due);
        let unlearned = valid.is_unlearned() && !self.will_meet_unknown_words();
        (self.run.watch)(Event::Valid {
            step,
            epoch,
            seconds,
            perplexity,
            unknown: found.share_unknown(),
            unlearned,
            best,
        });
        if let Some(output) = &mut self.output {
            output.checkpointer.validated(step, perplexity, best);
        }
        Ok(best)
    }

    /// Evaluates on the root process and tells all the result. If the evaluation fails or is interrupted, it does so on all.
    fn evaluate_on_root(&mut self, text: &Text, set: ParameterSet) -> Result<Evaluation> {
        let targets = self.run.config.train.validate_targets;
        let (stop, watch) = (self.run.stop, &mut *self.run.watch);
        let session = &mut *self.run.session;
        let found = if session.is_root() {
            session.evaluator(set).and_then(|evaluator| {
                evaluate(evaluator, text, targets, |done, total| {
                    // The total is 0 until it is known.
                    if total > 0 {
                        watch(Event::Validating { done, total });
                    }
                    let interrupted = |kind| Err(Error::new(kind, "interrupted"));
                    stop.asked().map_or(Ok(()), interrupted)
                })
            })
        } else {
            Ok(Evaluation::NONE)
        };
        let own = found.as_ref().unwrap_or(&Evaluation::NONE);
        let mut numbers = [own.nll, own.targets as f64, own.unknown as f64];
        all_agree(session.collective(), found, &mut numbers)?;
        let [nll, targets, unknown] = numbers;
        Ok(Evaluation {
            nll,
            targets: targets as u64,
            unknown: unknown as u64,
        })
    }

    /// Says once why validation does not use the moving average.
    fn explain_parameters(&mut self, step: u64) {
        let next = next_average(self.run.config, step).filter(|_| !self.explained);
        if let Some(next) = next {
            self.explained = true;
            let (ema, next) = (self.run.config.train.ema, grouped(next));
            let text = format!(
                "Validation uses the parameters themselves before step {next}: until then, more than 10 % of their moving \
                 average (`train.ema = {ema:?}`) are initial values."
            );
            (self.run.watch)(Event::Note { text });
        }
    }

    /// Whether the training text is known to have unknown words: if the vocabulary was built from it and left some out.
    fn will_meet_unknown_words(&self) -> bool {
        let words = self.run.train.vocabulary();
        self.run.config.data.vocab.is_none() && words.count(words.unknown()) > 0
    }
}
