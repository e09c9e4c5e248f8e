//! Prepares a training run: everything that happens before the first step. The checks that fail most often come
//! first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changed_files::{changed_files, file_sizes};
use super::comparison::comparison_of;
use super::distributed::{Facts, LocalProcess, check_same_job, too_little_time};
use super::executors::{note_other_devices, training_executors};
use super::observer::Observer;
use super::resume::Resumed;
use super::settings::{Destination, Job};
use super::text::{Caching, TextFiles, Texts, vocabulary};
use super::training::{Outcome, Training};
use super::unchanged::Contents;
use crate::checkpoint::{Checkpoint, RunFolder, RunRecord, Which, find, run_of_config};
use crate::config::Config;
use crate::corpus::Vocabulary;
use crate::error::{Error, Result, command_line, quoted};
use crate::model::limits::check_sizes;
use crate::tensor::names;
use crate::train::cutoffs::name_cutoffs;
use crate::train::estimate::{self, RunSpec, Topology};
use crate::train::progress::{Measure, Progress};
use crate::train::saved::SavedModel;
use crate::train::session::TrainingSession;
use crate::train::watch::Event;

/// The folder that contains `runs`.
const BASE: &str = ".";

impl Job {
    /// Trains until a limit of the configuration is reached: opens devices and texts, counts words, initialises or restores the
    /// model, trains, validates, writes checkpoints and the report.
    ///
    /// # Errors
    ///
    /// Same as [`Job::prepare`] and [`Training::run`].
    pub fn run(self, mut observer: impl FnMut(Event) + Send) -> Result<Outcome> {
        self.prepare(&mut observer)?.run(&mut observer)
    }

    /// Does everything before the first step.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a device selector that cannot be read, or if the run cannot be resumed with this
    /// configuration;
    /// [`Kind::Data`](crate::error::Kind::Data) if a text, a checkpoint or the folder cannot be used;
    /// [`Kind::Device`](crate::error::Kind::Device) if there is no such device, or the run does not fit into its memory.
    pub fn prepare(self, mut observer: impl FnMut(Event) + Send) -> Result<Training> {
        prepare(self, &mut observer)
    }
}

/// Prepares a training.
fn prepare(mut job: Job, observer: &mut Observer<'_>) -> Result<Training> {
    let is_root = job.collective.is_root();
    let executors = training_executors(&job.devices, &job.config, &job.options, observer)?;
    if let Some(words) = job.words {
        let train = &mut job.config.train;
        let devices = executors.len() * job.collective.ranks();
        let step = train.batch * train.unroll * train.accumulate * devices;
        train.steps = words.div_ceil(step as u64);
    }
    let resumed = find_resumed(&mut job, observer)?;
    if let Some(resumed) = &resumed {
        note_other_devices(resumed, &executors, observer);
    }
    let name = run_name_of(&job, resumed.as_ref());
    let init = match &job.init {
        Some(file) => Some(Checkpoint::open(&find(file, Which::Best)?.checkpoint)?),
        None => None,
    };
    let source = match job.texts.take() {
        Some(texts) => TextSource::Read(texts),
        None => {
            let missing = |key: &str| job.origin.missing_text(key);
            TextSource::Files(TextFiles::open(&job.config.data, missing, observer)?)
        }
    };
    let folder = if is_root {
        Some(open_folder(Path::new(BASE), &job, resumed.as_ref())?)
    } else {
        None
    };
    let saved = resumed.as_ref().and_then(|run| run.checkpoint.as_ref());
    let texts = source.texts(&job.config, saved, &job.caching, observer)?;
    let checkpoint = saved.map(|saved| &saved.checkpoint);
    let (start, words) = (checkpoint.or(init.as_ref()), texts.vocabulary.len());
    name_cutoffs(&mut job.config, words, start, names::tail_weight);
    let config = &job.config;
    let topology = Topology {
        devices: executors.len() * job.collective.ranks(),
        local_devices: executors.len(),
        local_processes: LocalProcess::current().count,
    };
    check_sizes(config, words, topology.devices)?;
    let facts = Facts {
        config,
        corpus: texts.train.corpus(),
        vocabulary: &texts.vocabulary,
        start,
        devices: executors.len(),
        validates: texts.valid.is_some(),
    };
    check_same_job(job.collective.as_mut(), &facts)?;
    let run = RunSpec {
        config,
        vocabulary: words,
        topology,
    };
    let first = job.collective.rank() * executors.len();
    let plans = run.plans_for_devices(&executors, first);
    estimate::check(&run, &executors, &plans)?;
    let mut session = TrainingSession::with_plans(executors, job.collective, config, words, plans)?;
    let mut progress = match (&resumed, checkpoint, &init) {
        (Some(resumed), Some(checkpoint), _) => restore(&mut session, resumed, checkpoint, &texts)?,
        (_, _, Some(init)) => {
            let has_other_words = has_other_words(init, &texts.vocabulary);
            session.initialise_from(init).map_err(|error| {
                if has_other_words {
                    error.help(with_words_of(init))
                } else {
                    error
                }
            })?;
            if has_other_words {
                tracing::warn!(
                    "the vocabulary of `{}` differs from that of this run, so that rows of its tables belong to other words: {}",
                    init.path().display(),
                    with_words_of(init)
                );
            }
            Progress::start()
        }
        _ => {
            session.initialise()?;
            Progress::start()
        }
    };
    if let (true, Some(text)) = (is_root, &texts.valid) {
        let measure = Measure::of(text, config);
        let is_other_text = progress.is_on_other_text(&measure);
        let measured = progress.measure_on(measure, &config.data);
        measured.map_err(|error| match (&resumed, checkpoint) {
            (Some(resumed), Some(checkpoint)) if is_other_text => {
                let help = if config.data.valid.is_empty() {
                    &resumed.if_other_text
                } else {
                    &resumed.if_other_measure
                };
                let error = error.help(help);
                match changed_files(&texts, &progress.texts, checkpoint.path()) {
                    Some(names) => error.context(format!(
                        "the validation text has changed since the last checkpoint: {names}"
                    )),
                    None => error,
                }
            }
            (Some(resumed), _) => error.help(&resumed.if_other_measure),
            (None, _) => error,
        })?;
    }
    progress.texts = file_sizes(&texts);
    if let Some(text) = too_little_time(&session) {
        observer(Event::Note { text });
    }
    Ok(Training {
        config: job.config,
        name,
        session,
        texts,
        folder,
        progress,
        stop: job.stop,
        shared_targets: job.shared_targets,
    })
}

/// The run that the job resumes, if any.
fn find_resumed(job: &mut Job, observer: &mut Observer<'_>) -> Result<Option<Resumed>> {
    let folder = match &job.destination {
        Destination::Numbered | Destination::New(_) => return Ok(None),
        Destination::Comparison(folder) => return Resumed::of_comparison(folder),
        Destination::Resume(folder) => folder.clone(),
        Destination::ResumeNewest => newest_run(Path::new(BASE), job)?,
    };
    let resumed = if RunFolder::is_begun(&folder)? && comparison_of(&folder).is_none() {
        None
    } else {
        Some(Resumed::open(&folder, &mut job.config)?)
    };
    if resumed.as_ref().is_none_or(|run| run.checkpoint.is_none()) {
        observer(Event::Note {
            text: format!(
                "There is no checkpoint in `{}`. Training starts from the beginning.",
                folder.display()
            ),
        });
    }
    Ok(resumed)
}

/// The run whose `config.toml` was loaded, else the newest run of this name.
fn newest_run(base: &Path, job: &Job) -> Result<PathBuf> {
    let file = job.origin.file.as_deref().unwrap_or(Path::new(""));
    let folder = match run_of_config(file) {
        Some(run) => Some(run),
        None => RunFolder::newest_numbered(base, &job.new_name())?,
    };
    folder.ok_or_else(|| {
        Error::data(format!("there is no run of `{}` to resume", job.new_name()))
            .help("give the run folder with --out, or leave --resume out")
    })
}

/// Reserves the folder of a new run, or opens that of a run to resume.
fn open_folder(base: &Path, job: &Job, resumed: Option<&Resumed>) -> Result<RunFolder> {
    if let Some(resumed) = resumed {
        return RunFolder::resume(&resumed.folder);
    }
    match &job.destination {
        Destination::New(folder)
        | Destination::Comparison(folder)
        | Destination::Resume(folder) => RunFolder::reserve(folder),
        Destination::ResumeNewest => RunFolder::reserve(&newest_run(base, job)?),
        Destination::Numbered => RunFolder::reserve_numbered(base, &job.new_name()),
    }
}

/// The source of the texts.
enum TextSource {
    /// Already read, for another model.
    Read(Texts),
    /// Open files.
    Files(TextFiles),
}

impl TextSource {
    /// The texts, with the vocabulary of the checkpoint or, without one, that of the configuration.
    fn texts(
        self,
        config: &Config,
        saved: Option<&SavedModel>,
        caching: &Caching,
        observer: &mut Observer<'_>,
    ) -> Result<Texts> {
        match self {
            TextSource::Read(texts) => {
                if saved.is_some() {
                    Contents::of_words(&texts.vocabulary).check(config)?;
                }
                Ok(texts)
            }
            TextSource::Files(files) => {
                let words = match saved {
                    None => vocabulary(config, &files.train, observer)?,
                    Some(saved) => {
                        Contents::of_words(&saved.vocabulary).check(config)?;
                        saved.vocabulary.clone()
                    }
                };
                let tokens = config.data.tokens;
                Texts::read(files, Arc::new(words), tokens, caching, observer)
            }
        }
    }
}

/// Restores the model of a run. Returns its progress.
fn restore(
    session: &mut TrainingSession,
    resumed: &Resumed,
    checkpoint: &Checkpoint,
    texts: &Texts,
) -> Result<Progress> {
    let progress = Progress::read(checkpoint)?;
    if let Some(position) = &progress.position {
        let training = Contents::of_training(position, texts.train.corpus());
        let checked = training.check(session.config());
        checked.map_err(|error| {
            let error = error.help(&resumed.if_other_text);
            let is_named = texts.train.corpus().sources().len() == 1 && progress.texts.len() <= 1;
            match changed_files(texts, &progress.texts, checkpoint.path()) {
                Some(names) if !is_named => error.context(format!(
                    "the training text has changed since the last checkpoint: {names}"
                )),
                _ => error,
            }
        })?;
    }
    session.restore(checkpoint)?;
    Ok(progress)
}

/// Whether the parameters come from a model with another vocabulary. Rows of its tables then belong to other words.
fn has_other_words(init: &Checkpoint, words: &Vocabulary) -> bool {
    let saved = init.tensor_u8(names::VOCABULARY);
    saved.is_ok_and(|saved| saved != words.to_bytes())
}

/// How to train with the vocabulary of a checkpoint.
fn with_words_of(init: &Checkpoint) -> String {
    let place = quoted(&init.path().display().to_string());
    format!(
        "save that vocabulary:{}\n  and train with `--set data.vocab=vocab.txt --set data.vocab_size=0`",
        command_line(&format!("wlstm vocab {place} --out vocab.txt"))
    )
}

/// The name of the run: the given one, else that of the run to resume, else that of the configuration file.
fn run_name_of(job: &Job, resumed: Option<&Resumed>) -> String {
    let recorded = || Some(RunRecord::read(&resumed?.folder).ok()?.config);
    let given = job.name.clone();
    given.or_else(recorded).unwrap_or_else(|| job.new_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of a new run of a job without a configuration file.
    fn new_folder(base: &Path, name: Option<&str>) -> RunFolder {
        let sets = ["data.train=text", "train.steps=1"].map(str::to_owned);
        let config = Config::parse("", "test", base, &sets).unwrap();
        let mut job = Job::new(config).unwrap();
        if let Some(name) = name {
            job = job.name(name);
        }
        open_folder(base, &job, None).unwrap()
    }

    #[test]
    fn the_folder_has_the_name_of_the_run() {
        let base = tempfile::tempdir().unwrap();
        let runs = base.path().join("runs");
        let named = new_folder(base.path(), Some("mine"));
        assert_eq!(named.path(), runs.join("mine"));
        assert_eq!(
            new_folder(base.path(), Some("mine")).path(),
            runs.join("mine-2")
        );
        assert_eq!(new_folder(base.path(), None).path(), runs.join("run"));
    }
}
