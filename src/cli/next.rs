//! Commands that are proposed, in words that can be typed.

use std::path::Path;

use crate::config::TrainConfig;
use crate::error::quoted;

/// The options that name these devices; the default needs none.
pub(super) fn device_options(selectors: &[String]) -> String {
    let given = selectors.iter().filter(|selector| *selector != "auto");
    given
        .map(|selector| format!(" --device {}", quoted(selector)))
        .collect()
}

/// What this program was called as, as one can type it.
pub(super) fn program() -> String {
    let program = std::env::args().next();
    quoted(&program.unwrap_or_else(|| "wlstm".to_owned()))
}

/// The options of `train` for a training so many times as long as this one.
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

/// The command that goes on with a run as it was begun.
pub(super) fn resumption(run: &Path) -> String {
    let run = quoted(&run.display().to_string());
    format!("{} train {run}/config.toml --resume", program())
}
