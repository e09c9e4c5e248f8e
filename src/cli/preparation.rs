//! Shows progress before training, and in commands that use a trained model.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::args::{Invocation, ParameterArgs};
use super::executors::executor_options;
use super::messages::note;
use super::progress::Live;
use crate::error::Result;
use crate::job::{Event, Parameters, Task, Trained};

/// Shows events: sentences as lines, long work as a live line.
pub(super) struct Preparation {
    quiet: bool,
    live: Option<Live>,
}

impl Preparation {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Preparation {
        Preparation { quiet, live: None }
    }

    /// Shows an event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Device { reason } => note(self.quiet, &reason),
            Event::Note { text } => note(self.quiet, &text),
            Event::Working { task, done, total } => {
                let quiet = self.quiet;
                let live = self
                    .live
                    .get_or_insert_with(|| Live::new(name_of(task), quiet));
                match task {
                    Task::Evaluating => live.show(done, total),
                    // In MB.
                    Task::CountingWords | Task::CountingCharacters | Task::ReadingText => {
                        live.show(done >> 20, total >> 20);
                    }
                }
            }
            Event::Worked { .. } => {
                if let Some(live) = self.live.take() {
                    live.end();
                }
            }
            _ => {}
        }
    }
}

fn name_of(task: Task) -> &'static str {
    match task {
        Task::CountingWords => "counting words, MB",
        Task::CountingCharacters => "counting characters, MB",
        Task::ReadingText => "reading the text",
        Task::Evaluating => "evaluating",
    }
}

/// Opens the best checkpoint of a run, or a checkpoint file, and prints its path. If the model has a moving average of the
/// parameters that is not used, prints why.
pub(super) fn trained(
    run: &Path,
    arguments: &ParameterArgs,
    invocation: &Invocation,
) -> Result<Trained> {
    let quiet = invocation.quiet();
    let parameters = arguments.parameters();
    let trained = shown(Trained::open(run)?, invocation, quiet).parameters(parameters)?;
    let place = trained.checkpoint().path().display();
    note(quiet, &format!("Using the checkpoint `{place}`."));
    if let (Parameters::ByRule, Some(reason)) = (parameters, trained.why_not_average()) {
        note(
            quiet,
            &format!(
                "Using the parameters instead of their moving average: {reason}. Use the average with --average."
            ),
        );
    }
    Ok(trained)
}

/// The model, with its events shown.
pub(super) fn shown(trained: Trained, invocation: &Invocation, quiet: bool) -> Trained {
    let preparation = Mutex::new(Preparation::new(quiet));
    trained
        .executor_options(executor_options(invocation, quiet))
        .observer(move |event| {
            let mut preparation = preparation.lock().unwrap_or_else(PoisonError::into_inner);
            preparation.show(event);
        })
}
