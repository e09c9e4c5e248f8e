//! The lines of `metrics.jsonl`.

use serde::{Deserialize, Deserializer, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// Training starts or resumes.
    Start(Start),
    /// An optimizer step.
    Step(Step),
    /// An optimizer step was skipped. It has a [`Line::Step`] too.
    Skipped(Skipped),
    /// A validation.
    Valid(Valid),
    /// A text that the model generated at the end.
    Sample(Sample),
    /// Training ends.
    End(End),
}

impl Line {
    /// The step of the line, if it has one.
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

/// The start of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The version of wlstm.
    pub version: String,
    /// Name of the configuration, for display.
    pub config: String,
    /// Digest of the resolved configuration.
    pub digest: String,
    /// Names of the devices, for display.
    pub devices: Vec<String>,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Words in the vocabulary.
    #[serde(default)]
    pub vocabulary: Option<usize>,
    /// Steps done before: 0, or the step of the resumed checkpoint.
    pub resumed: u64,
    /// Device memory for training and validation in bytes, for each device.
    #[serde(default)]
    pub memory: Vec<u64>,
    /// The machine: operating system, processor, memory.
    #[serde(default)]
    pub system: String,
}

/// One optimizer step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, counted from 1.
    pub step: u64,
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Mean training loss per token, in nats. With a sampled softmax it does not measure perplexity.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss: f64,
    /// Words trained on per second.
    #[serde(deserialize_with = "null_as_nan")]
    pub words_per_second: f64,
    /// Learning rate of this step.
    #[serde(deserialize_with = "null_as_nan")]
    pub learning_rate: f64,
    /// Norm of the clipped gradients, before clipping.
    #[serde(deserialize_with = "null_as_nan")]
    pub grad_norm: f64,
    /// Training time so far in seconds, with that before a resume, without validation and checkpoints.
    #[serde(deserialize_with = "null_as_nan")]
    pub seconds: f64,
    /// Words trained on so far, with those before a resume. 0 in lines of old versions.
    #[serde(default)]
    pub words: u64,
}

/// A step in mixed precision whose gradients overflowed `f16`. It changed no parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Number of the step, counted from 1.
    pub step: u64,
    /// The loss scale, which was too large. The next step uses half of it.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss_scale: f64,
}

/// One validation: the full softmax of every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Valid {
    /// Optimizer steps done.
    pub step: u64,
    /// Negative log-likelihood of all targets, in nats.
    #[serde(deserialize_with = "null_as_nan")]
    pub nll: f64,
    /// Number of targets.
    pub targets: u64,
    /// `exp(nll / targets)`.
    #[serde(deserialize_with = "null_as_nan")]
    pub perplexity: f64,
    /// Training time so far in seconds, as in [`Step`].
    #[serde(deserialize_with = "null_as_nan")]
    pub seconds: f64,
    /// Targets that are unknown words. `None` in lines of old versions.
    #[serde(default)]
    pub unknown: Option<u64>,
    /// Unknown words that the model was trained on so far. `None` if that is not known.
    #[serde(default)]
    pub unknown_trained: Option<u64>,
    /// Whether the moving average of the parameters was used. `None` for a model without one, and in lines of old
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<bool>,
    /// The perplexity of the unigram model on the same targets. `None` if the vocabulary has no counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unigram: Option<f64>,
    /// The UTF-8 bytes of the targets, line ends included. `None` in lines of old versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Negative log-likelihood in bits divided by these bytes. A lower bound if there are unknown words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
}

impl Valid {
    /// Whether [`Valid::bits_per_byte`] is a lower bound, because targets are unknown words.
    pub fn is_lower_bound(&self) -> bool {
        self.unknown.is_some_and(|unknown| unknown > 0)
    }

    /// Share of unknown words among the targets, from 0 to 1.
    pub fn share_unknown(&self) -> Option<f64> {
        Some(self.unknown? as f64 / self.targets as f64)
    }

    /// See [`is_unlearned`].
    pub fn is_unlearned(&self) -> bool {
        is_unlearned(self.share_unknown().unwrap_or(0.0), self.unknown_trained)
    }
}

/// Whether a perplexity is not meaningful, because more than 1 % of the targets are unknown words (`share`) and
/// the model was trained on no unknown word (`trained`), so that it cannot predict them.
pub fn is_unlearned(share: f64, trained: Option<u64>) -> bool {
    share > 0.01 && trained == Some(0)
}

/// A text that the model generated.
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
    /// The limit that was reached, `interrupted`, `diverged`, or an error.
    pub reason: String,
}

fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
