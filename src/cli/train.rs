//! `wlstm train`: resolves everything, trains, says how it went and what to try next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::arguments::Train;
use super::compare::comparison_of;
use super::context::{
    device_options, key_of, process_here, program, saved_config, saved_vocabulary, tell,
    training_executors, vocabulary, vocabulary_file,
};
use super::dashboard::Dashboard;
use super::progress::{Progress as Display, UnknownWords};
use super::text::text;
use crate::checkpoint::{
    Checkpoint, RunFolder, Which, find, is_begun, read_record, run_name, run_of_config,
};
use crate::config::{Cell, Config, Data};
use crate::corpus::{Corpus, Vocabulary, expand};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result, quoted};
use crate::model::cost::check_sizes;
use crate::numbers::duration;
use crate::train::estimate::{self, Crew};
use crate::train::exchange::{Alone, Exchange, of_all};
use crate::train::progress::{Measure, Progress};
use crate::train::run::{Outcome, Run, train};
use crate::train::sample::is_too_slow;
use crate::train::schedule;
use crate::train::session::Session;
use crate::train::watch::{Event, Stop};

/// Trains, or goes on training.
pub(super) fn run(arguments: &Train, quiet: bool) -> Result<()> {
    let config = Config::load(&arguments.config, &arguments.all_overrides())?;
    config.check_limits()?;
    schedule::check(&config)?;
    let mut exchange = exchange()?;
    let leads = exchange.leads();
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
    let devices = executors.len() * exchange.ranks();
    check_sizes(&config, words.len(), devices)?;
    let start = checkpoint.or(init.as_ref());
    same_job(
        exchange.as_mut(),
        &config,
        train_text.corpus(),
        &words,
        start,
        (executors.len(), valid_text.is_some()),
    )?;
    let crew = Crew {
        devices,
        here: executors.len(),
        processes: process_here().1,
    };
    estimate::check(&config, words.len(), crew, &executors)?;
    let mut session = Session::replicated(executors, exchange, &config, words.len())?;
    let mut progress = match (checkpoint, &init) {
        (Some(checkpoint), _) => {
            let progress = Progress::read(checkpoint)?;
            if let Some(position) = &progress.position {
                position.check_text(train_text.corpus()).map_err(|error| {
                    error.help(other_text(
                        &resumed.as_ref().expect("its checkpoint").folder,
                    ))
                })?;
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
        let measure = Measure::of(text, &config);
        let other = |error: Error| match &resumed {
            Some(resumed) => error.help(format!(
                "as it was begun it goes on with `{}`; another text is measured by `wlstm eval`",
                resumption(&resumed.folder)
            )),
            None => error,
        };
        progress.measure_on(measure).map_err(other)?;
    }
    warn_of_little_time(&session, quiet);
    let before = progress.step;
    let (stop, dashboard) = match arguments.tui && leads {
        true => {
            let stop = Stop::default();
            let dashboard = Dashboard::open(run_name(&arguments.config), &config, &stop)?;
            (stop, Some(dashboard))
        }
        false => (listen(session.exchange().ranks() > 1, quiet)?, None),
    };
    // What the dashboard shows needs no lines.
    let mut display = Display::new(&config, quiet || dashboard.is_some());
    let mut unknown_words = UnknownWords::new(&config.data);
    // A run that goes on by the configuration in its folder keeps its name.
    let record = resumed.as_ref().map(|resumed| read_record(&resumed.folder));
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
                tell(quiet, &format!("The run is kept in `{place}`."));
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
    for (device, bytes) in session.taken().into_iter().enumerate() {
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
        tell(
            quiet,
            "Nothing was left to train: raise train.steps, train.epochs or train.seconds to go on.",
        );
    }
    warn_of_young_average(&config, outcome.progress.step);
    show_sample(&session, outcome.sample.as_deref(), quiet)?;
    advise(quiet, arguments, folder.path(), &config);
    Ok(())
}

/// Opens the training text and the validation text of a configuration; `missing` says what to do where one of a key is not there.
pub(super) fn open_texts(
    data: &Data,
    missing: impl Fn(&str) -> Option<String>,
) -> Result<(Arc<Corpus>, Option<Arc<Corpus>>)> {
    let explained = |key: &str, files: &[PathBuf], error: Error| {
        // Of a folder that is there it is told better what is wrong with it.
        let is_missing = |file: &PathBuf| !file.is_dir() && expand(&[file]).is_err();
        match files.iter().any(is_missing).then(|| missing(key)).flatten() {
            Some(help) => error.help(help),
            None => error,
        }
    };
    let train = Corpus::training(data).map_err(|e| explained("data.train", &data.train, e))?;
    let valid = Corpus::validation(data).map_err(|e| explained("data.valid", &data.valid, e))?;
    Ok((Arc::new(train), valid.map(Arc::new)))
}

/// What to do where a text is not there that `key` names, in the file `config` or by an override.
pub(super) fn missing_text(key: &str, config: &Path, overrides: &[String]) -> Option<String> {
    let given = overrides.iter().rev().find(|set| key_of(set) == key);
    let value = given.and_then(|set| Some(set.split_once('=')?.1.trim()));
    match value {
        // There is no other place where it could be.
        Some(value) if Path::new(value).is_absolute() => None,
        Some(_) => Some(format!(
            "`--set {key}` names it, and it is neither beside the configuration nor in the current folder, `{}`",
            std::env::current_dir().unwrap_or_default().display()
        )),
        None if run_of_config(config).is_some() => Some(format!(
            "the run was begun with it: put the text back, or name its new place with --set {key}=FILE"
        )),
        None => Some(format!(
            "`{key}` of `{}` names it: bring the text there (the comments in the file say where it comes from), or name another with --set \
             {key}=FILE, which is looked for beside the configuration, then in the current folder",
            config.display()
        )),
    }
}

/// The other ranks of the job that this process is one of; none if it was started alone.
fn exchange() -> Result<Box<dyn Exchange>> {
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
    Ok(Box::new(Alone))
}

/// Checks that all ranks of a job train the same model from the same start on the same text, with as many devices each. Places of
/// files may differ.
fn same_job(
    exchange: &mut dyn Exchange,
    config: &Config,
    corpus: &Corpus,
    words: &Vocabulary,
    start: Option<&Checkpoint>,
    (devices, validates): (usize, bool),
) -> Result<()> {
    if exchange.ranks() == 1 {
        return Ok(());
    }
    let mut elsewhere = config.clone();
    elsewhere.data.train.clear();
    elsewhere.data.valid.clear();
    elsewhere.data.test.clear();
    elsewhere.data.vocab = None;
    (elsewhere.device.max_binding, elsewhere.device.table_rows) = (0, 0);
    let of = |bytes: &[u8]| Digest::of(bytes.iter().copied()).value();
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
    let all = of_all(exchange, &own)?;
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
            .shared(exchange.leads()));
        }
    }
    Ok(())
}

/// Says so where the launcher of a job would end it before a checkpoint can be written after Ctrl-C or SIGTERM.
fn warn_of_little_time(session: &Session, quiet: bool) {
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
            tell(
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

/// The run that `--resume` goes on with.
struct Resumed {
    folder: PathBuf,
    /// Its newest checkpoint; nothing if it was stopped before the first.
    checkpoint: Option<Checkpoint>,
}

impl Resumed {
    fn find(arguments: &Train, base: &Path, config: &Config) -> Result<Resumed> {
        let folder = match &arguments.out {
            Some(out) => Some(out.clone()),
            None => match run_of_config(&arguments.config) {
                Some(run) => Some(run),
                None => RunFolder::newest_numbered(base, &arguments.config)?,
            },
        };
        let folder = folder.ok_or_else(|| {
            Error::data(format!(
                "there is no run of `{}` to resume",
                run_name(&arguments.config)
            ))
            .help("name the folder of the run with --out, or leave --resume out")
        })?;
        if let Some(comparison) = comparison_of(&folder) {
            let place = quoted(&comparison.display().to_string());
            return Err(Error::usage(format!(
                "`{}` is a run of the comparison in `{}`, whose models are trained alike",
                folder.display(),
                comparison.display()
            ))
            .help(format!(
                "go on with all of them (`{} compare --resume --out {place}`, with a larger budget), or train this model anew: leave \
                 --resume out",
                program()
            )));
        }
        let checkpoint = match find(&folder, Which::Last) {
            Ok(found) => Checkpoint::open(&found.checkpoint).map_err(|error| {
                error.help(format!(
                    "remove `{}` to go on from the checkpoint before it",
                    found.checkpoint.display()
                ))
            })?,
            // A run that was killed before its first checkpoint begins again; one that has lost its checkpoints does not.
            Err(_) if is_begun(&folder) && !has_saved(&folder)? => {
                same_run(
                    &folder,
                    &Config::load(&folder.join("config.toml"), &[])?,
                    config,
                )?;
                return Ok(Resumed {
                    folder,
                    checkpoint: None,
                });
            }
            Err(error) => return Err(error),
        };
        same_run(&folder, &saved_config(&checkpoint)?, config)?;
        Ok(Resumed {
            folder,
            checkpoint: Some(checkpoint),
        })
    }
}

/// The command that goes on with a run as it was begun.
fn resumption(run: &Path) -> String {
    let run = quoted(&run.display().to_string());
    format!("{} train {run}/config.toml --resume", program())
}

/// What to do where the training text is not that of the run.
fn other_text(run: &Path) -> String {
    format!(
        "with the text that it was begun with the run goes on by `{}`; if that text was changed, put it back as it was, or start a new \
         run from the parameters of this one, with --init {}",
        resumption(run),
        quoted(&run.display().to_string())
    )
}

/// Whether the record of a run knows of a checkpoint.
fn has_saved(folder: &Path) -> Result<bool> {
    Ok(read_record(folder)?.last.is_some())
}

/// Checks that nothing but limits, intervals and places of files differs between a run and its continuation.
fn same_run(folder: &Path, before: &Config, now: &Config) -> Result<()> {
    let mut like_before = now.clone();
    like_before.data = Data {
        order: now.data.order,
        tokens: now.data.tokens,
        vocab_size: now.data.vocab_size,
        min_count: now.data.min_count,
        shuffle: now.data.shuffle,
        valid_share: now.data.valid_share,
        ..before.data.clone()
    };
    let (to, from) = (&mut like_before.train, &before.train);
    (to.epochs, to.steps, to.seconds) = (from.epochs, from.steps, from.seconds);
    (to.validate_every, to.checkpoint_every) = (from.validate_every, from.checkpoint_every);
    (to.keep, to.log_every) = (from.keep, from.log_every);
    to.histogram_every = from.histogram_every;
    to.validate_targets = from.validate_targets;
    like_before.device = before.device.clone();
    like_before.model.tables = before.model.tables;
    if like_before == *before {
        return Ok(());
    }
    Err(Error::usage(format!(
        "this is not the configuration of the run in `{}`: {}",
        folder.display(),
        differences(&before.to_toml(), &like_before.to_toml()).join("; ")
    ))
    .help(format!(
        "as it was begun it goes on with `{}`; name another run with --out, or start a new one from its checkpoint with --init",
        resumption(folder)
    )))
}

/// The keys whose values differ between two resolved configurations, or that only one of them has.
fn differences(before: &str, now: &str) -> Vec<String> {
    let keys = |text: &str| -> BTreeMap<String, String> {
        let mut section = String::new();
        let mut keys = BTreeMap::new();
        for line in text.lines() {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.to_owned();
            } else if let Some((key, value)) = line.split_once(" = ") {
                keys.insert(format!("{section}.{key}"), value.to_owned());
            }
        }
        keys
    };
    let (before, now) = (keys(before), keys(now));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.get(name), now.get(name)) {
            (before, now) if before == now => None,
            (Some(before), Some(now)) => Some(format!("`{name}` was {before} and is {now}")),
            (Some(before), None) => Some(format!("`{name}` was {before}")),
            (None, now) => Some(format!("`{name}` is {}", now.map_or("", String::as_str))),
        })
        .collect()
}

/// Checks that the vocabulary file, if it is there, still has the words of the run, which are in its checkpoint.
pub(super) fn same_words(config: &Config, words: &Vocabulary) -> Result<()> {
    match &config.data.vocab {
        Some(path) if path.exists() && !vocabulary_file(config, path)?.same_words(words) => {
            Err(Error::data(format!(
                "`{}` does not have the words of the run",
                path.display()
            ))
            .help("resume with the vocabulary of the run, or without `data.vocab`: its words are in its checkpoint"))
        }
        _ => Ok(()),
    }
}

/// Says so when the parameters come from a model of other words: its rows then stand for other words here.
fn warn_of_other_words(init: &Checkpoint, words: &Vocabulary) {
    if init
        .tensor_u8("vocab")
        .is_ok_and(|saved| saved != words.to_bytes())
    {
        tracing::warn!(
            "the vocabulary of `{}` is not that of this run: row k of a table may stand for another word",
            init.path().display()
        );
    }
}

/// How long after a signal another one is taken for its echo: programs that start others send it to them and to their group.
pub(super) const ECHO: Duration = Duration::from_secs(1);

/// Lets SIGINT and SIGTERM ask for a stop; one that comes later than [`ECHO`] ends the program at once, unsaved. In a job SIGUSR1
/// asks too: launchers hand it on at once, and end nothing.
pub(super) fn listen(in_job: bool, quiet: bool) -> Result<Stop> {
    let stop = Stop::default();
    #[cfg(unix)]
    if in_job {
        let number: Arc<AtomicUsize> = stop.0.clone();
        let as_term = signal_hook::consts::SIGTERM as usize;
        signal_hook::flag::register_usize(signal_hook::consts::SIGUSR1, number, as_term)
            .map_err(|error| Error::new(Kind::Other, "cannot listen to SIGUSR1").because(error))?;
    }
    #[cfg(not(unix))]
    let _ = in_job;
    let refused = |error: std::io::Error| {
        Error::new(Kind::Other, "cannot listen to Ctrl-C and SIGTERM")
            .because(error)
            .help("start the program from another shell")
    };
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let register = || {
            // What ends it is no save, so the code is not that of one.
            let code = Kind::Other.exit_code().into();
            signal_hook::flag::register_conditional_shutdown(signal, code, armed.clone())?;
            let number: Arc<AtomicUsize> = stop.0.clone();
            signal_hook::flag::register_usize(signal, number, signal as usize)
        };
        register().map_err(refused)?;
    }
    let asked = stop.clone();
    let arm = move || {
        while asked.asked().is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(ECHO);
        armed.store(true, Ordering::SeqCst);
        tell(quiet, "Saving; Ctrl-C once more ends at once, unsaved.");
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(arm)
        .map_err(refused)?;
    Ok(stop)
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
    super::print(lines.as_bytes())
}

/// Prints a few lines that the model makes up.
fn show_sample(session: &Session, sample: Option<&str>, quiet: bool) -> Result<()> {
    if is_too_slow(session) {
        tell(
            quiet,
            "The sample is left out: with so large a vocabulary a device in software takes minutes a word.",
        );
    }
    let Some(sample) = sample else {
        return Ok(());
    };
    let indented: Vec<String> = sample.lines().map(|line| format!("  {line}")).collect();
    super::print(format!("\nsample\n{}\n", indented.join("\n")).as_bytes())
}

/// Says what to try next, in words that can be typed here.
fn advise(quiet: bool, arguments: &Train, folder: &Path, config: &Config) {
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
        let cell = match config.model.cells[0] {
            Cell::Glstm { .. } => "lstmp",
            Cell::Lstmp | Cell::Flstm { .. } => "glstm",
        };
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
    tell(quiet, &format!("\nNext:\n  {}", lines.join("\n  ")));
}

/// The options of a training with these overrides.
fn options(arguments: &Train, overrides: &[String]) -> String {
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
