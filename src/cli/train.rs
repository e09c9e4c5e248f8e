//! `wlstm train`: trains, prints the result and proposes the next commands.

use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use super::args::{Invocation, OverrideArgs, positive};
use super::dashboard::Dashboard;
use super::executors::executor_options;
use super::messages::note;
use super::next::{device_options, program};
use super::output;
use super::preparation::Preparation;
use super::progress::{Progress as Display, UnigramModel, UnknownWords, validation_time};
use super::signals::listen;
use crate::checkpoint::{Which, find, run_name, run_of_config};
use crate::config::Config;
use crate::error::{Error, Kind, Result, quoted};
use crate::job::{Event, Job, Outcome, Stop, distributed, key_of, resume_arguments};
use crate::numbers::duration;

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
    /// Where to train: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains TEXT), for
    /// example gpu:nvidia. To train on several devices, repeat the option or give gpu:all
    #[arg(long = "device", value_name = "SEL")]
    pub devices: Vec<String>,
    /// Stop after this many optimizer steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Stop after this many seconds of training
    #[arg(long, value_name = "N", value_parser = positive)]
    pub seconds: Option<f64>,
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
    let mut preparation = Preparation::new(quiet);
    let mut training = job.prepare(|event| preparation.show(event))?;
    let config = training.config().clone();
    let folder = training.folder().map(Path::to_path_buf);
    let (stop, dashboard) = if tui {
        let stop = Stop::default();
        let dashboard = Dashboard::open(run_name(&arguments.config), &config, &stop)?;
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
    report(
        folder,
        &outcome,
        &(unigram.summary() + &unknown_words.summary()),
    )?;
    if outcome.progress.step == outcome.resumed && outcome.resumed > 0 {
        note(
            quiet,
            "The run has already reached its limits: raise train.steps, train.epochs or train.seconds to continue.",
        );
    }
    show_sample(&outcome, quiet)?;
    advise(quiet, arguments, folder, &config);
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
    error.help(format!(
        "everything is saved in `{saved}`; resume with `{command}`"
    ))
}

/// Prints the result of the run. `about` are lines about its perplexity.
fn report(folder: &Path, outcome: &Outcome, about: &str) -> Result<()> {
    let Outcome {
        reason,
        progress,
        best,
        ..
    } = outcome;
    let seconds = duration(progress.seconds);
    let mut lines = format!(
        "trained {} steps in {seconds} (limit: {reason})\n",
        progress.step
    );
    if let Some(best) = best
        && let Some(perplexity) = best.perplexity
    {
        lines += &format!(
            "best validation perplexity {perplexity:.2} at step {}\n",
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
fn advise(quiet: bool, arguments: &TrainArgs, folder: &Path, config: &Config) {
    let program = program();
    let run = quoted(&folder.display().to_string());
    let file = quoted(&arguments.config.display().to_string());
    // These commands use one device.
    let device = device_options(&arguments.devices[..arguments.devices.len().min(1)]);
    let mut lines = vec![format!("{program} generate {run} --tokens 500{device}")];
    if config.data.validates() || !config.data.test.is_empty() {
        lines.push(format!("{program} eval {run}{device}"));
    }
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
            lines.push(format!(
                "{program} train {file}{}",
                options(arguments, &other)
            ));
        }
    }
    lines.push(format!(
        "{program} plan {file}{}",
        sets(&arguments.overrides.set)
    ));
    note(quiet, &format!("\nNext:\n  {}", lines.join("\n  ")));
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
            &["a.toml", "--resume", "--init", "x"],
            &[],
        ] {
            let error = parse::<TrainArgs>(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }
}
