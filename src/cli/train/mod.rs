//! `wlstm train`: trains, prints the result and proposes the next commands.

mod advice;
mod args;

use std::path::Path;

use advice::{advise, resumption};
pub(super) use args::TrainArgs;

use super::args::Invocation;
use super::dashboard::Dashboard;
use super::executors::executor_options;
use super::messages::note;
use super::next::{device_options, program};
use super::output;
use super::preparation::Preparation;
use super::progress::{Progress as Display, UnigramModel, UnknownWords, validation_time};
use super::signals::listen;
use crate::checkpoint::{RunFolder, Which, find, metrics_path, run_name, step_of_checkpoint};
use crate::error::{Error, Kind, Result, command_line};
use crate::job::{Event, Job, Outcome, Stop, distributed, resume_arguments};
use crate::metrics;
use crate::numbers::{bits, counted, decimal, duration, grouped};

/// Trains, or continues a training.
pub(super) fn run(arguments: &TrainArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let job = Job::load(&arguments.config, &arguments.all_overrides())?;
    let collective = distributed::connect()?;
    let is_root = collective.is_root();
    let tui = arguments.tui && is_root;
    if tui {
        Dashboard::check_terminal()?;
    }
    // Only the root process prints.
    let quiet = quiet || !is_root;
    let job = started_as(arguments, job)
        .devices(&arguments.devices)
        .executor_options(executor_options(invocation, quiet))
        .collective(collective);
    // Without --out, a new run gets a new numbered folder.
    let earlier = match (&arguments.out, arguments.resume) {
        (None, false) => RunFolder::newest_numbered(Path::new("."), &run_name(&arguments.config))?,
        _ => None,
    };
    let mut preparation = Preparation::new(quiet);
    let mut training = job.prepare(|event| preparation.show(event))?;
    let config = training.config().clone();
    let folder = training.folder().map(Path::to_path_buf);
    let (stop, dashboard) = if tui {
        let stop = Stop::default();
        let earlier = match &folder {
            Some(folder) if metrics_path(folder).is_file() => metrics::read(&metrics_path(folder))?,
            _ => Vec::new(),
        };
        let title = run_name(&arguments.config);
        let dashboard = Dashboard::open(title, &config, earlier, &stop)?;
        (stop, Some(dashboard))
    } else {
        (listen(training.processes() > 1, quiet)?, None)
    };
    // The dashboard replaces the lines.
    let mut display = Display::new(&config, quiet || dashboard.is_some());
    let mut unknown_words = UnknownWords::new(&config.data);
    let mut unigram = UnigramModel::new(&config.data);
    let outcome = training.stop(stop).run(|event| {
        // From here on, the run is recorded in its folder.
        if let (Event::Start { .. }, Some(folder)) = (&event, &folder) {
            let place = folder.display();
            note(quiet, &format!("The run folder is `{place}`."));
            if let Some(earlier) = &earlier {
                let command = format!("{} {}", program(), resume_arguments(earlier));
                note(
                    quiet,
                    &format!(
                        "This is a new run. To continue the one in `{}`:{}",
                        earlier.display(),
                        command_line(&command)
                    ),
                );
            }
        }
        let warning = unknown_words.warning_of(&event);
        unigram.beside(&event);
        match &dashboard {
            Some(dashboard) => dashboard.show(event),
            None => display.show(event),
        }
        if let Some(warning) = warning {
            display.warn(&warning);
        }
    });
    display.end();
    drop(dashboard);
    let outcome = outcome.map_err(|error| match &folder {
        Some(folder) => with_resumption(error, folder, &arguments.devices),
        None => error,
    })?;
    let Some(folder) = &outcome.folder else {
        return Ok(());
    };
    let best = outcome.best.as_ref().and_then(|best| best.perplexity);
    report(
        folder,
        &outcome,
        &(unigram.summary(best) + &unknown_words.summary()),
    )?;
    if outcome.progress.step == outcome.resumed && outcome.resumed > 0 {
        let command = resumption(folder, &config, arguments, &outcome.progress);
        note(
            quiet,
            &format!(
                "The run has already reached its limits. To train it for longer:{}",
                command_line(&command)
            ),
        );
    }
    show_sample(&outcome, quiet)?;
    advise(quiet, arguments, folder, &config, &outcome.progress);
    Ok(())
}

/// Sets the folder and the start of the job from the command line.
fn started_as(arguments: &TrainArgs, job: Job) -> Job {
    let job = match (&arguments.out, arguments.resume) {
        (Some(folder), true) => job.resume(folder),
        (None, true) => job.resume_newest(),
        (Some(folder), false) => job.out(folder),
        (None, false) => job,
    };
    let job = match arguments.words {
        Some(words) => job.words(words),
        None => job,
    };
    match &arguments.init {
        Some(file) => job.init(file),
        None => job,
    }
}

/// Adds the command that resumes an interrupted run.
fn with_resumption(error: Error, folder: &Path, devices: &[String]) -> Error {
    if !matches!(error.kind(), Kind::Interrupted | Kind::Terminated) {
        return error;
    }
    let Ok(found) = find(folder, Which::Last) else {
        return error;
    };
    let (arguments, device) = (resume_arguments(folder), device_options(devices));
    let command = format!("{} {arguments}{device}", program());
    let saved = found.checkpoint.display();
    let step = step_of_checkpoint(&found.checkpoint);
    let after = step.map_or_else(String::new, |step| format!(" after step {}", grouped(step)));
    error
        .saying(format!(
            "interrupted{after}; everything is saved in `{saved}`"
        ))
        .help(format!("continue with{}", command_line(&command)))
}

/// Prints the result of the run. `about`: lines about its perplexity.
fn report(folder: &Path, outcome: &Outcome, about: &str) -> Result<()> {
    let Outcome {
        reason,
        progress,
        best,
        ..
    } = outcome;
    let seconds = duration(progress.seconds);
    let steps = counted(progress.step, "step");
    let mut lines = format!("trained {steps} in {seconds} (limit: {reason})\n");
    if let Some(best) = best
        && let Some(perplexity) = best.perplexity
    {
        lines += &format!(
            "best validation perplexity {} at step {}{}\n",
            decimal(perplexity),
            grouped(best.step),
            bits_at(folder, best.step)?
        );
    }
    lines += about;
    lines += &validation_time(progress.validations, progress.validation_seconds);
    if progress.skipped > 0 {
        lines += &format!(
            "steps skipped because gradients overflowed f16: {}\n",
            progress.skipped
        );
    }
    lines += &format!("run {}\n", folder.display());
    output::print(lines.as_bytes())
}

/// The bits per byte of the last validation of a step, to append to the line of its perplexity. Empty if they are not known.
fn bits_at(folder: &Path, step: u64) -> Result<String> {
    let of_step =
        |line: &metrics::Line| matches!(line, metrics::Line::Valid(valid) if valid.step == step);
    let last = metrics::read(&metrics_path(folder))?
        .into_iter()
        .rfind(of_step);
    Ok(match last {
        Some(metrics::Line::Valid(valid)) => match valid.bits_per_byte {
            Some(found) => format!(", {} bits per byte", bits(found, valid.is_lower_bound())),
            None => String::new(),
        },
        _ => String::new(),
    })
}

/// Prints a few lines that the model has generated.
fn show_sample(outcome: &Outcome, quiet: bool) -> Result<()> {
    if outcome.sample_is_too_slow {
        note(
            quiet,
            "There is no sample: with a vocabulary of this size, a software device takes minutes per word.",
        );
    }
    let Some(sample) = &outcome.sample else {
        return Ok(());
    };
    let indented: Vec<String> = sample.lines().map(|line| format!("  {line}")).collect();
    output::print(format!("\nsample\n{}\n", indented.join("\n")).as_bytes())
}
