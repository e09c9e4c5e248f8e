//! The progress of a run, as a checkpoint stores it.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::config::{Automatic, Config, DataConfig, Measured, Resume, keys};
use crate::corpus::{Position, Text};
use crate::error::{Error, Result};

/// The maximum number of steps, epochs or words.
const MAX_COUNT: u64 = 1 << 53;

/// The maximum training time in seconds, 30,000 years.
const MAX_SECONDS: f64 = 1e12;

/// The progress of a run, which a checkpoint stores besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: u64,
    /// The epoch of the last step, from 1; 0 before the first step.
    pub epoch: u64,
    /// Epochs whose end was processed: validated and saved.
    pub epochs_ended: u64,
    /// Seconds of training, without validation and checkpoints.
    pub seconds: f64,
    /// Words trained on.
    #[serde(default)]
    pub words: u64,
    /// Unknown words trained on; not known if an older version started the run.
    #[serde(default)]
    pub unknown: Option<u64>,
    /// Steps of mixed precision that were skipped.
    #[serde(default)]
    pub skipped: u64,
    /// The number of validations so far.
    #[serde(default)]
    pub validations: u64,
    /// Their total time in seconds.
    #[serde(default)]
    pub validation_seconds: f64,
    /// The step of the last validation.
    pub validated: Option<u64>,
    /// The step and the mean negative log-likelihood of the best validation.
    pub best: Option<(u64, f64)>,
    /// The lowest mean negative log-likelihood of the validations that were due. The validation at the end of
    /// a run does not count: it must not change the schedule if the run is resumed.
    pub due_nll: Option<f64>,
    /// Due validations that did not improve on the best due validation before them.
    pub stalls: u32,
    /// The position in the text; `None`: its start.
    pub position: Option<Position>,
    /// What `best` and `due_nll` were measured on.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// The files of the training and the validation text, for messages. Empty if there are many, or if an older version
    /// started the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<FileSize>,
}

/// The name and the size of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSize {
    /// The name, without folders.
    pub name: String,
    /// The size in bytes.
    pub bytes: u64,
}

/// What perplexities are measured on. Perplexities of one measure can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The digest of the validation text.
    digest: u64,
    /// The number of targets; 0: all. `None`: not chosen yet.
    #[serde(default)]
    pub targets: Option<u64>,
    /// Whether the targets are sampled from the whole text. Old versions used the first ones.
    #[serde(default)]
    spread: bool,
    /// The number of streams, if it is not that of training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streams: Option<usize>,
}

impl Measure {
    /// On this validation text.
    pub fn of(text: &Text, config: &Config) -> Measure {
        Measure {
            digest: text.corpus().digest(),
            targets: match config.train.validate_targets {
                Automatic::Auto => None,
                Automatic::Given(targets) => Some(targets),
            },
            spread: true,
            streams: Some(config.train.validation_streams())
                .filter(|streams| *streams != config.train.batch),
        }
    }

    /// Whether it uses only the first targets of a text, as old versions did.
    fn is_of_first_targets(&self) -> bool {
        !self.spread && self.targets != Some(0)
    }

    /// Whether both are on the same text.
    fn is_of_text(&self, other: &Measure) -> bool {
        self.digest == other.digest
    }

    /// The first change from `before` in what a key with the rule [`Resume::SameMeasure`] sets, for messages.
    fn change(&self, before: &Measure, data: &DataConfig) -> Option<String> {
        let change = |part: Measured| match part {
            Measured::Text => (!self.is_of_text(before)).then(|| {
                let what = if data.valid.is_empty() {
                    "the part of the text that `data.valid_share` holds out"
                } else {
                    "the text of `data.valid`"
                };
                format!("{what} has changed")
            }),
            Measured::Targets => match (before.targets, self.targets) {
                (Some(before), Some(now)) if before != now => Some(format!(
                    "`train.validate_targets` was {before} and is {now}"
                )),
                _ => None,
            },
            Measured::Streams => {
                let name = |streams: Option<usize>| match streams {
                    Some(streams) => streams.to_string(),
                    None => "that of `train.batch`".to_owned(),
                };
                (self.streams != before.streams).then(|| {
                    format!(
                        "the number of streams, `train.validate_streams`, was {} and is {}",
                        name(before.streams),
                        name(self.streams)
                    )
                })
            }
        };
        keys().find_map(|key| match key.resume {
            Resume::SameMeasure(part) => change(part),
            Resume::MayChange | Resume::MustStay | Resume::SameContent(_) => None,
        })
    }
}

impl Progress {
    /// Before the first step.
    pub fn start() -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            epochs_ended: 0,
            seconds: 0.0,
            words: 0,
            unknown: Some(0),
            skipped: 0,
            validations: 0,
            validation_seconds: 0.0,
            validated: None,
            best: None,
            due_nll: None,
            stalls: 0,
            position: None,
            measure: None,
            texts: Vec::new(),
        }
    }

    /// Records a validation of the current step with this mean negative log-likelihood. Returns whether it is
    /// the best so far. Only validations that are `due` influence the schedule.
    pub fn record_validation(&mut self, mean: f64, due: bool) -> bool {
        self.validated = Some(self.step);
        let best = self.best.is_none_or(|(_, best)| mean < best);
        if best {
            self.best = Some((self.step, mean));
        }
        if due {
            if self.due_nll.is_none_or(|best| mean < best) {
                self.due_nll = Some(mean);
            } else {
                self.stalls += 1;
            }
        }
        best
    }

    /// Counts the words of a step. `unknown` of them are unknown words.
    pub fn count(&mut self, words: usize, unknown: usize) {
        self.words += words as u64;
        self.unknown = self.unknown.map(|all| all + unknown as u64);
    }

    /// Sets the validation text and the number of targets for all further validations.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if earlier validations were on something else: then the
    /// best of all cannot be found.
    pub fn measure_on(&mut self, measure: Measure, data: &DataConfig) -> Result<()> {
        if self.best.is_some()
            && self
                .measure
                .as_ref()
                .is_some_and(Measure::is_of_first_targets)
        {
            tracing::warn!(
                "earlier validations of this run used only the first targets of the text; targets are now sampled from the whole text, \
                 so the earlier best checkpoint is ignored"
            );
            (self.best, self.due_nll, self.measure) = (None, None, None);
        }
        let of_before = self.best.and(self.measure.as_ref());
        if let Some(what) = of_before.and_then(|before| measure.change(before, data)) {
            return Err(Error::usage(format!(
                "the best checkpoint of the run was chosen with another validation: {what}"
            ))
            .help(
                "resume with the texts and the configuration of the run (see its `config.toml`); to evaluate another text, use `wlstm eval`",
            ));
        }
        let chosen = self
            .measure
            .take()
            .filter(|before| before.is_of_text(&measure));
        let targets = measure.targets.or(chosen.and_then(|before| before.targets));
        self.measure = Some(Measure { targets, ..measure });
        Ok(())
    }

    /// Whether earlier validations were on another text.
    pub fn is_on_other_text(&self, measure: &Measure) -> bool {
        let before = self.measure.as_ref();
        before.is_some_and(|before| !before.is_of_text(measure))
    }

    /// The progress that a checkpoint stores.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file is not a checkpoint of a run.
    pub fn read(file: &Checkpoint) -> Result<Progress> {
        let place = file.path().display();
        let text = file.metadata().get("progress").ok_or_else(|| {
            Error::data(format!(
                "`{place}` has parameters but is not a checkpoint of a run"
            ))
            .help("start a new run from it with `--init`")
        })?;
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::data(format!(
                "the progress of the run in `{place}` cannot be read"
            ))
            .because(error)
            .help(
                "use the version of wlstm that wrote it, or start a new run from it with `--init`",
            )
        };
        let progress: Progress =
            serde_json::from_str(text).map_err(|error| unreadable(error.into()))?;
        match progress.impossible() {
            None => Ok(progress),
            Some(what) => Err(unreadable(what.into())),
        }
    }

    /// A number that is too large for any training, and could overflow.
    fn impossible(&self) -> Option<String> {
        let position = self.position.as_ref();
        let counts = [
            ("step", self.step),
            ("epoch", self.epoch),
            ("epochs_ended", self.epochs_ended),
            ("words", self.words),
            ("unknown", self.unknown.unwrap_or(0)),
            ("skipped", self.skipped),
            ("stalls", self.stalls.into()),
            (
                "position.epoch",
                position.map_or(0, |position| position.epoch),
            ),
            (
                "position.step",
                position.map_or(0, |position| position.step),
            ),
        ];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count > MAX_COUNT) {
            return Some(format!("`{name}` is {count}"));
        }
        let is_time = self.seconds >= 0.0 && self.seconds <= MAX_SECONDS;
        (!is_time).then(|| format!("`seconds` is {}", self.seconds))
    }
}
