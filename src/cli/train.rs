//! `wlstm train`: trains, prints the result and proposes the next commands.

use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use super::args::{Invocation, OverrideArgs, count, positive};
use super::dashboard::Dashboard;
use super::executors::executor_options;
use super::messages::note;
use super::next::{beyond, device_options, longer, program, proposals};
use super::output;
use super::preparation::Preparation;
use super::progress::{Progress as Display, UnigramModel, UnknownWords, validation_time};
use super::signals::listen;
use crate::checkpoint::{
    RunFolder, Which, find, metrics_path, run_name, run_of_config, step_of_checkpoint,
};
use crate::config::Config;
use crate::error::{Error, Kind, Result, command_line, quoted};
use crate::job::page::REPORT;
use crate::job::{Event, Job, Outcome, Stop, distributed, key_of, resume_arguments};
use crate::metrics;
use crate::numbers::{counted, decimal, duration, grouped};
use crate::train::progress::Progress;

/// Train a model, or continue training one
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    wlstm train configs/shakespeare.toml\n  \
    wlstm train configs/wikitext2-glstm.toml --out runs/g8 --set model.groups=8 --set train.epochs=1\n  \
    wlstm train runs/g8/config.toml --resume --set train.epochs=2")]
pub(super) struct TrainArgs {
    /// Configuration file (TOML)
    pub config: PathBuf,
    /// Run folder [default: runs/NAME, named after the configuration; runs/NAME-2 and so on if it exists]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out from its newest checkpoint. Without --out: the run that the configuration belongs to, else the
    /// newest run of this configuration
    #[arg(long)]
    pub resume: bool,
    /// Start from the parameters in a safetensors file or in a run
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Where to train: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains TEXT),
    /// for example gpu:nvidia. To train on several devices, repeat the option or give gpu:all
    #[arg(long = "device", value_name = "SEL")]
    pub devices: Vec<String>,
    /// Stop after this many optimizer steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// Stop after this many seconds of training
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub seconds: Option<f64>,
    /// Stop after this many passes over the text
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Stop after this many words, rounded up to whole steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, conflicts_with = "steps")]
    pub words: Option<u64>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Show a dashboard with loss, speed, memory and log; q saves and stops
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

impl TrainArgs {
    /// All overrides of the configuration: those of `--set`, then those of dedicated options.
    pub fn all_overrides(&self) -> Vec<String> {
        let mut all = self.overrides.set.clone();
        all.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        // `Job::words` sets the number of steps once the number of words in a step is known.
        all.extend(self.words.map(|words| format!("train.steps={words}")));
        all.extend(self.epochs.map(|epochs| format!("train.epochs={epochs}")));
        all.extend(
            self.seconds
                .map(|seconds| format!("train.seconds={seconds:?}")),
        );
        all.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        all
    }
}

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
            "best validation perplexity {} at step {}\n",
            decimal(perplexity),
            best.step
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

/// Proposes the next commands.
fn advise(quiet: bool, arguments: &TrainArgs, folder: &Path, config: &Config, progress: &Progress) {
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
fn resumption(
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

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn options_of_their_own_override_after_set() {
        let line = [
            "a.toml",
            "--set",
            "train.steps=1",
            "--steps",
            "5",
            "--seconds",
            "2.5",
            "--seed",
            "7",
            "--device",
            "cpu",
            "--device",
            "gpu:1",
        ];
        let train: TrainArgs = parse(&line).unwrap();
        assert_eq!(
            train.all_overrides(),
            [
                "train.steps=1",
                "train.steps=5",
                "train.seconds=2.5",
                "train.seed=7"
            ]
        );
        assert_eq!(train.devices, ["cpu", "gpu:1"]);
        for wrong in [
            &["a.toml", "--steps", "0"][..],
            &["a.toml", "--seconds", "0"],
            &["a.toml", "--seconds", "nan"],
            &["a.toml", "--seconds", "-1"],
            &["a.toml", "--epochs", "0"],
            &["a.toml", "--words", "-5"],
            &["a.toml", "--words", "5", "--steps", "5"],
            &["a.toml", "--resume", "--init", "x"],
            &[],
        ] {
            let error = parse::<TrainArgs>(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
            if wrong.len() == 3 {
                assert!(error.to_string().contains(": give a "), "{error}");
            }
        }
    }
}
