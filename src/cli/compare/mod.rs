//! `wlstm compare`: several models, trained by turns on one device under one budget, in one table.

mod args;
mod display;
mod models;
mod record;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::args::Invocation;
use super::messages::note;
use super::output;

pub(super) use self::args::CompareArgs;
use self::args::TableFormat;
use self::display::Display;
use self::models::Model;
use self::record::{Budget, Folder, Plan, Spec};
use super::context::{saved_vocabulary, training_executors, vocabulary};
use super::next::{device_options, longer, program};
use super::progress::UnknownWords;
use super::report;
use super::resume::same_words;
use super::signals::listen;
use super::text::{missing_text, open_texts, text};
use crate::checkpoint::{Checkpoint, RunFolder, Which, find, has_run, lock_folder};
use crate::config::{Config, DataConfig, Precision};
use crate::corpus::{Text, Vocabulary};
use crate::device::{CpuExecutor, Device, Executor, choose};
use crate::error::{Error, Kind, Result, quoted};
use crate::model::limits::check_sizes;
use crate::numbers::{bytes, counted};
use crate::report::{ComparisonRow, RunData, comparison_csv, comparison_rows, comparison_table};
use crate::train::collective::SingleProcess;
use crate::train::estimate::{self, Estimate, RunSpec, Topology};
use crate::train::progress::{Measure, Progress};
use crate::train::run::{Run, train};
use crate::train::schedule;
use crate::train::session::TrainingSession;
use crate::train::watch::{Event, Stop};

/// How long a turn is, at most and at least.
const SLICES: [f64; 2] = [1.0, 5.0];

/// Compares, or goes on comparing.
pub(super) fn run(arguments: &CompareArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let base = Path::new("");
    let (folder, plan) = match arguments.resume {
        true => resumed(arguments, base).map(|(folder, plan)| (Some(folder), plan))?,
        false => (None, begun(arguments)?),
    };
    let models = plan.models()?;
    for model in &models {
        model.config.check_limits()?;
        schedule::check(&model.config)?;
    }
    let choice = choose(&[&plan.device])?;
    note(quiet, &choice.reason);
    let texts = texts(&models, folder.as_ref(), &arguments.overrides.set, quiet)?;
    for (model, texts) in models.iter().zip(&texts) {
        check_sizes(&model.config, texts.words.len(), 1)
            .map_err(|error| error.context(format!("`{}` cannot be trained", model.label)))?;
    }
    let slice = slice(&models, &texts, &choice.device, quiet)?;
    let folder = match (folder, &arguments.out) {
        (Some(folder), _) => folder,
        (None, Some(out)) => Folder::create(out)?,
        (None, None) => Folder::create_numbered(base)?,
    };
    let _lock = lock_folder(folder.path())?;
    folder.write(&plan)?;
    note(
        quiet,
        &format!(
            "Comparing {}, {} each; kept in `{}`.",
            counted(models.len() as u64, "model"),
            plan.budget,
            folder.path().display()
        ),
    );
    let stop = listen(false, quiet)?;
    let failures = train_all(&models, &texts, &plan, &folder, slice, &stop, quiet);
    let runs = runs(&models, &folder);
    let lines = comparison_rows(&runs);
    let status = match (stop.asked(), failures.is_empty()) {
        (Some(_), _) => "interrupted",
        (None, true) => "finished",
        (None, false) => "failed",
    };
    folder.write_results(&plan, &lines, status)?;
    if !runs.is_empty() {
        report::write(
            &folder.path().join("report.html"),
            &report::title(&runs),
            &runs,
        )?;
        print(arguments, &lines)?;
        if stop.asked().is_none() {
            advise(&models, &lines, &plan, &folder, quiet);
        }
    }
    verdict(&models, failures, &folder, &stop)
}

/// The models of the command line.
fn begun(arguments: &CompareArgs) -> Result<Plan> {
    let budget = budget(arguments);
    let mut more = arguments
        .seed
        .map_or(vec![], |seed| vec![format!("train.seed={seed}")]);
    more.extend(budget.iter().flat_map(Budget::sets));
    let mut models = models::models(
        &arguments.configs,
        &arguments.variants,
        &arguments.overrides.set,
        &more,
    )?;
    if let Some(budget) = &budget {
        models
            .iter_mut()
            .for_each(|model| budget.apply(&mut model.config));
    }
    let budget = match budget {
        Some(budget) => budget,
        None => own_budget(&models)?,
    };
    let specs = models.iter().map(|model| Spec {
        label: model.label.clone(),
        folder: model.folder.clone(),
        file: model.file.clone(),
        config: model.config.to_toml(),
    });
    Ok(Plan {
        device: arguments.device.device.clone(),
        budget,
        specs: specs.collect(),
    })
}

/// What `--out` was begun with; a budget that is given takes the place of the one before.
fn resumed(arguments: &CompareArgs, base: &Path) -> Result<(Folder, Plan)> {
    let given = !arguments.configs.is_empty() || !arguments.variants.is_empty();
    if given || !arguments.overrides.set.is_empty() {
        return Err(Error::usage(
            "a comparison that is resumed has the models that it was begun with",
        )
        .help(
            "leave configurations, --variants and --set out, or begin a new one without --resume",
        ));
    }
    let (folder, mut plan) = Folder::open(arguments.out.as_deref(), base)?;
    if let Some(budget) = budget(arguments) {
        plan.change(budget)?;
    }
    // The default says nothing of what there was.
    if arguments.device.device != "auto" && arguments.device.device != plan.device {
        return Err(Error::usage(format!(
            "a comparison stays on the device that it was begun with, `{}`: the speeds of two are no comparison",
            plan.device
        ))
        .help("leave --device out, or begin a new one without --resume"));
    }
    Ok((folder, plan))
}

fn budget(arguments: &CompareArgs) -> Option<Budget> {
    None.or(arguments.seconds.map(Budget::Seconds))
        .or(arguments.steps.map(Budget::Steps))
        .or(arguments.epochs.map(Budget::Epochs))
        .or(arguments.words.map(Budget::Words))
}

/// The limit that all configurations have.
fn own_budget(models: &[Model]) -> Result<Budget> {
    let limits = |config: &Config| {
        (
            config.train.epochs,
            config.train.steps,
            config.train.seconds,
        )
    };
    let first = limits(&models[0].config);
    if models.iter().any(|model| limits(&model.config) != first) {
        return Err(Error::usage(
            "the configurations end their trainings differently, which would be no comparison",
        )
        .help("give one budget for all: --seconds, --steps, --epochs or --words"));
    }
    models[0].config.check_limits()?;
    let (epochs, steps, seconds) = first;
    Ok(Budget::Own {
        epochs,
        steps,
        seconds,
    })
}

/// What a model reads.
#[derive(Clone)]
struct Texts {
    train: Text,
    valid: Option<Text>,
    words: Arc<Vocabulary>,
}

/// The texts of every model; those of the same files are opened once.
fn texts(
    models: &[Model],
    folder: Option<&Folder>,
    sets: &[String],
    quiet: bool,
) -> Result<Vec<Texts>> {
    let mut opened: Vec<(DataConfig, Texts)> = Vec::new();
    let mut all = Vec::new();
    for model in models {
        let data = &model.config.data;
        if let Some((_, texts)) = opened.iter().find(|(other, _)| other == data) {
            all.push(texts.clone());
            continue;
        }
        let (corpus, valid) = open_texts(data, |key| match folder {
            None => missing_text(key, &model.file, sets),
            Some(_) => Some("the comparison was begun with it: put the text back".to_owned()),
        })?;
        // A run that has saved has its words.
        let run = folder.map(|folder| folder.run(&model.folder));
        let saved = match run.map(|run| find(&run, Which::Last)) {
            Some(Ok(found)) => Some(Checkpoint::open(&found.checkpoint)?),
            _ => None,
        };
        let words = Arc::new(match &saved {
            Some(checkpoint) => saved_vocabulary(checkpoint, &model.config)?,
            None => vocabulary(&model.config, Some(&corpus), quiet)?,
        });
        let read = |corpus| text(corpus, words.clone(), data.tokens, quiet);
        let texts = Texts {
            train: read(corpus)?,
            valid: valid.map(read).transpose()?,
            words: words.clone(),
        };
        opened.push((data.clone(), texts.clone()));
        all.push(texts);
    }
    Ok(all)
}

/// How long a turn is. None where not all models have room on the device at once: they then train one after the other.
fn slice(
    models: &[Model],
    texts: &[Texts],
    device: &Device,
    quiet: bool,
) -> Result<Option<Duration>> {
    let (mut device_bytes, mut host_bytes) = (0, 0);
    let mut memory = None;
    for (model, texts) in models.iter().zip(texts) {
        let mixed = model.config.train.precision == Precision::Mixed;
        let (limits, here) = match device {
            Device::Cpu => {
                let executor = CpuExecutor::<f32>::new();
                (executor.limits(), executor.memory_info())
            }
            Device::Gpu(adapter) => (adapter.limits(mixed), adapter.memory_info()),
        };
        let words = texts.words.len();
        let run = RunSpec {
            config: &model.config,
            vocabulary: words,
            topology: Topology::SINGLE,
        };
        let estimate = Estimate::of(&run, &limits, here.model);
        device_bytes += estimate.need(&here, 1, Topology::SINGLE);
        host_bytes += estimate.need_of_host(&here, Topology::SINGLE);
        memory = Some(here);
    }
    let is_too_much = |need: u64, there: Option<u64>| there.is_some_and(|there| need > there);
    let memory = memory.expect("at least one model");
    if is_too_much(device_bytes, memory.bytes) || is_too_much(host_bytes, memory.host) {
        note(
            quiet,
            &format!(
                "All models together take {}, which are not there: they train one after the other, not by turns.",
                bytes(device_bytes.max(host_bytes))
            ),
        );
        return Ok(None);
    }
    let seconds = models[0].config.train.seconds;
    let slice = match seconds > 0.0 {
        true => (seconds / 12.0).clamp(SLICES[0], SLICES[1]),
        false => SLICES[1],
    };
    Ok(Some(Duration::from_secs_f64(slice)))
}

/// Trains all; gives what went wrong with which.
fn train_all(
    models: &[Model],
    texts: &[Texts],
    plan: &Plan,
    folder: &Folder,
    slice: Option<Duration>,
    stop: &Stop,
    quiet: bool,
) -> Vec<(usize, Error)> {
    let table = turns::Table::new(models.len(), slice);
    let mut display = Display::new(models, quiet);
    // All have the same words.
    let mut unknown_words = UnknownWords::new(&models[0].config.data);
    let (sender, events) = channel();
    std::thread::scope(|scope| {
        let threads: Vec<_> = models
            .iter()
            .zip(texts)
            .enumerate()
            .map(|(k, (model, texts))| {
                let (table, sender) = (&table, sender.clone());
                let work = move || {
                    let seat = table.seat(k, stop);
                    seat.wait_for_turn();
                    train_one(model, texts, plan, folder, &seat, stop, |event| {
                        // Nobody hears it if the display is gone.
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
            let warning = unknown_words.warning_of(&event);
            display.show(k, event);
            if let Some(warning) = warning {
                display.warn(&warning);
            }
        }
        display.end();
        let mut failures = Vec::new();
        for (k, thread) in threads.into_iter().enumerate() {
            let outcome = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| {
                    Err(Error::new(Kind::Other, "the training panicked")
                        .help("this is a bug of wlstm: please report it"))
                }),
                Err(error) => Err(Error::new(Kind::Other, "cannot start a thread")
                    .because(error)
                    .help("check the limits on threads and memory")),
            };
            failures.extend(outcome.err().map(|error| (k, error)));
        }
        failures
    })
}

/// Trains one model, or goes on training it.
fn train_one(
    model: &Model,
    texts: &Texts,
    plan: &Plan,
    folder: &Folder,
    seat: &turns::Seat<'_>,
    stop: &Stop,
    mut hear: impl FnMut(Event),
) -> Result<()> {
    if let Some(kind) = stop.asked() {
        return Err(Error::new(kind, "interrupted before it began"));
    }
    let (config, words) = (&model.config, &texts.words);
    let path = folder.run(&model.folder);
    let has_run = has_run(&path);
    let checkpoint = match find(&path, Which::Last) {
        Ok(found) if has_run => Some(Checkpoint::open(&found.checkpoint)?),
        _ => None,
    };
    let run_folder = match has_run {
        true => RunFolder::resume(&path)?,
        false => RunFolder::create(&path)?,
    };
    let executors = training_executors(&[&plan.device], config, true)?;
    let run = RunSpec {
        config,
        vocabulary: words.len(),
        topology: Topology::SINGLE,
    };
    let plans = run.plans_for_devices(&executors, 0);
    estimate::check(&run, &executors, &plans)?;
    let single = Box::new(SingleProcess);
    let mut session = TrainingSession::with_plans(executors, single, config, words.len(), plans)?;
    let mut progress = match &checkpoint {
        Some(checkpoint) => {
            same_words(config, words)?;
            let progress = Progress::read(checkpoint)?;
            session.restore(checkpoint)?;
            progress
        }
        None => {
            session.initialise()?;
            Progress::start()
        }
    };
    if let Some(text) = &texts.valid {
        progress
            .measure_on(Measure::of(text, config))
            .map_err(|error| {
                error.help("put the text back, or begin a new comparison without --resume")
            })?;
    }
    let run = Run {
        config,
        name: model.label.clone(),
        session: &mut session,
        train: texts.train.clone(),
        valid: texts.valid.clone(),
        folder: Some(&run_folder),
        progress,
        stop,
        turns: Some(seat),
        watch: &mut hear,
    };
    let ended = train(run).map(drop);
    report::after(&run_folder);
    ended
}

/// The folder of the comparison that a run is one of.
pub(super) fn comparison_of(run: &Path) -> Option<PathBuf> {
    let folder = run.canonicalize().ok()?.parent()?.to_path_buf();
    Folder::is_one(&folder).then_some(folder)
}

/// The runs of a comparison, if there is one in this folder.
pub(super) fn runs_of(path: &Path) -> Result<Option<Vec<RunData>>> {
    if !Folder::is_one(path) {
        return Ok(None);
    }
    let (folder, plan) = Folder::open(Some(path), path)?;
    Ok(Some(runs(&plan.models()?, &folder)))
}

/// What the folders of all runs say, once one has begun. Of one that has not there are only its sizes.
fn runs(models: &[Model], folder: &Folder) -> Vec<RunData> {
    let read: Vec<_> = models
        .iter()
        .map(|model| RunData::read(&folder.run(&model.folder)).ok())
        .collect();
    // All have the same words.
    let Some(words) = read.iter().flatten().map(RunData::vocabulary_size).next() else {
        return Vec::new();
    };
    let runs = models.iter().zip(read).map(|(model, run)| match run {
        Some(run) => RunData {
            label: model.label.clone(),
            ..run
        },
        None => RunData::without_steps(
            folder.run(&model.folder),
            model.label.clone(),
            model.config.clone(),
            words,
        ),
    });
    runs.collect()
}

fn print(arguments: &CompareArgs, lines: &[ComparisonRow]) -> Result<()> {
    let format = match arguments.json {
        true => TableFormat::Json,
        false => arguments.format,
    };
    match format {
        TableFormat::Json => output::print_json(&lines),
        TableFormat::Csv => output::print(comparison_csv(lines).as_bytes()),
        TableFormat::Markdown => output::print(comparison_table(lines).markdown().as_bytes()),
        TableFormat::Text => output::print(
            comparison_table(lines)
                .text(output::terminal_width())
                .as_bytes(),
        ),
    }
}

/// Says where to look, and how to go on with the best.
fn advise(models: &[Model], lines: &[ComparisonRow], plan: &Plan, folder: &Folder, quiet: bool) {
    let report = folder.path().join("report.html");
    note(
        quiet,
        &format!("\nCurves and samples: `{}`", report.display()),
    );
    let measured = models
        .iter()
        .zip(lines)
        .filter_map(|(model, line)| Some((model, line.perplexity?)));
    let Some((best, _)) = measured.min_by(|(_, x), (_, y)| x.total_cmp(y)) else {
        return;
    };
    let program = program();
    let run = quoted(&folder.run(&best.folder).display().to_string());
    let longer = longer(&best.config.train, 10.0);
    let device = device_options(std::slice::from_ref(&plan.device));
    note(
        quiet,
        &format!(
            "\nNext, with the one of the best perplexity, `{}`:\n  {program} generate {run} --tokens 500{device}\n  {program} train {run}/config.toml{longer}{device}",
            best.label
        ),
    );
}

/// The failure of the whole, if there is one.
fn verdict(
    models: &[Model],
    failures: Vec<(usize, Error)>,
    folder: &Folder,
    stop: &Stop,
) -> Result<()> {
    let place = quoted(&folder.path().display().to_string());
    if let Some(kind) = stop.asked() {
        return Err(Error::new(kind, "interrupted").help(format!(
            "everything is saved in `{place}`; go on with `wlstm compare --resume --out {place}`"
        )));
    }
    let all = models.len();
    let count = failures.len();
    let Some((k, error)) = failures.into_iter().next() else {
        return Ok(());
    };
    let label = &models[k].label;
    let what = match count {
        1 => format!("1 of {all} models failed, `{label}`"),
        count => format!("{count} of {all} models failed, the first of them `{label}`"),
    };
    Err(error.context(what))
}
