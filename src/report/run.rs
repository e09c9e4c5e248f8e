//! Reads a run folder: configuration, record and metrics.

use std::path::{Path, PathBuf};

use crate::checkpoint::{RunRecord, Status, Which, config_path, find, is_unlocked, metrics_path};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files;
use crate::metrics::{self, Line, Step, Valid};
use crate::model::cost::{Cost, cost};
use crate::printable::printable;
use crate::train::saved::SavedModel;

/// The maximum size of a configuration in bytes.
const MAX_CONFIG: u64 = 1 << 22;

/// A run in any state: running, interrupted or finished.
#[derive(Clone, Debug)]
pub struct RunData {
    /// The run folder.
    pub folder: PathBuf,
    /// Name for display: that of the configuration, unless a comparison gives another one.
    pub label: String,
    /// In a comparison with several seeds: the model, the same for all its runs. Otherwise `None`.
    pub model: Option<String>,
    /// The resolved configuration.
    pub config: Config,
    /// The text of the configuration.
    pub toml: String,
    /// `run.json`.
    pub record: RunRecord,
    /// Version of wlstm that trained it last.
    pub version: String,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Words in the vocabulary, if the metrics state it.
    pub vocabulary: Option<usize>,
    /// The machine: operating system, processor, memory. Empty if unknown.
    pub system: String,
    /// Whether no process holds the lock of the folder.
    pub is_unlocked: bool,
    /// Device memory in bytes, for each device.
    pub memory: Vec<u64>,
    /// The steps in the metrics, ascending.
    pub steps: Vec<Step>,
    /// The validations in the order of the metrics: ascending by step, then the final ones on all targets.
    pub valids: Vec<Valid>,
    /// Number of steps skipped because of overflow, in mixed precision.
    pub skipped: u64,
    /// The last text that the model generated.
    pub sample: Option<String>,
    /// Why it ended, if it has.
    pub reason: Option<String>,
    /// Whether it has started, or failed to start.
    pub has_begun: bool,
    /// In a comparison: whether its limits are not those of the comparison, because it was not resumed when these changed.
    pub has_old_limits: bool,
}

impl RunData {
    /// Reads a run folder. Ignores a last line of the metrics that is still being written.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no run, or one of its files cannot be read.
    pub fn read(folder: &Path) -> Result<RunData> {
        if !folder.is_dir() {
            return Err(
                Error::data(format!("there is no run at `{}`", folder.display()))
                    .help("give the folder of a run, such as runs/shakespeare"),
            );
        }
        let record = RunRecord::read(folder).map_err(|error| {
            error.help(if find(folder, Which::Last).is_ok() {
                "the record of the run is lost or damaged: it is written again when the run is resumed with `wlstm train --resume`"
            } else {
                "give the folder of a run in which training has started, such as runs/shakespeare"
            })
        })?;
        let path = config_path(folder);
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("give the folder of a run in which training has started")
        };
        let toml = files::read_own(&path, MAX_CONFIG).map_err(|error| unreadable(error.into()))?;
        let toml = String::from_utf8(toml).map_err(|error| unreadable(error.into()))?;
        let config = Config::load(&path, &[]).map_err(|error| {
            Error::data(format!(
                "the configuration of `{}` cannot be used",
                folder.display()
            ))
            .because(error)
            .help("use the version of wlstm that wrote it")
        })?;
        let mut run = RunData::new(folder.to_path_buf(), config, toml, record);
        run.is_unlocked = is_unlocked(folder);
        let path = metrics_path(folder);
        // An imported model has no metrics.
        if path.symlink_metadata().is_ok() {
            run.add_metrics(metrics::read(&path)?);
        }
        if run.parameters == 0
            && let Ok(found) = find(folder, Which::Last)
        {
            let saved = SavedModel::open(&found.checkpoint)?;
            run.parameters = cost(&run.config, saved.vocabulary.len()).parameters;
            run.vocabulary = Some(saved.vocabulary.len());
        }
        Ok(run)
    }

    /// A run that `failed` before its first step, or has not started. `words`: the size of the vocabulary.
    pub fn without_steps(
        folder: PathBuf,
        label: String,
        config: Config,
        words: usize,
        failed: bool,
    ) -> RunData {
        let record = RunRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: label,
            devices: Vec::new(),
            seed: config.train.seed,
            status: Status::Failed,
            best: None,
            last: None,
        };
        let (toml, parameters) = (config.to_toml(), cost(&config, words).parameters);
        RunData {
            parameters,
            vocabulary: Some(words),
            has_begun: failed,
            ..RunData::new(folder, config, toml, record)
        }
    }

    /// A run without metrics.
    fn new(folder: PathBuf, config: Config, toml: String, record: RunRecord) -> RunData {
        RunData {
            folder,
            label: printable(&record.config).into_owned(),
            model: None,
            config,
            toml,
            version: record.version.clone(),
            record,
            parameters: 0,
            vocabulary: None,
            system: String::new(),
            is_unlocked: true,
            memory: Vec::new(),
            steps: Vec::new(),
            valids: Vec::new(),
            skipped: 0,
            sample: None,
            reason: None,
            has_begun: true,
            has_old_limits: false,
        }
    }

    fn add_metrics(&mut self, lines: Vec<Line>) {
        for line in lines {
            match line {
                Line::Start(start) => {
                    self.parameters = start.parameters;
                    self.vocabulary = start.vocabulary;
                    self.system = start.system;
                    if !start.memory.is_empty() {
                        self.memory = start.memory;
                    }
                    self.reason = None;
                }
                Line::Step(step) => self.steps.push(step),
                Line::Skipped(_) => self.skipped += 1,
                Line::Valid(valid) => self.valids.push(valid),
                Line::Sample(sample) => self.sample = Some(sample.text),
                Line::End(end) => self.reason = Some(end.reason),
            }
        }
    }

    /// Size of the vocabulary. For a run of an earlier version, computed from the number of parameters.
    pub fn vocabulary_size(&self) -> usize {
        // Metrics can contain any number. No vocabulary is larger than this.
        const MOST: usize = i32::MAX as usize;
        if let Some(words) = self.vocabulary {
            return words.clamp(1, MOST);
        }
        let [none, one] = [1, 2].map(|words| cost(&self.config, words).parameters);
        let more = self.parameters.saturating_sub(none) / (one - none).max(1);
        1 + more.min(MOST as u64 - 1) as usize
    }

    /// Parameters and FLOPs of the model.
    pub fn cost(&self) -> Cost {
        cost(&self.config, self.vocabulary_size())
    }

    /// Optimizer steps done.
    pub fn step(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.step)
    }

    /// Training time in seconds.
    pub fn seconds(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.seconds)
    }

    /// Number of words trained on.
    pub fn words(&self) -> u64 {
        self.steps.last().map_or(0, |step| self.words_at(step))
    }

    /// Number of words trained on up to a step. Estimated for metrics of old versions, which do not record it.
    pub fn words_at(&self, step: &Step) -> u64 {
        let train = &self.config.train;
        match step.words {
            0 => {
                let words = [train.batch, train.unroll, train.accumulate].map(|n| n as u64);
                words.into_iter().fold(step.step, u64::saturating_mul)
            }
            words => words,
        }
    }

    /// Words per second, from the first step in the metrics to the last one: the first steps, in which a device warms up, are
    /// excluded. With a single step in the metrics, the average up to it. NaN before the first step.
    pub fn words_per_second(&self) -> f64 {
        match self.steps.as_slice() {
            [first, .., last] if last.seconds > first.seconds => {
                let words = self.words_at(last).saturating_sub(self.words_at(first));
                words as f64 / (last.seconds - first.seconds)
            }
            _ => self.words() as f64 / self.seconds(),
        }
    }

    /// The validations on the largest number of targets, which are all targets once the run has ended. Only perplexities on the
    /// same targets can be compared.
    fn widest(&self) -> impl Iterator<Item = &Valid> {
        let most = self.valids.iter().map(|valid| valid.targets).max();
        self.valids
            .iter()
            .filter(move |valid| Some(valid.targets) == most)
    }

    /// The validation with the lowest perplexity, among those on the largest number of targets.
    pub fn best(&self) -> Option<&Valid> {
        let finite = self.widest().filter(|valid| valid.perplexity.is_finite());
        finite.min_by(|x, y| x.perplexity.total_cmp(&y.perplexity))
    }

    /// The last validation among those on the largest number of targets.
    pub fn last_valid(&self) -> Option<&Valid> {
        self.widest().max_by_key(|valid| valid.step)
    }

    /// The validations of the curve, which have the same number of targets as the first one.
    pub fn curve(&self) -> impl Iterator<Item = &Valid> {
        let first = self.valids.first().map(|valid| valid.targets);
        self.valids
            .iter()
            .filter(move |valid| Some(valid.targets) == first)
    }

    /// Whether it trained to the end of its budget, without a failure. Means over several runs include only such runs.
    pub fn is_complete(&self) -> bool {
        self.status() == "finished" && !self.has_old_limits
    }

    /// State of the run in a word or two.
    pub fn status(&self) -> &'static str {
        match self.record.status {
            _ if !self.has_begun => "not begun",
            Status::Running if self.is_unlocked => "killed",
            Status::Running => "running",
            Status::Finished => "finished",
            Status::Interrupted => "interrupted",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }
}
