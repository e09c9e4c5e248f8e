//! The state of the training loop.

use std::collections::VecDeque;
use std::time::Instant;

use super::checkpointer::Checkpointer;
use super::clock::Clock;
use super::request::Run;
use super::when::When;
use crate::corpus::{Position, Text};
use crate::device::describe_system;
use crate::error::Result;
use crate::metrics::{
    self,
    tensorboard::{EventWriter, Histogram},
};
use crate::train::watch::Event;

/// A run in its loop.
pub(super) struct Trainer<'a> {
    pub run: Run<'a>,
    /// The writer of the run folder, on the root process.
    pub output: Option<RunOutput<'a>>,
    /// Steps that were started and not fetched, oldest first.
    pub in_flight: VecDeque<InFlightStep>,
    /// Steps done before this process began.
    pub resumed: u64,
    pub clock: Clock,
    /// The steps of the whole run, if they are known.
    pub total_steps: Option<u64>,
    pub epoch_steps: u64,
    /// When validations are due.
    pub when: When,
    /// The number of parts of the run that were done at the last validation.
    pub parts: u64,
    /// The number of targets of the validation text.
    pub all_targets: u64,
    /// Seconds of the last validation.
    pub validation_seconds: Option<f64>,
    /// Whether the run has reported that validation does not use the moving average.
    pub explained: bool,
    /// Whether the run has warned about a perplexity worse than random guessing.
    pub warned: bool,
    /// The text that the model generated at the end.
    pub sample: Option<String>,
}

/// What the root process writes.
pub(super) struct RunOutput<'a> {
    pub metrics: metrics::Writer,
    pub checkpointer: Checkpointer<'a>,
}

/// A step that was started.
pub(super) struct InFlightStep {
    /// The number of steps done with it.
    pub step: u64,
    pub epoch: u64,
    pub words: usize,
    pub unknown: usize,
    /// Positions of the batch divided by those that are not padding.
    pub padding_factor: f64,
    pub learning_rate: f64,
    /// The position in the text after its batch.
    pub position: Position,
}

impl<'a> Trainer<'a> {
    /// Opens the files of the run folder and announces the start.
    pub fn start(run: Run<'a>, epoch_steps: u64) -> Result<Trainer<'a>> {
        let all_targets = run.valid.as_ref().map_or(Ok(0), Text::targets)?;
        let train = &run.config.train;
        let output = open_output(&run)?;
        (run.watch)(Event::Start {
            devices: run.session.describe(),
            parameters: run.session.parameter_count(),
            resumed: run.progress.step,
            epoch_steps,
            memory: run.session.allocated_bytes(),
        });
        let by_epochs = (train.epochs > 0).then(|| train.epochs.saturating_mul(epoch_steps));
        let by_steps = (train.steps > 0).then_some(train.steps);
        let mut trainer = Trainer {
            output,
            in_flight: VecDeque::new(),
            resumed: run.progress.step,
            clock: Clock::start(run.progress.seconds),
            total_steps: by_epochs.into_iter().chain(by_steps).min(),
            epoch_steps,
            when: When::of(run.config),
            parts: 0,
            all_targets,
            validation_seconds: None,
            explained: false,
            warned: false,
            sample: None,
            run,
        };
        trainer.count_parts();
        trainer.announce_validations();
        Ok(trainer)
    }

    /// Steps done or in flight.
    pub fn started(&self) -> u64 {
        self.run.progress.step + self.in_flight.len() as u64
    }

    /// Waits for all steps in flight.
    pub fn drain(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.fetch()?;
        }
        Ok(())
    }

    /// Lets other runs use the device, if this one's turn is over.
    pub fn take_turns(&mut self) -> Result<()> {
        if let Some(turns) = self.run.turns.filter(|turns| turns.is_over()) {
            self.drain()?;
            let begin = Instant::now();
            turns.wait();
            self.clock.leave_out(begin);
        }
        Ok(())
    }

    /// Writes histograms of the weights and the kept gradients.
    pub fn write_histograms(&mut self) -> Result<()> {
        self.drain()?;
        let begin = Instant::now();
        let output = self.output.as_mut();
        if let Some(events) = output.and_then(|output| output.metrics.tensorboard()) {
            let mut histograms: Vec<(String, Histogram)> = Vec::new();
            self.run
                .session
                .visit(|name, values| match histograms.last_mut() {
                    Some((last, histogram)) if last == name => histogram.add(values),
                    _ => {
                        let mut histogram = Histogram::default();
                        histogram.add(values);
                        histograms.push((name.to_owned(), histogram));
                    }
                })?;
            events.histograms(self.run.progress.step, &histograms)?;
        }
        self.clock.leave_out(begin);
        Ok(())
    }
}

/// On the root process: creates or continues the metrics, and opens the record of checkpoints.
fn open_output<'a>(run: &Run<'a>) -> Result<Option<RunOutput<'a>>> {
    let Some(folder) = run.folder else {
        return Ok(None);
    };
    folder.begin()?;
    let train = &run.config.train;
    let resumed = run.progress.step;
    let devices = run.session.describe();
    let path = folder.metrics_path();
    let mut metrics = if resumed == 0 && !path.exists() {
        metrics::Writer::create(&path, train.log_every)?
    } else {
        let validated = run.progress.validated == Some(resumed);
        metrics::Writer::resume(&path, train.log_every, resumed, validated)?
    };
    folder.write_config(&run.config.to_toml())?;
    let mut events = EventWriter::create(&folder.tensorboard_path(), resumed)?;
    events.text("configuration", resumed, &run.config.to_toml())?;
    metrics.attach_tensorboard(events);
    let checkpointer = Checkpointer::open(folder, &run.name, &devices, train, &run.progress)?;
    metrics.start(metrics::Start {
        system: describe_system(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: run.name.clone(),
        digest: run.config.digest(),
        devices,
        parameters: run.session.parameter_count(),
        vocabulary: Some(run.session.vocabulary()),
        resumed,
        memory: run.session.allocated_bytes(),
    })?;
    Ok(Some(RunOutput {
        metrics,
        checkpointer,
    }))
}
