//! Validates, and keeps track of the best validation.

use std::time::Instant;

use super::trainer::Trainer;
use super::useless::worse_than_guessing;
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
        let step = progress.step;
        self.explain_parameters(step);
        let begin = Instant::now();
        let found = self.evaluate_on_root(&text);
        self.clock.leave_out(begin);
        let took = begin.elapsed().as_secs_f64();
        self.validation_seconds = Some(took);
        let found = found?;
        let mean = found.nll / found.targets as f64;
        let best = self.run.progress.record_validation(mean, due);
        self.record(step, &found, took, Some(best))?;
        let words = self.run.session.vocabulary();
        let perplexity = found.perplexity();
        let warning = worse_than_guessing(self.run.config, words, perplexity, step);
        if let Some(text) = warning.filter(|_| !self.warned) {
            self.warned = true;
            (self.run.watch)(Event::Warning { text });
        }
        if let Some(output) = &mut self.output {
            output
                .checkpointer
                .validated(step, found.perplexity(), best);
        }
        Ok(best)
    }

    /// Writes and reports a result for the parameters after `step` steps. `took`: its duration in seconds. `best`: whether it
    /// is the best validation so far; `None` for the final evaluation on all targets.
    pub fn record(
        &mut self,
        step: u64,
        found: &Evaluation,
        took: f64,
        best: Option<bool>,
    ) -> Result<()> {
        let set = ParameterSet::after(self.run.config, step);
        let progress = &mut self.run.progress;
        progress.validations += 1;
        progress.validation_seconds += took;
        let valid = metrics::Valid {
            step,
            nll: found.nll,
            targets: found.targets,
            perplexity: found.perplexity(),
            seconds: progress.seconds,
            unknown: Some(found.unknown),
            unknown_trained: progress.unknown,
            average: (self.run.config.train.ema > 0.0).then_some(set == ParameterSet::Average),
            unigram: found.unigram_perplexity(),
            bytes: Some(found.bytes),
            bits_per_byte: found.bits_per_byte(),
        };
        if let Some(output) = &mut self.output {
            match best {
                Some(_) => output.metrics.valid(valid.clone())?,
                None => output.metrics.valid_on_all(valid.clone())?,
            }
        }
        let unlearned = valid.is_unlearned() && !self.will_meet_unknown_words();
        (self.run.watch)(Event::Valid {
            step,
            epoch: self.run.progress.epoch,
            seconds: valid.seconds,
            perplexity: valid.perplexity,
            bits_per_byte: valid.bits_per_byte,
            unigram: valid.unigram,
            unknown: found.share_unknown(),
            unlearned,
            best: best.unwrap_or_default(),
            on_all: best.is_none().then_some(found.targets),
            took,
        });
        Ok(())
    }

    /// Evaluates on the root process and broadcasts the result. An error or an interruption is reported on all processes.
    fn evaluate_on_root(&mut self, text: &Text) -> Result<Evaluation> {
        let found = if self.run.session.is_root() {
            let targets = self.targets();
            self.evaluate(text, targets, self.run.progress.step)
        } else {
            Ok(Evaluation::NONE)
        };
        let own = found.as_ref().unwrap_or(&Evaluation::NONE);
        // Only the root records the bytes and the unigram model.
        let (bytes, unigram) = (own.bytes, own.unigram);
        let mut numbers = [own.nll, own.targets as f64, own.unknown as f64];
        all_agree(self.run.session.collective(), found, &mut numbers)?;
        let [nll, targets, unknown] = numbers;
        Ok(Evaluation {
            nll,
            targets: targets as u64,
            unknown: unknown as u64,
            bytes,
            unigram,
        })
    }

    /// Evaluates the parameters after `step` steps on this process.
    pub fn evaluate(&mut self, text: &Text, targets: u64, step: u64) -> Result<Evaluation> {
        let set = ParameterSet::after(self.run.config, step);
        let (stop, watch) = (self.run.stop, &mut *self.run.watch);
        let evaluator = self.run.session.evaluator(set)?;
        evaluate(evaluator, text, targets, |done, total| {
            // The total is 0 until it is known.
            if total > 0 {
                watch(Event::Validating { done, total });
            }
            let interrupted = |kind| Err(Error::new(kind, "interrupted"));
            stop.asked().map_or(Ok(()), interrupted)
        })
    }

    /// Reports once why validation does not use the moving average.
    fn explain_parameters(&mut self, step: u64) {
        let next = next_average(self.run.config, step).filter(|_| !self.explained);
        if let Some(next) = next {
            self.explained = true;
            let (ema, next) = (self.run.config.train.ema, grouped(next));
            let text = format!(
                "Validation uses the parameters instead of their moving average before step {next}: until then, the initial \
                 parameters have a weight of more than 10 % in it (`train.ema = {ema:?}`)."
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
