//! Commands that messages propose. All can be pasted into a shell.

use crate::config::TrainConfig;
use crate::error::{command_line, quoted};
use crate::train::progress::Progress;

/// The options that select these devices. The default device needs none.
pub(super) fn device_options(selectors: &[String]) -> String {
    let given = selectors.iter().filter(|selector| *selector != "auto");
    given
        .map(|selector| format!(" --device {}", quoted(selector)))
        .collect()
}

/// Suggestions for the next step: a line for each, and the command below it.
pub(super) fn proposals(title: &str, proposals: &[(&str, String)]) -> String {
    let line = |(what, command): &(&str, String)| format!("\n  {what}{}", command_line(command));
    let lines: String = proposals.iter().map(line).collect();
    format!("\n{title}:{lines}")
}

/// The name that this program was started with, quoted for a shell.
pub(super) fn program() -> String {
    let program = std::env::args().next();
    quoted(&program.unwrap_or_else(|| "wlstm".to_owned()))
}

/// The limits of a run, raised to what it has already done.
pub(super) fn beyond(train: &TrainConfig, progress: &Progress) -> TrainConfig {
    let mut train = train.clone();
    let raise = |limit: &mut u64, done: u64| {
        if *limit > 0 {
            *limit = (*limit).max(done);
        }
    };
    raise(&mut train.epochs, progress.epochs_ended);
    raise(&mut train.steps, progress.step);
    // The last step ends a little after the limit.
    if train.seconds > 0.0 && progress.seconds > 1.1 * train.seconds {
        train.seconds = progress.seconds.ceil();
    }
    train
}

/// The options of `train` that make a training `times` as long.
pub(super) fn longer(train: &TrainConfig, times: f64) -> String {
    let many = |count: u64| (times * count as f64).ceil();
    let mut options = String::new();
    if train.epochs > 0 {
        options += &format!(" --set train.epochs={}", many(train.epochs));
    }
    if train.steps > 0 {
        options += &format!(" --steps {}", many(train.steps));
    }
    if train.seconds > 0.0 {
        options += &format!(" --seconds {}", times * train.seconds);
    }
    options
}
