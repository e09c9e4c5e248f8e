//! `wlstm train`: resolves everything, trains, says how it went and what to try next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::{Invocation, OverrideArgs, positive};
use super::context::{key_of, process_here, saved_vocabulary, training_executors, vocabulary};
use super::dashboard::Dashboard;
use super::messages::note;
use super::next::{device_options, program, resumption};
use super::output;
use super::progress::{Progress as Display, UnknownWords};
use super::resume::{Resumed, same_words};
use super::signals::listen;
use super::text::{missing_text, open_texts, text};
use crate::checkpoint::{Checkpoint, RunFolder, RunRecord, Which, find, run_name, run_of_config};
use crate::config::Config;
use crate::corpus::{Corpus, Vocabulary};
use crate::digest::Fnv1a;
use crate::error::{Error, Kind, Result, quoted};
use crate::model::limits::check_sizes;
use crate::numbers::duration;
use crate::tensor::names;
use crate::train::collective::{Collective, SingleProcess, all_gather_f64};
use crate::train::estimate::{self, RunSpec, Topology};
use crate::train::progress::{Measure, Progress};
use crate::train::run::{Outcome, Run, train};
use crate::train::sample::is_too_slow;
use crate::train::schedule;
use crate::train::session::TrainingSession;
use crate::train::watch::{Event, Stop};

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
    /// Where to train: auto, cpu, gpu, gpu:N, or part of an adapter's name, for example gpu:nvidia. To train on several devices,
    /// repeat the option or give gpu:all
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
    /// All overrides of the configuration: those of `--set`, then those that have options of their own.
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

/// Trains, or goes on training.
pub(super) fn run(arguments: &TrainArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let config = Config::load(&arguments.config, &arguments.all_overrides())?;
    config.check_limits()?;
    schedule::check(&config)?;
    let mut collective = collective()?;
    let leads = collective.is_root();
    if arguments.tui && leads {
        Dashboard::check_terminal()?;
    }
    // One rank speaks for all.
    let quiet = quiet || !leads;
    let executors = training_executors(&arguments.devices, &config, quiet)?;
    let base = Path::new(".");
    let resumed = if arguments.resume {
        Some(Resumed::find(arguments, base, &config)?)
    } else {
        None
    };
    let init = match &arguments.init {
        Some(file) => Some(Checkpoint::open(&find(file, Which::Best)?.checkpoint)?),
        None => None,
    };

    let (corpus, valid) = open_texts(&config.data, |key| {
        missing_text(key, &arguments.config, &arguments.overrides.set)
    })?;
    let folder = match (&resumed, &arguments.out) {
        _ if !leads => None,
        (Some(resumed), _) => Some(RunFolder::resume(&resumed.folder)?),
        (None, Some(out)) => Some(RunFolder::create(out)?),
        (None, None) => Some(RunFolder::create_numbered(base, &arguments.config)?),
    };
    let checkpoint = resumed
        .as_ref()
        .and_then(|resumed| resumed.checkpoint.as_ref());
    let words = Arc::new(match checkpoint {
        Some(checkpoint) => {
            let words = saved_vocabulary(checkpoint, &config)?;
            same_words(&config, &words)?;
            words
        }
        None => vocabulary(&config, Some(&corpus), quiet)?,
    });
    let open = |corpus| text(corpus, words.clone(), config.data.tokens, quiet);
    let (train_text, valid_text) = (open(corpus)?, valid.map(open).transpose()?);
    let devices = executors.len() * collective.ranks();
    check_sizes(&config, words.len(), devices)?;
    let start = checkpoint.or(init.as_ref());
    same_job(
        collective.as_mut(),
        &config,
        train_text.corpus(),
        &words,
        start,
        (executors.len(), valid_text.is_some()),
    )?;
    let run = RunSpec {
        config: &config,
        vocabulary: words.len(),
        topology: Topology {
            devices,
            local_devices: executors.len(),
            local_processes: process_here().1,
        },
    };
    let first = collective.rank() * executors.len();
    let plans = run.plans_for_devices(&executors, first);
    estimate::check(&run, &executors, &plans)?;
    let mut session =
        TrainingSession::with_plans(executors, collective, &config, words.len(), plans)?;
    let as_begun = |error: Error, help: fn(&Resumed) -> String| match &resumed {
        Some(resumed) => error.help(help(resumed)),
        None => error,
    };
    let mut progress = match (checkpoint, &init) {
        (Some(checkpoint), _) => {
            let progress = Progress::read(checkpoint)?;
            if let Some(position) = &progress.position {
                let checked = position.check_text(train_text.corpus());
                checked.map_err(|error| as_begun(error, Resumed::other_text))?;
            }
            session.restore(checkpoint)?;
            progress
        }
        (None, Some(init)) => {
            session.initialise_from(init)?;
            warn_of_other_words(init, &words);
            Progress::start()
        }
        (None, None) => {
            session.initialise()?;
            Progress::start()
        }
    };
    if let (true, Some(text)) = (leads, &valid_text) {
        let measured = progress.measure_on(Measure::of(text, &config));
        measured.map_err(|error| as_begun(error, Resumed::other_measure))?;
    }
    warn_of_little_time(&session, quiet);
    let before = progress.step;
    let (stop, dashboard) = match arguments.tui && leads {
        true => {
            let stop = Stop::default();
            let dashboard = Dashboard::open(run_name(&arguments.config), &config, &stop)?;
            (stop, Some(dashboard))
        }
        false => (listen(session.collective().ranks() > 1, quiet)?, None),
    };
    // What the dashboard shows needs no lines.
    let mut display = Display::new(&config, quiet || dashboard.is_some());
    let mut unknown_words = UnknownWords::new(&config.data);
    // A run that goes on by the configuration in its folder keeps its name.
    let record = resumed
        .as_ref()
        .map(|resumed| RunRecord::read(&resumed.folder));
    let named = record.and_then(|record| Some(record.ok()?.config));
    let outcome = train(Run {
        config: &config,
        name: named.unwrap_or_else(|| run_name(&arguments.config)),
        session: &mut session,
        train: train_text,
        valid: valid_text,
        folder: folder.as_ref(),
        progress,
        stop: &stop,
        turns: None,
        watch: &mut |event| {
            // Only now is it sure that there is a run.
            if let (Event::Start { .. }, Some(folder)) = (&event, &folder) {
                let place = folder.path().display();
                note(quiet, &format!("The run is kept in `{place}`."));
            }
            let warning = unknown_words.warning_of(&event);
            match &dashboard {
                Some(dashboard) => dashboard.show(event),
                None => display.show(event),
            }
            if let Some(warning) = warning {
                display.warn(&warning);
            }
        },
    });
    display.end();
    drop(dashboard);
    for (device, bytes) in session.allocated_bytes().into_iter().enumerate() {
        tracing::debug!(device, bytes, "memory of a device");
    }
    if let Some(folder) = &folder {
        super::report::after(folder);
    }
    let outcome = outcome.map_err(|error| match (error.kind(), &folder) {
        (Kind::Interrupted | Kind::Terminated, Some(folder)) => {
            let Ok(found) = find(folder.path(), Which::Last) else {
                return error;
            };
            let go_on = resumption(folder.path()) + &device_options(&arguments.devices);
            let saved = found.checkpoint.display();
            error.help(format!(
                "everything is saved in `{saved}`; go on with `{go_on}`"
            ))
        }
        _ => error,
    })?;
    let Some(folder) = folder else {
        return Ok(());
    };
    report(folder.path(), &outcome, &unknown_words)?;
    if outcome.progress.step == before && before > 0 {
        note(
            quiet,
            "Nothing was left to train: raise train.steps, train.epochs or train.seconds to go on.",
        );
    }
    warn_of_young_average(&config, outcome.progress.step);
    show_sample(&session, outcome.sample.as_deref(), quiet)?;
    advise(quiet, arguments, folder.path(), &config);
    Ok(())
}

/// The other ranks of the job that this process is one of; none if it was started alone.
fn collective() -> Result<Box<dyn Collective>> {
    #[cfg(feature = "mpi")]
    if let Some(mpi) = crate::train::mpi::connect()? {
        return Ok(Box::new(mpi));
    }
    #[cfg(not(feature = "mpi"))]
    if std::env::var("OMPI_COMM_WORLD_SIZE").is_ok_and(|size| size != "1") {
        return Err(Error::usage(
            "this is one of several processes of an MPI job, but this program was built without MPI",
        )
        .help("build it with `cargo build --release --features mpi`, or start it without mpirun"));
    }
    Ok(Box::new(SingleProcess))
}

/// Checks that all ranks of a job train the same model from the same start on the same text, with as many devices each. Places of
/// files may differ.
fn same_job(
    collective: &mut dyn Collective,
    config: &Config,
    corpus: &Corpus,
    words: &Vocabulary,
    start: Option<&Checkpoint>,
    (devices, validates): (usize, bool),
) -> Result<()> {
    if collective.ranks() == 1 {
        return Ok(());
    }
    let mut elsewhere = config.clone();
    elsewhere.data.train.clear();
    elsewhere.data.valid.clear();
    elsewhere.data.test.clear();
    elsewhere.data.vocab = None;
    (elsewhere.device.max_binding, elsewhere.device.table_rows) = (0, 0);
    let of = |bytes: &[u8]| Fnv1a::of(bytes.iter().copied()).value();
    let facts = [
        ("version", of(env!("CARGO_PKG_VERSION").as_bytes())),
        ("configuration", of(elsewhere.to_toml().as_bytes())),
        ("training text", corpus.digest()),
        ("vocabulary", of(&words.to_bytes())),
        (
            "checkpoint to start from",
            start.map_or(0, Checkpoint::fingerprint),
        ),
        ("number of devices", devices as u64),
        // Rank 0 alone reads it, but all wait for what it finds.
        ("`data.valid`, some or none,", u64::from(validates)),
    ];
    // Halves, which a number holds exactly.
    let halves = facts
        .iter()
        .flat_map(|(_, fact)| [fact >> 32, fact & 0xffff_ffff]);
    let own: Vec<f64> = halves.map(|half| half as f64).collect();
    let all = all_gather_f64(collective, &own)?;
    for (rank, facts_of_rank) in all.chunks_exact(own.len()).enumerate() {
        let halves = facts_of_rank.chunks_exact(2).zip(all.chunks_exact(2));
        let different = halves
            .zip(&facts)
            .find(|((of_rank, of_first), _)| of_rank != of_first);
        if let Some((_, (what, _))) = different {
            return Err(Error::usage(format!(
                "process {rank} of the job has another {what} than process 0"
            ))
            .help("give all of them the same program, configuration, text and checkpoint (--resume and --init), and as many devices each")
            .shared(collective.is_root()));
        }
    }
    Ok(())
}

/// Says so where the launcher of a job would end it before a checkpoint can be written after Ctrl-C or SIGTERM.
fn warn_of_little_time(session: &TrainingSession, quiet: bool) {
    #[cfg(feature = "mpi")]
    {
        /// Bytes that a disk takes in a second.
        const SPEED: f64 = 5e8;
        let bytes = session.bytes_of_checkpoint();
        let Some(grace) = crate::train::mpi::grace() else {
            return;
        };
        if bytes as f64 > grace * SPEED / 2.0 {
            let bytes = crate::numbers::bytes(bytes);
            note(
                quiet,
                &format!(
                    "A checkpoint of {bytes} takes longer than the {grace} s that mpirun leaves a job after Ctrl-C. Stop this one with SIGUSR1 \
                     to mpirun, or start it with --mca odls_base_sigkill_timeout 60."
                ),
            );
        }
    }
    #[cfg(not(feature = "mpi"))]
    let _ = (session, quiet);
}

/// Says so when the parameters come from a model of other words: its rows then stand for other words here.
fn warn_of_other_words(init: &Checkpoint, words: &Vocabulary) {
    if init
        .tensor_u8(names::VOCABULARY)
        .is_ok_and(|saved| saved != words.to_bytes())
    {
        tracing::warn!(
            "the vocabulary of `{}` is not that of this run: row k of a table may stand for another word",
            init.path().display()
        );
    }
}

/// Prints how the run went.
fn report(folder: &Path, outcome: &Outcome, unknown_words: &UnknownWords) -> Result<()> {
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
    lines += &unknown_words.summary();
    if progress.skipped > 0 {
        lines += &format!(
            "steps skipped as their gradients were too large for f16: {}\n",
            progress.skipped
        );
    }
    lines += &format!("run {}\n", folder.display());
    output::print(lines.as_bytes())
}

/// Prints a few lines that the model makes up.
fn show_sample(session: &TrainingSession, sample: Option<&str>, quiet: bool) -> Result<()> {
    if is_too_slow(session) {
        note(
            quiet,
            "The sample is left out: with so large a vocabulary a device in software takes minutes a word.",
        );
    }
    let Some(sample) = sample else {
        return Ok(());
    };
    let indented: Vec<String> = sample.lines().map(|line| format!("  {line}")).collect();
    output::print(format!("\nsample\n{}\n", indented.join("\n")).as_bytes())
}

/// Says what to try next, in words that can be typed here.
fn advise(quiet: bool, arguments: &TrainArgs, folder: &Path, config: &Config) {
    let program = program();
    let run = quoted(&folder.display().to_string());
    let file = quoted(&arguments.config.display().to_string());
    // These use one device.
    let device = device_options(&arguments.devices[..arguments.devices.len().min(1)]);
    let mut lines = vec![format!("{program} generate {run} --tokens 500{device}")];
    if config.data.validates() || !config.data.test.is_empty() {
        lines.push(format!("{program} eval {run}{device}"));
    }
    // Another cell could not start from parameters that are given, and has nothing of a run that is there, not even the name.
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
        // Only what would be accepted.
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

/// Says so when validation used an average that is mostly of the first steps.
fn warn_of_young_average(config: &Config, steps: u64) {
    let left = config.train.ema.powf(steps as f64);
    if config.train.ema > 0.0 && left > 0.2 {
        tracing::warn!(
            "validation and the sample use the moving average of the parameters (`train.ema = {}`), which after {steps} \
             steps is still {:.0} % their start; set `train.ema=0` for runs as short as this",
            config.train.ema,
            100.0 * left
        );
    }
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
