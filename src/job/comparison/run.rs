//! Trains the models of a comparison.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::folder::ComparisonFolder;
use super::models::{Model, rounds};
use super::record::ComparisonSpec;
use super::request::runs;
use super::turns::{Seat, TurnTable};
use crate::device::ExecutorOptions;
use crate::error::{Error, Kind, Result};
use crate::files::Output;
use crate::job::page::{REPORT, write_report};
use crate::job::settings::Job;
use crate::job::text::Texts;
use crate::report::{ComparisonRow, comparison_rows};
use crate::train::run::SharedTargets;
use crate::train::watch::{Event, Stop};

/// A comparison with its texts and its folder, which is locked.
pub struct ReadyComparison {
    pub(super) spec: ComparisonSpec,
    pub(super) models: Vec<Model>,
    pub(super) texts: Vec<Texts>,
    pub(super) folder: ComparisonFolder,
    pub(super) options: ExecutorOptions,
    /// The length of a turn. None: until the run ends.
    pub(super) turn: Option<Duration>,
    /// For each model the number of targets of validations. Models with the same tokens share it.
    pub(super) targets: Vec<Arc<SharedTargets>>,
    pub(super) _lock: File,
}

/// The result of a comparison.
pub struct ComparisonOutcome {
    /// The models.
    pub models: Vec<Model>,
    /// The rows of the table: one for each model, however many seeds it has. Empty if no run has started.
    pub lines: Vec<ComparisonRow>,
    /// The position of each model that failed, with its error.
    pub failures: Vec<(usize, Error)>,
}
impl ReadyComparison {
    /// The models.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The device, the budget and the models.
    pub fn spec(&self) -> &ComparisonSpec {
        &self.spec
    }

    /// The folder.
    pub fn folder(&self) -> &ComparisonFolder {
        &self.folder
    }

    /// Trains all models, then writes the results and the report. `observer` receives each event with the position of its model.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the results cannot be written. Failures of models are part of the outcome.
    pub fn run(
        self,
        stop: &Stop,
        mut observer: impl FnMut(usize, Event),
    ) -> Result<ComparisonOutcome> {
        let failures = self.train_all(stop, &mut observer);
        let has_failed = |k| {
            let mut failures = failures.iter();
            failures.any(|(failed, error)| *failed == k && !is_interruption(error))
        };
        let runs = runs(&self.models, &self.folder, has_failed);
        let lines = comparison_rows(&runs);
        let status = if stop.asked().is_some() {
            "interrupted"
        } else if failures.is_empty() {
            "finished"
        } else {
            "failed"
        };
        self.folder.write_results(&self.spec, &lines, status)?;
        if !runs.is_empty() {
            write_report(&Output::own(&self.folder.path().join(REPORT))?, &runs)?;
        }
        Ok(ComparisonOutcome {
            models: self.models,
            lines,
            failures,
        })
    }

    /// Trains all models with one seed after the other. Returns the failures.
    fn train_all(
        &self,
        stop: &Stop,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Vec<(usize, Error)> {
        let rounds = rounds(&self.models);
        rounds
            .flat_map(|round| self.train_round(round, stop, observer))
            .collect()
    }

    /// Trains these models in turns, each on its own thread. Returns the failures.
    fn train_round(
        &self,
        round: Range<usize>,
        stop: &Stop,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Vec<(usize, Error)> {
        let table = TurnTable::new(round.len(), self.turn);
        let (sender, events) = channel();
        std::thread::scope(|scope| {
            let threads: Vec<_> = round
                .clone()
                .enumerate()
                .map(|(number, k)| {
                    let (table, sender) = (&table, sender.clone());
                    let model = &self.models[k];
                    let work = move || {
                        let seat = table.seat(number, stop);
                        seat.wait_for_turn();
                        self.train_one(k, &seat, stop, |event| {
                            // Sending fails only if the receiver is gone.
                            let _ = Sender::send(&sender, (k, event));
                        })
                    };
                    std::thread::Builder::new()
                        .name(model.folder.clone())
                        .spawn_scoped(scope, work)
                })
                .collect();
            drop(sender);
            for (k, event) in events {
                observer(k, event);
            }
            let mut failures = Vec::new();
            for (k, thread) in round.zip(threads) {
                let outcome = match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|_| {
                        Err(Error::new(Kind::Other, "the training panicked")
                            .help("this is a bug of wlstm: please report it"))
                    }),
                    Err(error) => Err(Error::no_thread(error)),
                };
                failures.extend(outcome.err().map(|error| (k, error)));
            }
            failures
        })
    }

    /// Starts or resumes the run of one model.
    fn train_one(
        &self,
        k: usize,
        seat: &Seat<'_>,
        stop: &Stop,
        mut observer: impl FnMut(Event) + Send,
    ) -> Result<()> {
        if let Some(kind) = stop.asked() {
            return Err(Error::new(kind, "interrupted before it started"));
        }
        let model = &self.models[k];
        let (texts, targets) = (self.texts[k].clone(), self.targets[k].clone());
        let job = Job::new(model.config.clone())?
            .device(&self.spec.device)
            .executor_options(ExecutorOptions {
                on_tuning: None,
                ..self.options.clone()
            })
            .name(&model.label)
            .of_comparison(self.folder.run(&model.folder), texts, targets)
            .stop(stop.clone());
        let training = job.prepare(&mut observer)?;
        training.run_in_turns(seat, &mut observer).map(drop)
    }
}

/// Whether a model ended because the user asked for it.
fn is_interruption(error: &Error) -> bool {
    matches!(error.kind(), Kind::Interrupted | Kind::Terminated)
}
