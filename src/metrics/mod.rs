//! `metrics.jsonl`: what happened in a run, one JSON object a line, written as it happens.
//!
//! Numbers have all their digits: the shortest text that reads back as the same number. JSON has no text for infinite and
//! undefined numbers; they are written as `null` and read as NaN. The same goes to TensorBoard: see [`tensorboard`].

pub mod tensorboard;
mod write;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

pub use write::Writer;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// Training starts, or goes on after a resume.
    Start(Start),
    /// An optimizer step.
    Step(Step),
    /// An optimizer step that changed nothing; its [`Line::Step`] is there too.
    Skipped(Skipped),
    /// A validation.
    Valid(Valid),
    /// What the model makes up at the end.
    Sample(Sample),
    /// Training ends.
    End(End),
}

impl Line {
    /// The step that the line speaks of, if it does.
    pub fn step(&self) -> Option<u64> {
        match self {
            Line::Start(_) | Line::End(_) => None,
            Line::Step(line) => Some(line.step),
            Line::Skipped(line) => Some(line.step),
            Line::Valid(line) => Some(line.step),
            Line::Sample(line) => Some(line.step),
        }
    }
}

/// What trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The version of wlstm.
    pub version: String,
    /// The name of the configuration, for people.
    pub config: String,
    /// The digest of the resolved configuration.
    pub digest: String,
    /// The devices, for people.
    pub devices: Vec<String>,
    /// The number of trained numbers.
    pub parameters: u64,
    /// The steps done before: 0, or those of the checkpoint that is resumed.
    pub resumed: u64,
    /// The bytes that training and validation take of each device.
    #[serde(default)]
    pub memory: Vec<u64>,
    /// The machine: operating system, processor, memory.
    #[serde(default)]
    pub system: String,
}

/// One optimizer step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the step, from 1.
    pub step: u64,
    /// The pass over the training text, from 1.
    pub epoch: u64,
    /// The mean over tokens of the training loss, in nats. Of a sampled softmax it says nothing about perplexity.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss: f64,
    /// Trained words per second.
    #[serde(deserialize_with = "null_as_nan")]
    pub words_per_second: f64,
    /// The learning rate of this step.
    #[serde(deserialize_with = "null_as_nan")]
    pub learning_rate: f64,
    /// The norm of the clipped gradients, before clipping.
    #[serde(deserialize_with = "null_as_nan")]
    pub grad_norm: f64,
    /// Seconds of training so far: resumed runs added, validation and checkpoints left out.
    #[serde(deserialize_with = "null_as_nan")]
    pub seconds: f64,
    /// Words trained so far, resumed runs added; 0 where an older version has written the line.
    #[serde(default)]
    pub words: u64,
}

/// A step of mixed precision whose gradients were too large for `f16`: it changed no parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// The number of the step, from 1.
    pub step: u64,
    /// The loss scale that was too large. The next step has half of it.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss_scale: f64,
}

/// One validation, with the full softmax over every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Valid {
    /// Optimizer steps done.
    pub step: u64,
    /// The total negative log-likelihood of all targets, in nats.
    #[serde(deserialize_with = "null_as_nan")]
    pub nll: f64,
    /// The number of targets.
    pub targets: u64,
    /// `exp(nll / targets)`.
    #[serde(deserialize_with = "null_as_nan")]
    pub perplexity: f64,
    /// Seconds of training so far, as in [`Step`].
    #[serde(deserialize_with = "null_as_nan")]
    pub seconds: f64,
    /// The targets that are unknown words; none where an older version has written the line.
    #[serde(default)]
    pub unknown: Option<u64>,
    /// The unknown words that were trained on until then; none where that is not known.
    #[serde(default)]
    pub unknown_trained: Option<u64>,
}

impl Valid {
    /// The share of the targets that are unknown words.
    pub fn share_unknown(&self) -> Option<f64> {
        Some(self.unknown? as f64 / self.targets as f64)
    }

    /// As [`is_unlearned`].
    pub fn is_unlearned(&self) -> bool {
        is_unlearned(self.share_unknown().unwrap_or(0.0), self.unknown_trained)
    }
}

/// Whether a perplexity means little: this share of the targets, more than one in a hundred, are unknown words, and a model that was
/// trained on none (`trained`) cannot know when to expect one.
pub fn is_unlearned(share: f64, trained: Option<u64>) -> bool {
    share > 0.01 && trained == Some(0)
}

/// Text that the model made up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Optimizer steps done.
    pub step: u64,
    /// The text.
    pub text: String,
}

/// Why training ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// In words: the limit that was reached, `interrupted`, `diverged`, or a failure.
    pub reason: String,
}

fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads a file of metrics. A last line that is cut off, as by a kill or while it is being written, is left out.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read, or another line is not one of metrics.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    scan(path, |line, _| {
        lines.push(line);
        true
    })?;
    Ok(lines)
}

/// Hands every whole line to `take`, with the offset of the byte after it, until `take` has enough (`false`). One line is
/// in memory at a time.
fn scan(path: &Path, mut take: impl FnMut(Line, u64) -> bool) -> Result<()> {
    let unreadable = |error| {
        Error::data(format!("cannot read `{}`", path.display()))
            .because(error)
            .help("check the rights of the file, or remove it: a run continues without its past metrics")
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut text, mut end) = (Vec::new(), 0);
    for number in 1.. {
        text.clear();
        end += file.read_until(b'\n', &mut text).map_err(unreadable)? as u64;
        if !text.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice(&text) {
            Ok(line) => {
                if !take(line, end) {
                    break;
                }
            }
            Err(_) if file.fill_buf().map_err(unreadable)?.is_empty() => break,
            Err(error) => {
                return Err(Error::data(format!(
                    "{}:{number}: this is no line of metrics",
                    path.display(),
                ))
                .because(error)
                .help("remove the line, or the file: a run continues without its past metrics"));
            }
        }
    }
    Ok(())
}
