//! The commands that `wlstm train` proposes.

use std::path::Path;

use super::args::TrainArgs;
use crate::checkpoint::run_of_config;
use crate::cli::messages::note;
use crate::cli::next::{beyond, device_options, longer, program, proposals};
use crate::config::Config;
use crate::error::quoted;
use crate::job::page::REPORT;
use crate::job::{key_of, resume_arguments};
use crate::train::progress::Progress;

/// Proposes the next commands.
pub(super) fn advise(
    quiet: bool,
    arguments: &TrainArgs,
    folder: &Path,
    config: &Config,
    progress: &Progress,
) {
    let program = program();
    let run = quoted(&folder.display().to_string());
    let file = quoted(&arguments.config.display().to_string());
    // These commands use one device.
    let device = device_options(&arguments.devices[..arguments.devices.len().min(1)]);
    let mut next = vec![(
        "text from the model",
        format!("{program} generate {run} --tokens 500{device}"),
    )];
    if !config.data.test.is_empty() {
        next.push((
            "perplexity of the test text",
            format!("{program} eval {run}{device}"),
        ));
    } else if config.data.validates() {
        let what = "perplexity of the validation text";
        next.push((what, format!("{program} eval {run}{device}")));
    }
    next.push((
        "train it for longer",
        resumption(folder, config, arguments, progress),
    ));
    // Another cell cannot start from these parameters, nor continue this run.
    let is_first = arguments.init.is_none() && !arguments.resume;
    if is_first && run_of_config(&arguments.config).is_none() {
        let cell = config.model.cells[0].kind().proposed();
        let is_other = |set: &&String| key_of(set) != "model.cell";
        let kept: Vec<String> = arguments
            .overrides
            .set
            .iter()
            .filter(is_other)
            .cloned()
            .collect();
        let other = [&kept[..], &[format!("model.cell={cell}")]].concat();
        // Only a configuration that is valid.
        if Config::load(&arguments.config, &other).is_ok() {
            next.push((
                "train a model with another cell",
                format!("{program} train {file}{}", options(arguments, &other)),
            ));
        }
    }
    next.push((
        "parameters, FLOPs and memory of the model",
        format!("{program} plan {file}{}", sets(&arguments.overrides.set)),
    ));
    let report = folder.join(REPORT);
    note(
        quiet,
        &format!("\nCurves and samples: `{}`", report.display()),
    );
    note(quiet, &proposals("Next", &next));
}

/// The command that trains a run for twice as long.
pub(super) fn resumption(
    folder: &Path,
    config: &Config,
    arguments: &TrainArgs,
    progress: &Progress,
) -> String {
    let (program, resume) = (program(), resume_arguments(folder));
    let device = device_options(&arguments.devices);
    let limits = beyond(&config.train, progress);
    format!("{program} {resume}{}{device}", longer(&limits, 2.0))
}

/// The options of a training with these overrides.
fn options(arguments: &TrainArgs, overrides: &[String]) -> String {
    let mut options = sets(overrides);
    options += &device_options(&arguments.devices);
    if let Some(steps) = arguments.steps {
        options += &format!(" --steps {steps}");
    }
    if let Some(seconds) = arguments.seconds {
        options += &format!(" --seconds {seconds}");
    }
    if let Some(epochs) = arguments.epochs {
        options += &format!(" --epochs {epochs}");
    }
    if let Some(words) = arguments.words {
        options += &format!(" --words {words}");
    }
    if let Some(seed) = arguments.seed {
        options += &format!(" --seed {seed}");
    }
    options
}

fn sets(overrides: &[String]) -> String {
    let set = |set: &String| format!(" --set {}", quoted(set));
    overrides.iter().map(set).collect()
}
