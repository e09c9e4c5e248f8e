//! What a run tells those who watch it, and how they stop it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::Kind;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Training begins, or goes on after `resumed` steps.
    Start {
        /// The device.
        device: String,
        /// Parameters of the model.
        parameters: u64,
        /// Steps done before.
        resumed: u64,
        /// Steps of an epoch, about.
        epoch_steps: u64,
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
        /// Seconds of training to go.
        left: f64,
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
        /// The perplexity.
        perplexity: f64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: PathBuf,
    },
}

/// Asks a run to stop, from a signal handler or another thread.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// A run that goes on.
    pub const fn new() -> Stop {
        Stop(AtomicU8::new(0))
    }

    /// Asks the run to save and stop, as after SIGINT or, with `terminated`, SIGTERM. The first request counts.
    pub fn ask(&self, terminated: bool) {
        let reason = if terminated { 2 } else { 1 };
        let _ = self
            .0
            .compare_exchange(0, reason, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// What was asked for.
    pub fn asked(&self) -> Option<Kind> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Kind::Interrupted),
            _ => Some(Kind::Terminated),
        }
    }
}
