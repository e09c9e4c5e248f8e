//! The inputs and the result of a run.

use super::when::SharedTargets;
use crate::checkpoint::{RunFolder, SavedCheckpoint};
use crate::config::Config;
use crate::corpus::Text;
use crate::train::progress::Progress;
use crate::train::session::TrainingSession;
use crate::train::watch::{Event, Stop, Turns};

/// What a run needs.
pub struct Run<'a> {
    /// The resolved configuration.
    pub config: &'a Config,
    /// The name of the configuration, for messages.
    pub name: String,
    /// The model on its devices.
    pub session: &'a mut TrainingSession,
    /// The training text.
    pub train: Text,
    /// The validation text.
    pub valid: Option<Text>,
    /// The run folder, on the root process.
    pub folder: Option<&'a RunFolder>,
    /// The steps done so far.
    pub progress: Progress,
    /// Asks the run to stop.
    pub stop: &'a Stop,
    /// Turns with other runs, if they share the device. The time of other turns is not counted.
    pub turns: Option<&'a dyn Turns>,
    /// The number of targets that all runs of a comparison validate on.
    pub shared_targets: Option<&'a SharedTargets>,
    /// Receives events.
    pub watch: &'a mut dyn FnMut(Event),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// A description of the limit that ended the run.
    pub reason: String,
    /// The steps done.
    pub progress: Progress,
    /// The best checkpoint.
    pub best: Option<SavedCheckpoint>,
    /// A text that the model generated, unless that takes too long.
    pub sample: Option<String>,
}
