//! The training loop.
//!
//! In order: batch, forward, backward and update (one plan), report; at the ends of epochs and at intervals validation and
//! checkpoint. Time is counted in optimizer steps. On devices that work beside the host a step is in flight while the next
//! one starts, so losses are heard one step late; before a validation or a checkpoint every step is fetched.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use super::checkpointer::Checkpointer;
use super::clock::Clock;
use super::collective::all_agree;
use super::evaluate::{Evaluation, evaluate};
use super::plans::evaluation_extent;
use super::prepare::{Prepared, Preparer};
use super::progress::Progress;
use super::sample::{is_too_slow, sample};
use super::schedule::{Moment, learning_rate};
use super::session::{StepResult, TrainingSession};
use super::update::control;
use super::watch::{Event, Stop, Turns};
use crate::checkpoint::{RunFolder, SavedCheckpoint, Status};
use crate::config::{Config, Precision, Tokens, TrainConfig};
use crate::corpus::{BatchOptions, Batches, Loader, Position, Text};
use crate::device::describe_system;
use crate::error::{Error, Kind, Result};
use crate::metrics::{
    self,
    tensorboard::{Board, Histogram},
};
use crate::numbers::counted;

/// What a run needs.
pub struct Run<'a> {
    /// The resolved configuration.
    pub config: &'a Config,
    /// The name of the configuration, for people.
    pub name: String,
    /// The model on its device.
    pub session: &'a mut TrainingSession,
    /// The training text.
    pub train: Text,
    /// The validation text.
    pub valid: Option<Text>,
    /// The folder, of the rank that leads.
    pub folder: Option<&'a RunFolder>,
    /// Where it stands.
    pub progress: Progress,
    /// Asks it to stop.
    pub stop: &'a Stop,
    /// If it shares its device with others. While they go on its time stands still.
    pub turns: Option<&'a dyn Turns>,
    /// Hears what happens.
    pub watch: &'a mut dyn FnMut(Event),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// In words.
    pub reason: String,
    /// Where it stands.
    pub progress: Progress,
    /// The best checkpoint.
    pub best: Option<SavedCheckpoint>,
    /// What the model makes up, if that does not take too long.
    pub sample: Option<String>,
}

/// A step on its way.
struct Pending {
    step: u64,
    epoch: u64,
    words: usize,
    unknown: usize,
    /// Positions of the batch a word.
    whole: f64,
    learning_rate: f64,
    position: Position,
}

/// What the rank that leads keeps of a run.
struct Leader<'a> {
    metrics: metrics::Writer,
    checkpointer: Checkpointer<'a>,
}

struct Loop<'a> {
    run: Run<'a>,
    leader: Option<Leader<'a>>,
    pending: VecDeque<Pending>,
    /// The steps that were done before.
    begin: u64,
    clock: Clock,
    /// The steps of the whole run, where they are known.
    total: Option<u64>,
    epoch_steps: u64,
    /// Seconds of the last validation.
    last_pause: Option<f64>,
    /// What the model makes up.
    made_up: Option<String>,
}

/// Trains until a limit, a signal or a failure ends the run.
///
/// # Errors
///
/// [`Kind::Interrupted`] and [`Kind::Terminated`] after a signal, with everything saved; [`Kind::Diverged`] when a loss, its
/// perplexity or a gradient is not finite, with the checkpoints before; [`Kind::Data`] and [`Kind::Device`].
pub fn train(run: Run<'_>) -> Result<Outcome> {
    let training = BatchOptions {
        batch: run.config.train.batch * run.session.division().parts(),
        unroll: run.config.train.unroll,
        shuffle: run.config.data.shuffle,
        seed: run.config.train.seed,
        epochs: run.config.train.epochs,
    };
    let batches = match &run.progress.position {
        Some(position) => Batches::resume(&run.train, &training, position)?,
        None => Batches::training(&run.train, &training)?,
    };
    let epoch_steps = batches.epoch_steps()?.max(1);
    if let Some(text) = &run.valid {
        // What cannot be validated, for its text or for want of memory, is said before any work and not after an epoch.
        let extent = evaluation_extent(run.config);
        Batches::evaluation(text, extent.batch, extent.unroll)?;
        if run.session.is_root() {
            run.session.evaluator()?;
        }
    }
    let (vocabulary, division) = (run.session.vocabulary(), run.session.division());
    let mut preparer = Preparer::new(run.config, vocabulary, run.progress.step, division)?;
    let loader = Loader::spawn(batches, move |batch| preparer.prepare(batch))?;
    let mut looped = Loop::start(run, epoch_steps)?;
    let result = looped.run(loader);
    looped.finish(result)
}

impl<'a> Loop<'a> {
    fn start(run: Run<'a>, epoch_steps: u64) -> Result<Loop<'a>> {
        let train = &run.config.train;
        let resumed = run.progress.step;
        let devices = run.session.describe();
        let parameters = run.session.parameter_count();
        let leader = match run.folder {
            None => None,
            Some(folder) => {
                let path = folder.metrics_path();
                let mut metrics = match resumed {
                    0 if !path.exists() => metrics::Writer::create(&path, train.log_every)?,
                    _ => {
                        let validated = run.progress.validated == Some(resumed);
                        metrics::Writer::resume(&path, train.log_every, resumed, validated)?
                    }
                };
                folder.write_config(&run.config.to_toml())?;
                let mut board = Board::create(&folder.board_path(), resumed)?;
                board.text("configuration", resumed, &run.config.to_toml())?;
                metrics.show_on(board);
                let checkpointer =
                    Checkpointer::open(folder, &run.name, &devices, train, &run.progress)?;
                metrics.start(metrics::Start {
                    system: describe_system(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    config: run.name.clone(),
                    digest: run.config.digest(),
                    devices: devices.clone(),
                    parameters,
                    resumed,
                    memory: run.session.taken(),
                })?;
                Some(Leader {
                    metrics,
                    checkpointer,
                })
            }
        };
        (run.watch)(Event::Start {
            devices,
            parameters,
            resumed,
            epoch_steps,
            memory: run.session.taken(),
        });
        let by_epochs = (train.epochs > 0).then(|| train.epochs.saturating_mul(epoch_steps));
        let by_steps = (train.steps > 0).then_some(train.steps);
        let total = by_epochs.into_iter().chain(by_steps).min();
        let clock = Clock::start(run.progress.seconds);
        Ok(Loop {
            run,
            leader,
            pending: VecDeque::new(),
            begin: resumed,
            clock,
            total,
            epoch_steps,
            last_pause: None,
            made_up: None,
        })
    }

    /// The loop. Ends with the reason why the run ends.
    fn run(&mut self, loader: Loader<Prepared>) -> Result<String> {
        let config = self.run.config;
        let due = |every: u64, step: u64| every > 0 && step > 0 && step.is_multiple_of(every);
        if due(config.train.validate_every, self.started()) {
            // Left out if it is in the checkpoint; due if the run was stopped in the midst of it.
            if self.validate(true)? {
                self.checkpoint()?;
            }
        }
        for prepared in loader {
            self.take_turns()?;
            let (prepared, time_is_up) = self.agree(prepared)?;
            // Before the limit, so that a run that is resumed has ended the same epochs as one that was not stopped.
            if self.run.progress.epochs_ended + 1 < prepared.epoch {
                self.end_epoch(prepared.epoch - 1)?;
            }
            if let Some(reason) = self.limit(prepared.epoch, time_is_up) {
                return Ok(reason);
            }
            self.start_step(prepared)?;
            while self.pending.len() >= self.run.session.in_flight() {
                self.fetch()?;
            }
            let started = self.started();
            let mut save = due(config.train.checkpoint_every, started);
            if due(config.train.validate_every, started) {
                self.drain()?;
                save |= self.validate(true)?;
            }
            if save {
                self.checkpoint()?;
            }
            if due(config.train.histogram_every, started) {
                self.histograms()?;
            }
        }
        self.drain()?;
        let epoch = self.run.progress.epoch;
        if self.run.progress.epochs_ended < epoch {
            self.end_epoch(epoch)?;
        }
        Ok(counted(epoch, "epoch"))
    }

    /// Lets others go on, if it is time.
    fn take_turns(&mut self) -> Result<()> {
        if let Some(turns) = self.run.turns.filter(|turns| turns.is_over()) {
            self.drain()?;
            let begin = Instant::now();
            turns.wait();
            self.clock.leave_out(begin);
        }
        Ok(())
    }

    /// Steps done or on their way.
    fn started(&self) -> u64 {
        self.run.progress.step + self.pending.len() as u64
    }

    /// The batch of the next step, unless some rank has none or is asked to stop, and whether the time of the rank that leads is
    /// up: all ranks hear the same.
    fn agree(&mut self, prepared: Result<Prepared>) -> Result<(Prepared, bool)> {
        let train = &self.run.config.train;
        let prepared = prepared.and_then(|prepared| match self.run.stop.asked() {
            Some(kind) => Err(Error::new(kind, "interrupted")),
            None => Ok(prepared),
        });
        let time_is_up = train.seconds > 0.0 && self.clock.seconds() >= train.seconds;
        let collective = self.run.session.collective();
        let mut flags = [f64::from(time_is_up && collective.is_root())];
        let prepared = all_agree(collective, prepared, &mut flags)?;
        Ok((prepared, flags[0] > 0.0))
    }

    /// Why no step of this epoch is started, if so.
    fn limit(&self, epoch: u64, time_is_up: bool) -> Option<String> {
        let train = &self.run.config.train;
        if train.epochs > 0 && epoch > train.epochs {
            return Some(counted(train.epochs, "epoch"));
        }
        if train.steps > 0 && self.started() >= train.steps {
            return Some(counted(train.steps, "step"));
        }
        if time_is_up {
            return Some(format!("{} seconds", train.seconds));
        }
        None
    }

    fn start_step(&mut self, prepared: Prepared) -> Result<()> {
        let config = self.run.config;
        let step = self.started();
        if prepared.reset {
            self.run.session.reset_states()?;
        }
        let moment = Moment {
            step,
            epoch: prepared.epoch,
            stalls: self.run.progress.stalls,
        };
        let learning_rate = learning_rate(config, moment, self.total);
        // The plan takes means over whole unrolls; the last of an epoch may be shorter.
        let parts = self.run.session.division().parts();
        let positions = parts * config.train.batch * config.train.unroll;
        let whole = positions as f64 / prepared.words as f64;
        let control = control(config, step, learning_rate, whole);
        let mut inputs = prepared.inputs;
        inputs.set_control(control);
        // Before the step: if a device is lost in the midst of it, it may be done on the others.
        self.pending.push_back(Pending {
            step: step + 1,
            epoch: prepared.epoch,
            words: prepared.words,
            unknown: prepared.unknown,
            whole,
            learning_rate,
            position: prepared.position,
        });
        self.run.session.step(inputs)
    }

    /// Waits for the oldest step and reports it.
    fn fetch(&mut self) -> Result<()> {
        let StepResult { loss, norm } = self.run.session.fetch()?;
        let pending = self.pending.pop_front().expect("a step on its way");
        let (loss, grad_norm) = (loss * pending.whole, norm.value);
        let words_per_second = self.clock.lap(pending.words);
        let seconds = self.clock.seconds();
        let words = self.run.progress.words + pending.words as u64;
        if let Some(leader) = &mut self.leader {
            leader.metrics.step(metrics::Step {
                step: pending.step,
                epoch: pending.epoch,
                loss,
                words_per_second,
                learning_rate: pending.learning_rate,
                grad_norm,
                seconds,
                words,
            })?;
        }
        // A bounded output keeps the loss finite however large the weights become; no perplexity that is too large for a
        // number comes of a model that learns.
        // A model that knows nothing has the logarithm of the vocabulary; what is far above it proves nothing.
        let vocabulary = self.run.session.vocabulary() as f64;
        if let Some(leader) = &mut self.leader
            && loss <= 2.0 * vocabulary.ln()
        {
            leader.checkpointer.proven()?;
        }
        let is_good = norm.is_skip() || (grad_norm.is_finite() && !norm.unchanged);
        if !(loss.is_finite() && loss.exp().is_finite() && is_good) {
            // All ranks have the same numbers.
            let leads = self.run.session.is_root();
            return Err(Error::new(
                Kind::Diverged,
                format!(
                    "training diverged at step {}: the loss is {loss}, the norm of the gradient {grad_norm}",
                    pending.step
                ),
            )
            .shared(leads));
        }
        if norm.is_skip() {
            let (step, loss_scale) = (pending.step, norm.loss_scale);
            self.run.progress.skipped += 1;
            if let Some(leader) = &mut self.leader {
                let skipped = metrics::Skipped { step, loss_scale };
                leader.metrics.skipped(skipped)?;
            }
            (self.run.watch)(Event::Skipped { step, loss_scale });
        }
        let progress = &mut self.run.progress;
        progress.step = pending.step;
        progress.epoch = pending.epoch;
        progress.seconds = seconds;
        progress.count(pending.words, pending.unknown);
        progress.position = Some(pending.position);
        let (done, left) = self.estimate(pending.words);
        (self.run.watch)(Event::Step {
            step: pending.step,
            epoch: pending.epoch,
            loss,
            words_per_second: self.clock.words_per_second(),
            learning_rate: pending.learning_rate,
            done,
            left,
        });
        Ok(())
    }

    /// The part of the run that is done, and the seconds to go.
    fn estimate(&self, words: usize) -> (f64, f64) {
        let step_seconds = words as f64 / self.clock.words_per_second();
        let (done, training) = self.training_left(step_seconds);
        (
            done,
            training + self.pauses_left(training / step_seconds) * self.pause(step_seconds),
        )
    }

    /// Validations in so many steps.
    fn pauses_left(&self, steps: f64) -> f64 {
        if self.run.valid.is_none() || !steps.is_finite() {
            return 0.0;
        }
        let (step, every) = (self.run.progress.step, self.run.config.train.validate_every);
        let due = |interval: u64| match interval {
            0 => 0.0,
            interval => ((step % interval) as f64 + steps) / interval as f64,
        };
        // Those at the ends of epochs, one of which may be that of the run.
        due(every).floor() + due(self.epoch_steps).floor().max(1.0)
    }

    /// The seconds of a validation: those of the last one, or of a guess until there was one: a third of the work of a step.
    fn pause(&self, step_seconds: f64) -> f64 {
        self.last_pause.unwrap_or_else(|| {
            let bytes = self.run.valid.as_ref();
            let bytes = bytes.map_or(0, |text| text.corpus().bytes());
            // A word has some five letters.
            let targets = match self.run.config.data.tokens {
                Tokens::Characters => bytes,
                Tokens::Whitespace | Tokens::Words => bytes / 5,
            };
            let TrainConfig {
                batch,
                unroll,
                validate_targets,
                ..
            } = self.run.config.train;
            let targets = match validate_targets {
                0 => targets,
                most => most.min(targets),
            };
            targets as f64 / (batch * unroll) as f64 * step_seconds / 3.0
        })
    }

    /// The part of the training that is done, and its seconds to go.
    fn training_left(&self, step_seconds: f64) -> (f64, f64) {
        let train = &self.run.config.train;
        let done = self.run.progress.step as f64;
        let by_steps = self.total.map(|total| {
            let total = total as f64;
            (done / total, (total - done).max(0.0) * step_seconds)
        });
        let seconds = self.run.progress.seconds;
        let by_time =
            (train.seconds > 0.0).then(|| (seconds / train.seconds, train.seconds - seconds));
        by_steps
            .into_iter()
            .chain(by_time)
            .min_by(|x, y| x.1.total_cmp(&y.1))
            .unwrap_or((0.0, f64::INFINITY))
    }

    fn drain(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            self.fetch()?;
        }
        Ok(())
    }

    /// What is done when the last step of `epoch` is.
    fn end_epoch(&mut self, epoch: u64) -> Result<()> {
        self.drain()?;
        self.validate(true)?;
        if self.run.progress.epochs_ended != epoch {
            self.run.progress.epochs_ended = epoch;
            if let Some(leader) = &mut self.leader {
                leader.checkpointer.changed();
            }
        }
        self.checkpoint()
    }

    /// Whether it is known that the training text has unknown words: where the vocabulary was built from it.
    fn will_meet_unknown(&self) -> bool {
        let words = self.run.train.vocabulary();
        self.run.config.data.vocab.is_none() && words.count(words.unknown()) > 0
    }

    /// Validates, unless this step was, and says whether it is a new best, to be saved. Only validations that are `due` steer
    /// the schedule.
    fn validate(&mut self, due: bool) -> Result<bool> {
        let progress = &self.run.progress;
        let Some(text) = self.run.valid.clone() else {
            return Ok(false);
        };
        if progress.validated == Some(progress.step) {
            return Ok(false);
        }
        let (step, epoch, seconds) = (progress.step, progress.epoch, progress.seconds);
        let targets = self.run.config.train.validate_targets;
        let Run {
            session,
            stop,
            watch,
            ..
        } = &mut self.run;
        let begin = Instant::now();
        let found = match session.is_root() {
            false => Ok(Evaluation::NONE),
            true => session.evaluator().and_then(|evaluator| {
                evaluate(evaluator, &text, targets, |done, total| {
                    // Until it is known how much there is.
                    if total > 0 {
                        watch(Event::Validating { done, total });
                    }
                    let interrupted = |kind| Err(Error::new(kind, "interrupted"));
                    stop.asked().map_or(Ok(()), interrupted)
                })
            }),
        };
        let found = found_by_all(session, found);
        self.clock.leave_out(begin);
        self.last_pause = Some(begin.elapsed().as_secs_f64());
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
        };
        if let Some(leader) = &mut self.leader {
            leader.metrics.valid(valid.clone())?;
        }
        let mean = found.nll / found.targets as f64;
        let progress = &mut self.run.progress;
        progress.validated = Some(step);
        let best = progress.best.is_none_or(|(_, best)| mean < best);
        if best {
            progress.best = Some((step, mean));
        }
        if due && progress.due_nll.is_none_or(|best| mean < best) {
            progress.due_nll = Some(mean);
        } else if due {
            progress.stalls += 1;
        }
        let unlearned = valid.is_unlearned() && !self.will_meet_unknown();
        (self.run.watch)(Event::Valid {
            step,
            epoch,
            seconds,
            perplexity,
            unknown: found.share_unknown(),
            unlearned,
            best,
        });
        if let Some(leader) = &mut self.leader {
            leader.checkpointer.validated(step, perplexity, best);
        }
        Ok(best)
    }

    /// Shows how large weights and gradients are.
    fn histograms(&mut self) -> Result<()> {
        self.drain()?;
        let begin = Instant::now();
        let step = self.run.progress.step;
        let board = self.leader.as_mut().and_then(|l| l.metrics.board());
        if let Some(board) = board {
            let mut histograms: Vec<(String, Histogram)> = Vec::new();
            self.run.session.visit(|name, values| {
                if histograms.last().is_none_or(|(last, _)| last != name) {
                    histograms.push((name.to_owned(), Histogram::default()));
                }
                let last = histograms.last_mut();
                last.expect("one was pushed").1.add(values);
            })?;
            board.histograms(step, &histograms)?;
        }
        self.clock.leave_out(begin);
        Ok(())
    }

    /// Saves everything, unless this state was.
    fn checkpoint(&mut self) -> Result<()> {
        self.drain()?;
        let begin = Instant::now();
        let Run {
            session,
            train,
            config,
            progress,
            ..
        } = &mut self.run;
        let due = self
            .leader
            .as_ref()
            .is_some_and(|leader| leader.checkpointer.is_due(progress));
        let mut due = [f64::from(due)];
        session.collective().all_reduce_f64(&mut due)?;
        if due[0] == 0.0 {
            return Ok(());
        }
        // All ranks have a part of the state.
        let states = session.gather_states()?;
        let written = match &mut self.leader {
            Some(Leader { checkpointer, .. }) => checkpointer
                .save(session, &states, config, progress, train.vocabulary())
                .map(Some),
            None => Ok(None),
        };
        let written = all_agree(session.collective(), written, &mut []);
        self.clock.leave_out(begin);
        if let Some(path) = written? {
            (self.run.watch)(Event::Checkpoint { path });
        }
        Ok(())
    }

    /// Saves what a device that is not lost has.
    fn rescue(&mut self) -> Result<()> {
        self.run.session.rescue()?;
        let done = self.begin + self.run.session.updates();
        while let Some(pending) = self.pending.pop_front() {
            if pending.step > done {
                break;
            }
            let progress = &mut self.run.progress;
            progress.step = pending.step;
            progress.epoch = pending.epoch;
            progress.count(pending.words, pending.unknown);
            progress.position = Some(pending.position);
        }
        self.pending.clear();
        match self.run.progress.step {
            // Before the first step there is nothing to save.
            0 => Ok(()),
            _ => self.checkpoint(),
        }
    }

    /// Ends the run well or badly: last validation, checkpoint, record, metrics.
    fn finish(mut self, result: Result<String>) -> Result<Outcome> {
        let result = result.and_then(|reason| {
            self.drain()?;
            self.validate(false)?;
            self.checkpoint()?;
            if let Some(leader) = &mut self.leader {
                leader.checkpointer.proven()?;
            }
            self.sample()?;
            Ok(reason)
        });
        let result = match result {
            Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::Terminated) => {
                // What was done is saved; a failure to do so is what the user must hear instead.
                Err(self
                    .drain()
                    .and_then(|()| self.checkpoint())
                    .err()
                    .unwrap_or(error))
            }
            Err(error)
                if error.kind() == Kind::Data
                    && self.run.progress.position.is_some()
                    && (error.is_shared() || self.run.session.collective().ranks() == 1) =>
            {
                // As text that is met late and is not UTF-8: the steps before it were good. Others that know nothing of it would
                // not save with this rank.
                if let Err(second) = self.drain().and_then(|()| self.checkpoint())
                    && second.is_to_tell()
                {
                    tracing::warn!(error = %second, "the steps since the last checkpoint are lost");
                }
                Err(error)
            }
            Err(error) if error.kind() == Kind::Device => {
                match self.rescue() {
                    Ok(()) => tracing::warn!(
                        "the steps so far are saved; recurrent states of a device that is lost begin at zero when the run goes on"
                    ),
                    Err(second) => tracing::debug!(error = %second, "nothing could be saved"),
                }
                Err(error)
            }
            Err(error) if error.kind() == Kind::Diverged => {
                if let Some(leader) = &mut self.leader {
                    leader.checkpointer.disown()?;
                }
                Err(error)
            }
            other => other,
        };
        let (status, reason) = match &result {
            Ok(reason) => (Status::Finished, reason.clone()),
            Err(error) => match error.kind() {
                Kind::Interrupted | Kind::Terminated => {
                    (Status::Interrupted, "interrupted".to_owned())
                }
                Kind::Diverged => (Status::Diverged, "diverged".to_owned()),
                _ => (Status::Failed, error.to_string()),
            },
        };
        let Some(Leader {
            metrics,
            mut checkpointer,
        }) = self.leader
        else {
            result?;
            return Ok(Outcome {
                reason,
                progress: self.run.progress,
                best: None,
                sample: None,
            });
        };
        let devices = self.run.session.division().devices;
        // The first failure is the one to hear of.
        let recorded = checkpointer.end(status);
        let ended = metrics.end(reason.clone());
        result.map_err(|error| explain(error, checkpointer.last(), self.run.config, devices))?;
        recorded?;
        ended?;
        Ok(Outcome {
            reason,
            progress: self.run.progress,
            best: checkpointer.best_point(),
            sample: self.made_up,
        })
    }

    /// Has the model make something up. The run is what it is without.
    fn sample(&mut self) -> Result<()> {
        let Some(leader) = &mut self.leader else {
            return Ok(());
        };
        if is_too_slow(self.run.session) {
            return Ok(());
        }
        let sample = self
            .run
            .session
            .predictor()
            .and_then(|predictor| sample(predictor, self.run.train.vocabulary()));
        match sample {
            Ok(text) => {
                leader.metrics.sample(metrics::Sample {
                    step: self.run.progress.step,
                    text: text.clone(),
                })?;
                self.made_up = Some(text);
            }
            Err(error) => tracing::warn!("there is no sample: {error}"),
        }
        Ok(())
    }
}

/// What the rank that leads has found in a validation, to all ranks: if it has failed or was stopped in the midst of it, all are.
fn found_by_all(session: &mut TrainingSession, found: Result<Evaluation>) -> Result<Evaluation> {
    let numbers = found.as_ref().unwrap_or(&Evaluation::NONE);
    let mut numbers = [numbers.nll, numbers.targets as f64, numbers.unknown as f64];
    all_agree(session.collective(), found, &mut numbers)?;
    let [nll, targets, unknown] = numbers;
    Ok(Evaluation {
        nll,
        targets: targets as u64,
        unknown: unknown as u64,
    })
}

/// Adds what is left and what to do about it.
fn explain(error: Error, last: Option<PathBuf>, config: &Config, devices: usize) -> Error {
    let narrow = match config.train.precision {
        Precision::F32 => "",
        Precision::Mixed => {
            "; or with train.precision = \"f32\", as f16 holds no number above 65,504"
        }
    };
    match (error.kind(), last) {
        (Kind::Interrupted | Kind::Terminated, Some(last)) => {
            error.help(format!("everything is saved in `{}`", last.display()))
        }
        (Kind::Device, Some(last)) if devices > 1 => {
            error.help(format!(
                "the last checkpoint is `{}`; go on with --resume and as many devices as before: one may be named twice",
                last.display()
            ))
        }
        (Kind::Diverged, Some(last)) => error.help(format!(
            "the last good checkpoint is `{}`: start a new run from it with --init and a lower train.learning_rate, or \
             with a lower train.clip_norm above 0{narrow}",
            last.display()
        )),
        (Kind::Diverged, None) => {
            error.help(format!(
                "start again with a lower train.learning_rate, or with a lower train.clip_norm above 0{narrow}"
            ))
        }
        _ => error,
    }
}
