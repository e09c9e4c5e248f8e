//! Trains the models of a comparison.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::equal::Equal;
use super::folder::ComparisonFolder;
use super::models::Model;
use super::record::ComparisonSpec;
use super::request::{Comparison, runs};
use super::turns::{Seat, TurnTable};
use crate::checkpoint::{Which, find, lock_folder};
use crate::config::DataConfig;
use crate::device::{Device, ExecutorOptions, choose};
use crate::error::{Error, Kind, Result};
use crate::files::{self, Output};
use crate::job::executors::workload_of;
use crate::job::observer::Observer;
use crate::job::origin::missing_text;
use crate::job::page::{REPORT, write_report};
use crate::job::resume::{IF_ONLY_OF_COMPARISON, open_newest};
use crate::job::settings::Job;
use crate::job::text::{TextFiles, Texts, vocabulary};
use crate::model::limits::check_sizes;
use crate::numbers::bytes;
use crate::report::{ComparisonRow, Measure, comparison_rows, measure};
use crate::train::estimate::{Estimate, RunSpec, Topology};
use crate::train::run::SharedTargets;
use crate::train::watch::{Event, Stop};

/// The shortest and the longest turn, in seconds.
const TURN: [f64; 2] = [1.0, 5.0];

/// A comparison with its texts and its folder, which is locked.
pub struct ReadyComparison {
    spec: ComparisonSpec,
    models: Vec<Model>,
    texts: Vec<Texts>,
    folder: ComparisonFolder,
    options: ExecutorOptions,
    /// The length of a turn. None: until the run ends.
    turn: Option<Duration>,
    /// For each model the number of targets of validations, the same for all models of the same tokens.
    targets: Vec<Arc<SharedTargets>>,
    _lock: File,
}

/// The result of a comparison.
pub struct ComparisonOutcome {
    /// The models.
    pub models: Vec<Model>,
    /// The rows of the table: one for each model, also if it has several seeds. Empty if no run has started.
    pub lines: Vec<ComparisonRow>,
    /// The position of each model that failed, with its error.
    pub failures: Vec<(usize, Error)>,
}

impl Comparison {
    /// Opens the texts and creates the folder: `out`, by default the next `runs/compare-N`.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a device selector that cannot be read,
    /// [`Kind::Data`](crate::error::Kind::Data) if a text or the folder cannot be used,
    /// [`Kind::Device`](crate::error::Kind::Device) if there is no such device.
    pub fn prepare(
        self,
        out: Option<&Path>,
        mut observer: impl FnMut(Event) + Send,
    ) -> Result<ReadyComparison> {
        prepare(self, out, &mut observer)
    }
}

/// Opens the texts and creates the folder.
fn prepare(
    comparison: Comparison,
    out: Option<&Path>,
    observer: &mut Observer<'_>,
) -> Result<ReadyComparison> {
    let choice = choose(&[&comparison.spec.device])?;
    observer(Event::Device {
        reason: choice.reason,
    });
    let texts = open_texts(&comparison, observer)?;
    let Comparison {
        mut spec,
        mut models,
        folder,
        equal,
        options,
        ..
    } = comparison;
    if let Some(equal) = equal {
        equalise(equal, &mut models, &texts, observer)?;
        spec.set_configs(&models);
    }
    for (model, texts) in models.iter().zip(&texts) {
        check_sizes(&model.config, texts.vocabulary.len(), 1)
            .map_err(|error| error.context(format!("`{}` cannot be trained", model.label)))?;
    }
    let round = rounds(&models).next().unwrap_or(0..0);
    let turn = turn(
        &models[round.clone()],
        &texts[round],
        &choice.device,
        observer,
    );
    let folder = match (folder, out) {
        (Some(folder), _) => folder,
        (None, Some(out)) => ComparisonFolder::create(out)?,
        (None, None) => ComparisonFolder::create_numbered(Path::new(""))?,
    };
    let lock = lock_folder(folder.path())?;
    files::sweep(folder.path())?;
    folder.write(&spec)?;
    Ok(ReadyComparison {
        spec,
        texts,
        folder,
        options,
        turn,
        targets: shared_targets(&models),
        models,
        _lock: lock,
    })
}

/// Gives every model the size with which it equals the first one.
fn equalise(
    equal: Equal,
    models: &mut [Model],
    texts: &[Texts],
    observer: &mut Observer<'_>,
) -> Result<()> {
    let of_tokens = |model: &Model| model.config.data.tokens;
    let (first, label) = (models[0].config.clone(), name_of(&models[0]).to_owned());
    if equal == Equal::Flops
        && let Some(other) = models
            .iter()
            .find(|model| of_tokens(model) != first.data.tokens)
    {
        return Err(Error::usage(format!(
            "`{label}` and `{}` differ in data.tokens, so their FLOPs per word cannot be equal",
            name_of(other)
        ))
        .help("compare with --equal parameters"));
    }
    let target = equal.of(&first, texts[0].vocabulary.len());
    let mut said = BTreeSet::new();
    for (model, texts) in models.iter_mut().zip(texts) {
        let own = name_of(model).to_owned();
        if own == label {
            continue;
        }
        let words = texts.vocabulary.len();
        let text = equal.apply(&mut model.config, words, &own, &label, target)?;
        // The runs of a model with other seeds have the same size.
        if said.insert(own) {
            observer(Event::Note { text });
        }
    }
    Ok(())
}

/// The label of a model without the seed.
fn name_of(model: &Model) -> &str {
    model.model.as_ref().unwrap_or(&model.label)
}

/// The models that take turns: all, or all with the same seed.
fn rounds(models: &[Model]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let is_same = |one: &Model, other: &Model| {
        one.model.is_none() || one.config.train.seed == other.config.train.seed
    };
    models.chunk_by(is_same).map(move |round| {
        let range = start..start + round.len();
        start = range.end;
        range
    })
}

/// The number of targets of the validations of each model. Models of the same tokens share it.
fn shared_targets(models: &[Model]) -> Vec<Arc<SharedTargets>> {
    let mut all: Vec<Arc<SharedTargets>> = Vec::new();
    for model in models {
        let is_same = |other: &Model| {
            measure(&other.config.data, &model.config.data) == Ok(Measure::Perplexity)
        };
        let known = models[..all.len()].iter().position(is_same);
        all.push(known.map_or_else(Arc::default, |known| all[known].clone()));
    }
    all
}

/// The texts of every model. Models with the same text settings share them.
fn open_texts(comparison: &Comparison, observer: &mut Observer<'_>) -> Result<Vec<Texts>> {
    let folder = comparison.folder.as_ref();
    let mut opened: Vec<(&DataConfig, Texts)> = Vec::new();
    let mut all = Vec::new();
    for model in &comparison.models {
        let (config, data) = (&model.config, &model.config.data);
        if let Some((_, texts)) = opened.iter().find(|(other, _)| *other == data) {
            all.push(texts.clone());
            continue;
        }
        let missing = |key: &str| {
            match folder {
            None => missing_text(key, &model.file, &comparison.overrides),
            Some(_) => Some("the comparison needs it: restore the text, or start a new comparison without --resume".to_owned()),
        }
        };
        let files = TextFiles::open(data, missing, observer)?;
        // If the run has a checkpoint, the vocabulary is in it.
        let run = folder.map(|folder| folder.run(&model.folder));
        let words = match run.map(|run| find(&run, Which::Last)) {
            Some(Ok(found)) => {
                let newest = &found.checkpoint;
                let run = found.run.as_deref().unwrap_or(newest);
                open_newest(run, newest, IF_ONLY_OF_COMPARISON)?.vocabulary
            }
            _ => vocabulary(config, &files.train, observer)?,
        };
        let texts = Texts::read(
            files,
            Arc::new(words),
            data.tokens,
            &comparison.caching,
            observer,
        )?;
        opened.push((data, texts.clone()));
        all.push(texts);
    }
    Ok(all)
}

/// The length of a turn. None if the models do not fit into memory together: they then train one after another.
fn turn(
    models: &[Model],
    texts: &[Texts],
    device: &Device,
    observer: &mut Observer<'_>,
) -> Option<Duration> {
    let memory = device.memory_info();
    let (mut device_bytes, mut host_bytes) = (0, 0);
    for (model, texts) in models.iter().zip(texts) {
        let limits = device.limits(workload_of(model.config.train.precision));
        let run = RunSpec {
            config: &model.config,
            vocabulary: texts.vocabulary.len(),
            topology: Topology::SINGLE,
        };
        let estimate = Estimate::of(&run, &limits, memory.model);
        device_bytes += estimate.need(&memory, 1, Topology::SINGLE);
        host_bytes += estimate.need_of_host(&memory, Topology::SINGLE);
    }
    let exceeds = |need: u64, available: Option<u64>| available.is_some_and(|bytes| need > bytes);
    if exceeds(device_bytes, memory.bytes) || exceeds(host_bytes, memory.host) {
        observer(Event::Note {
            text: format!(
                "All models together need {} of memory, more than is available: they train one after another, not in turns.",
                bytes(device_bytes.max(host_bytes))
            ),
        });
        return None;
    }
    let seconds = models[0].config.train.seconds;
    let turn = if seconds > 0.0 {
        (seconds / 12.0).clamp(TURN[0], TURN[1])
    } else {
        TURN[1]
    };
    Some(Duration::from_secs_f64(turn))
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
