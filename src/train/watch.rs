//! What a run tells those who watch it, and how they stop it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Kind;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A device was chosen.
    Device {
        /// A sentence: which one, and why.
        reason: String,
    },
    /// Something to know, which stops nothing.
    Note {
        /// One sentence or more.
        text: String,
    },
    /// Long work before training goes on.
    Working {
        /// The work.
        work: Work,
        /// Bytes done.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// Long work before training has ended.
    Worked {
        /// The work.
        work: Work,
    },
    /// Training begins, or goes on after `resumed` steps.
    Start {
        /// The devices.
        devices: Vec<String>,
        /// Parameters of the model.
        parameters: u64,
        /// Steps done before.
        resumed: u64,
        /// Steps of an epoch, about.
        epoch_steps: u64,
        /// The bytes that training and validation take of each device.
        memory: Vec<u64>,
    },
    /// A step is done.
    Step {
        /// Steps done.
        step: u64,
        /// The pass over the text, from 1.
        epoch: u64,
        /// The mean loss of a token.
        loss: f64,
        /// Words a second, of the last seconds.
        words_per_second: f64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// The part of the run that is done, where its end is known.
        done: f64,
        /// Seconds to go, with the validations that are still to come.
        left: f64,
    },
    /// Mixed precision: gradients of a step were too large for `f16`, and it changed no parameter.
    Skipped {
        /// The step.
        step: u64,
        /// The loss scale that was too large; the next step has half of it.
        loss_scale: f64,
    },
    /// A validation goes on.
    Validating {
        /// Batches done.
        done: u64,
        /// All batches.
        total: u64,
    },
    /// A validation is done.
    Valid {
        /// Steps done.
        step: u64,
        /// The pass over the text, from 1.
        epoch: u64,
        /// Seconds of training so far.
        seconds: f64,
        /// The perplexity.
        perplexity: f64,
        /// The share of targets that are unknown words.
        unknown: f64,
        /// Whether they are many, none was met in training, see [`is_unlearned`](crate::metrics::is_unlearned), and none is known
        /// to come.
        unlearned: bool,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: PathBuf,
    },
}

/// Long work besides training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The words of the training text are counted.
    CountingWords,
    /// A text is converted to tokens.
    ReadingText,
    /// A text is evaluated; counted in batches.
    Evaluating,
}

/// Runs that share a device take turns.
pub trait Turns {
    /// Whether another one is to go on now.
    fn is_over(&self) -> bool;

    /// Waits until it is this one's turn again, or it is asked to stop.
    fn wait(&self);
}

/// Asks a run to save and stop: the number of the signal that did, or 0.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub Arc<AtomicUsize>);

impl Stop {
    /// The number of SIGTERM; every other number counts as SIGINT.
    pub const TERMINATE: usize = 15;

    /// What was asked for.
    pub fn asked(&self) -> Option<Kind> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            Stop::TERMINATE => Some(Kind::Terminated),
            _ => Some(Kind::Interrupted),
        }
    }
}
