//! The events of a run, and how to stop it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Kind;

/// An event of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A device was chosen.
    Device {
        /// A sentence that says which device, and why.
        reason: String,
    },
    /// A message for the user. It does not stop the run.
    Note {
        /// One or more sentences.
        text: String,
    },
    /// A warning about the run, which continues.
    Warning {
        /// What is wrong, the likely cause, and what to do.
        text: String,
    },
    /// Progress of long work before training.
    Working {
        /// The task.
        task: Task,
        /// Bytes done.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// The end of long work before training.
    Worked {
        /// The task.
        task: Task,
    },
    /// Training starts, or resumes after `resumed` steps.
    Start {
        /// The devices.
        devices: Vec<String>,
        /// The number of parameters.
        parameters: u64,
        /// Steps done before this process started.
        resumed: u64,
        /// The approximate number of steps of an epoch.
        epoch_steps: u64,
        /// The bytes that training and validation have allocated on each device.
        memory: Vec<u64>,
    },
    /// A step is done.
    Step {
        /// Steps done.
        step: u64,
        /// The epoch, from 1.
        epoch: u64,
        /// The mean loss of a token.
        loss: f64,
        /// Words per second, averaged over about two seconds.
        words_per_second: f64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// The share of the run that is done, from 0 to 1; 0 if its end is not known.
        done: f64,
        /// The remaining seconds, including validations.
        left: f64,
    },
    /// Mixed precision: a gradient overflowed `f16`, and the step changed no parameter.
    Skipped {
        /// The step.
        step: u64,
        /// The loss scale that was too large. The next step uses half of it.
        loss_scale: f64,
    },
    /// The expected number of validations.
    Validations {
        /// When the run validates and on what: one or more sentences, the same for all models of a comparison with equal batches.
        text: String,
        /// The cost in training steps, in sentences. Empty if it is not known.
        costs: String,
    },
    /// Progress of a validation.
    Validating {
        /// Batches done.
        done: u64,
        /// The number of all batches.
        total: u64,
    },
    /// A validation is done.
    Valid {
        /// Steps done.
        step: u64,
        /// The epoch, from 1.
        epoch: u64,
        /// Seconds of training so far.
        seconds: f64,
        /// The perplexity.
        perplexity: f64,
        /// Bits per byte of the text, a lower bound if there are unknown words. `None` if the targets have no bytes.
        bits_per_byte: Option<f64>,
        /// The perplexity of the unigram model on the same targets. `None` if the vocabulary has no counts.
        unigram: Option<f64>,
        /// The share of the targets that are unknown words.
        unknown: f64,
        /// Whether many targets are unknown words although training has had none and is not known to have any: see
        /// [`is_unlearned`](crate::metrics::is_unlearned).
        unlearned: bool,
        /// Whether it is the best so far.
        best: bool,
        /// The number of targets, if this is the final evaluation on all targets after validations on a subset.
        on_all: Option<u64>,
        /// Its duration in seconds.
        took: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: PathBuf,
    },
}

/// A long task besides training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Counts the words of the training text.
    CountingWords,
    /// The same of a text whose tokens are characters.
    CountingCharacters,
    /// Converts a text to tokens.
    ReadingText,
    /// Evaluates a text. Its progress is counted in batches.
    Evaluating,
}

/// Runs that share a device take turns.
pub trait Turns {
    /// Whether it is another run's turn.
    fn is_over(&self) -> bool;

    /// Waits until it is this run's turn again, or it is asked to stop.
    fn wait(&self);
}

/// Asks a run to save and stop. Holds the number of the signal, or 0.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub Arc<AtomicUsize>);

impl Stop {
    /// The number of SIGTERM. Any other number counts as SIGINT.
    pub const TERMINATE: usize = 15;

    /// The kind of stop that was asked for, if any.
    pub fn asked(&self) -> Option<Kind> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            Stop::TERMINATE => Some(Kind::Terminated),
            _ => Some(Kind::Interrupted),
        }
    }
}
