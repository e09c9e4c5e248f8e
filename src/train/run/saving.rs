//! Writes checkpoints, also after the loss of a device.

use std::time::Instant;

use super::trainer::Trainer;
use crate::error::Result;
use crate::train::collective::all_agree;
use crate::train::watch::Event;

impl Trainer<'_> {
    /// Writes a checkpoint, unless this state has one.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.drain()?;
        let begin = Instant::now();
        let (run, output) = (&mut self.run, &mut self.output);
        let is_due = output
            .as_ref()
            .is_some_and(|output| output.checkpointer.is_due(&run.progress));
        let mut due = [f64::from(is_due)];
        run.session.collective().all_reduce_f64(&mut due)?;
        if due[0] == 0.0 {
            return Ok(());
        }
        // Every rank has the states of its own streams.
        let states = run.session.gather_states()?;
        let written = match output {
            Some(output) => {
                let vocabulary = run.train.vocabulary();
                let (config, progress) = (run.config, &run.progress);
                let checkpointer = &mut output.checkpointer;
                // The metrics of the steps of a checkpoint are on the disk before the checkpoint.
                output.metrics.sync().and_then(|()| {
                    checkpointer
                        .save(run.session, &states, config, progress, vocabulary)
                        .map(Some)
                })
            }
            None => Ok(None),
        };
        let written = all_agree(run.session.collective(), written, &mut []);
        self.clock.leave_out(begin);
        if let Some(path) = written? {
            (self.run.watch)(Event::Checkpoint { path });
        }
        Ok(())
    }

    /// After the loss of a device: saves the steps that another device has completed.
    pub fn rescue(&mut self) -> Result<()> {
        self.run.session.rescue()?;
        let completed = self.resumed + self.run.session.updates();
        while let Some(step) = self.in_flight.pop_front() {
            if step.step > completed {
                break;
            }
            let progress = &mut self.run.progress;
            progress.step = step.step;
            progress.epoch = step.epoch;
            progress.count(step.words, step.unknown);
            progress.position = Some(step.position);
        }
        self.in_flight.clear();
        if self.run.progress.step == 0 {
            // There is nothing to save before the first step.
            return Ok(());
        }
        self.checkpoint()
    }
}
