//! The final evaluation of a run whose validations covered only part of the validation text: the last and the best parameters
//! are evaluated on all of it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::trainer::Trainer;
use crate::checkpoint::Checkpoint;
use crate::config::Automatic;
use crate::corpus::Text;
use crate::error::Result;
use crate::metrics::{self, Line};
use crate::model::parameter_set::ParameterSet;
use crate::train::collective::all_agree;

impl Trainer<'_> {
    /// Evaluates the last parameters and those of the best checkpoint on all targets, unless the metrics already have the
    /// result. Does nothing if validations covered all targets, or if the configuration gives their number.
    ///
    /// Afterwards the session has the parameters of the best checkpoint, and can neither train nor be saved.
    pub fn conclude(&mut self) -> Result<()> {
        let is_automatic = self.run.config.train.validate_targets == Automatic::Auto;
        let Some(text) = self.run.valid.clone().filter(|_| is_automatic) else {
            return Ok(());
        };
        let begin = Instant::now();
        let found = if self.run.session.is_root() {
            self.evaluate_on_all(&text)
        } else {
            Ok(())
        };
        self.clock.leave_out(begin);
        all_agree(self.run.session.collective(), found, &mut [])
    }

    fn evaluate_on_all(&mut self, text: &Text) -> Result<()> {
        let (last, best) = (self.run.progress.step, self.run.progress.best);
        let (Some((best, _)), Some(folder)) = (best, self.run.folder) else {
            return Ok(());
        };
        if self.targets() == 0 {
            return Ok(());
        }
        let all = self.all_targets;
        let lines = metrics::read(&folder.metrics_path())?;
        let known = lines.iter().filter_map(|line| match line {
            Line::Valid(valid) if valid.targets == all => Some(valid.step),
            _ => None,
        });
        let known: BTreeSet<u64> = known.collect();
        if !known.contains(&last) {
            self.measure_on_all(text, last)?;
        }
        if !known.contains(&best) && best != last {
            match Checkpoint::open(&folder.checkpoint_path(best)) {
                Ok(checkpoint) => {
                    let set = ParameterSet::after(self.run.config, best);
                    self.run.session.load_set(&checkpoint, set)?;
                    self.measure_on_all(text, best)?;
                }
                Err(error) => tracing::warn!(
                    "cannot evaluate the best parameters on all targets: {}",
                    error.chain()
                ),
            }
        }
        Ok(())
    }

    fn measure_on_all(&mut self, text: &Text, step: u64) -> Result<()> {
        let begin = Instant::now();
        let found = self.evaluate(text, 0, step)?;
        let took = begin.elapsed().as_secs_f64();
        self.record(step, &found, took, None)?;
        if let Some(output) = &mut self.output {
            output
                .checkpointer
                .measured_on_all(step, found.perplexity())?;
        }
        Ok(())
    }
}
