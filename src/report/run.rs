//! What is known of a run: its folder, read.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::printable;
use crate::checkpoint::{Checkpoint, RunRecord, Status, Which, find, is_unlocked};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::{self, Line, Step, Valid};
use crate::model::cost::{Cost, cost};

/// A run, as its folder has it: finished, interrupted, or still running.
#[derive(Clone, Debug)]
pub struct RunData {
    /// The folder.
    pub folder: PathBuf,
    /// A name for people: that of the configuration, unless a comparison has given one.
    pub label: String,
    /// The resolved configuration.
    pub config: Config,
    /// The text of it.
    pub toml: String,
    /// `run.json`.
    pub record: RunRecord,
    /// The version that began it.
    pub version: String,
    /// The trained numbers.
    pub parameters: u64,
    /// The machine: operating system, processor, memory; empty where it is not known.
    pub system: String,
    /// Whether no process trains it, as far as its lock tells.
    pub is_unlocked: bool,
    /// The bytes that each device has taken.
    pub memory: Vec<u64>,
    /// The steps of the metrics, rising.
    pub steps: Vec<Step>,
    /// The validations, rising.
    pub valids: Vec<Valid>,
    /// Steps that changed nothing, in mixed precision.
    pub skipped: u64,
    /// What the model made up last.
    pub sample: Option<String>,
    /// Why it ended, if it did.
    pub reason: Option<String>,
}

impl RunData {
    /// Reads the folder of a run. A last line of the metrics that is being written is left out.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it is no run, or one of its files cannot be read.
    pub fn read(folder: &Path) -> Result<RunData> {
        if !folder.is_dir() {
            return Err(
                Error::data(format!("there is no run at `{}`", folder.display()))
                    .help("name the folder of a run, such as runs/shakespeare"),
            );
        }
        let record = RunRecord::read(folder).map_err(|error| {
            error.help("name the folder of a run that has begun to train, such as runs/shakespeare")
        })?;
        let path = folder.join("config.toml");
        let toml = std::fs::read_to_string(&path).map_err(|error| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("name the folder of a run that has begun to train")
        })?;
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
        let path = folder.join("metrics.jsonl");
        // A model that was imported has none.
        if path.is_file() {
            run.take(metrics::read(&path)?);
        }
        if run.parameters == 0
            && let Ok(found) = find(folder, Which::Last)
        {
            let checkpoint = Checkpoint::open(&found.checkpoint)?;
            let words = checkpoint.shape("embedding.weight")?[0];
            run.parameters = cost(&run.config, words).parameters;
        }
        Ok(run)
    }

    /// One that has not begun, or failed before its first step, of a model of so many words.
    pub fn without_steps(folder: PathBuf, label: String, config: Config, words: usize) -> RunData {
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
            ..RunData::new(folder, config, toml, record)
        }
    }

    /// One of which there are no metrics.
    fn new(folder: PathBuf, config: Config, toml: String, record: RunRecord) -> RunData {
        RunData {
            folder,
            label: printable(&record.config),
            config,
            toml,
            version: record.version.clone(),
            record,
            parameters: 0,
            system: String::new(),
            is_unlocked: true,
            memory: Vec::new(),
            steps: Vec::new(),
            valids: Vec::new(),
            skipped: 0,
            sample: None,
            reason: None,
        }
    }

    fn take(&mut self, lines: Vec<Line>) {
        for line in lines {
            match line {
                Line::Start(start) => {
                    self.parameters = start.parameters;
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

    /// The words of the vocabulary, told from the number of parameters.
    pub fn words_known(&self) -> usize {
        let [none, one] = [1, 2].map(|words| cost(&self.config, words).parameters);
        1 + (self.parameters.saturating_sub(none) / (one - none).max(1)) as usize
    }

    /// What a step of the model costs.
    pub fn cost(&self) -> Cost {
        cost(&self.config, self.words_known())
    }

    /// The steps done.
    pub fn step(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.step)
    }

    /// The seconds of training.
    pub fn seconds(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.seconds)
    }

    /// The words trained. Lines of older versions do not say.
    pub fn words(&self) -> u64 {
        self.steps.last().map_or(0, |step| self.words_at(step))
    }

    /// The words trained after a step.
    pub fn words_at(&self, step: &Step) -> u64 {
        let train = &self.config.train;
        match step.words {
            0 => step.step * (train.batch * train.unroll * train.accumulate) as u64,
            words => words,
        }
    }

    /// Words a second, over all of the training but its first steps, those up to the first line of the metrics, in which a device
    /// warms up; of a run of one line over that. NaN before the first step.
    pub fn words_per_second(&self) -> f64 {
        match self.steps.as_slice() {
            [first, .., last] if last.seconds > first.seconds => {
                let words = self.words_at(last) - self.words_at(first);
                words as f64 / (last.seconds - first.seconds)
            }
            _ => self.words() as f64 / self.seconds(),
        }
    }

    /// The best validation.
    pub fn best(&self) -> Option<&Valid> {
        let finite = self
            .valids
            .iter()
            .filter(|valid| valid.perplexity.is_finite());
        finite.min_by(|x, y| x.perplexity.total_cmp(&y.perplexity))
    }

    /// In one word.
    pub fn status(&self) -> &'static str {
        match self.record.status {
            Status::Running if self.is_unlocked => "killed",
            Status::Running => "running",
            Status::Finished => "finished",
            Status::Interrupted => "interrupted",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }
}

/// A line of a comparison: the columns of the paper's table, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The model.
    pub model: String,
    /// Parameters of the recurrent layers.
    pub recurrent_parameters: u64,
    /// All parameters.
    pub parameters: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Words trained.
    pub words: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// `words/s` or `chars/s`.
    pub unit: &'static str,
    /// Words a second.
    pub words_per_second: f64,
    /// Times the first model's words a second.
    pub speedup: f64,
    /// What that would be if only FLOPs counted.
    pub speedup_by_flops: f64,
    /// The part of that which was reached.
    pub share_reached: f64,
    /// The best validation perplexity.
    pub perplexity: Option<f64>,
    /// The step of it.
    pub perplexity_step: Option<u64>,
    /// The last validation perplexity.
    pub last_perplexity: Option<f64>,
    /// The share of the targets of the last validation that are unknown words.
    pub unknown: Option<f64>,
    /// Whether these are many, and none was trained on, so that the perplexity means little.
    pub unlearned: bool,
    /// Bytes that training takes of the device.
    pub memory: Option<u64>,
    /// `finished`, `running`, `killed`, `interrupted`, `diverged`, `failed`.
    pub status: String,
    /// The folder of the run.
    pub run: PathBuf,
}

/// The lines of several runs, against the first.
pub fn compared(runs: &[RunData]) -> Vec<Compared> {
    let first = runs.first().map(|run| (run.words_per_second(), run.cost()));
    let line = |run: &RunData| {
        let cost = run.cost();
        let (speed, flops) = match &first {
            Some((speed, first)) => (*speed, first.flops_per_word),
            None => (f64::NAN, 0),
        };
        let words_per_second = run.words_per_second();
        let speedup = words_per_second / speed;
        let speedup_by_flops = flops as f64 / cost.flops_per_word as f64;
        let best = run.best();
        Compared {
            model: run.label.clone(),
            recurrent_parameters: cost.recurrent,
            parameters: cost.parameters,
            steps: run.step(),
            words: run.words(),
            seconds: run.seconds(),
            unit: run.config.data.tokens.unit(),
            words_per_second,
            speedup,
            speedup_by_flops,
            share_reached: speedup / speedup_by_flops,
            perplexity: best.map(|valid| valid.perplexity),
            perplexity_step: best.map(|valid| valid.step),
            last_perplexity: run.valids.last().map(|valid| valid.perplexity),
            unknown: run.valids.last().and_then(Valid::share_unknown),
            unlearned: run.valids.last().is_some_and(Valid::is_unlearned),
            memory: (!run.memory.is_empty()).then(|| run.memory.iter().sum()),
            status: run.status().to_owned(),
            run: run.folder.clone(),
        }
    };
    runs.iter().map(line).collect()
}
