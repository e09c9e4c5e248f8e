//! Trains one model with several processes of an MPI job. Needs the cargo feature `mpi` and `mpirun`:
//! `cargo test --release --features mpi --test devices -- ranks`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::Trial;
use crate::common::program::{Ended, checkpoints, lines_of, losses, metrics, number, train};
use crate::runs::{self, Outcome, Text, last};
use libtest_mimic::Failed;

pub fn trials() -> Vec<Trial> {
    let trials = vec![
        Trial::test("ranks_are_one_device::2", || ranks_are_one_device(2)),
        Trial::test("ranks_are_one_device::4", || ranks_are_one_device(4)),
        Trial::test("ranks_are_devices", ranks_are_devices),
        Trial::test("stop_and_resume", stop_and_resume),
        Trial::test("an_interrupt_saves", an_interrupt_saves),
        Trial::test("a_lost_rank_ends_the_job", a_lost_rank_ends_the_job),
        Trial::test("divergence_ends_all", divergence_ends_all),
        Trial::test("a_failure_ends_all", a_failure_ends_all),
        Trial::test(
            "a_failure_of_the_first_ends_all",
            a_failure_of_the_first_ends_all,
        ),
        Trial::test(
            "all_ranks_must_train_the_same",
            all_ranks_must_train_the_same,
        ),
    ];
    trials
}

const CONFIG: &str = r#"
[model]
cell = ["glstm", "flstm"]
embedding = 16
hidden = 32
projection = 16
groups = 2
factor = 5
dropout = 0.3
[softmax]
samples = 20
[data]
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 5
ema = 0.9
steps = 20
validate_every = 8
checkpoint_every = 5
keep = 1000
"#;

impl Text {
    /// A job of `ranks` processes that trains into the folder `name`. Returns the path of the folder and the command.
    fn job(&self, ranks: usize, name: &str, more: &[&str]) -> (PathBuf, Command) {
        let run = self.folder.path(name);
        let mut command = Command::new("mpirun");
        // In containers, tests run as root and on fewer cores than ranks.
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1");
        command.env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command.args(["--oversubscribe", "-n", &ranks.to_string()]);
        command
            .arg(env!("CARGO_BIN_EXE_wlstm"))
            .arg("train")
            .arg(&self.config);
        command
            .arg("--out")
            .arg(&run)
            .args(["--device", "cpu"])
            .args(more);
        command.stdin(Stdio::null());
        (run, command)
    }

    /// Runs a job to its end. Returns the run folder.
    fn train(&self, ranks: usize, name: &str, more: &[&str]) -> Result<PathBuf, Failed> {
        let (run, mut command) = self.job(ranks, name, more);
        let ended: Ended = command.output().map_err(missing)?.into();
        match ended.code {
            Some(0) => Ok(run),
            code => Err(format!("{more:?}: {code:?}\n{}", ended.stderr).into()),
        }
    }

    /// Starts a long job and waits for its first two checkpoints.
    fn start(&self, name: &str) -> Result<(PathBuf, Child), Failed> {
        let (run, mut command) = self.job(2, name, &["--steps", "1000000"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().map_err(missing)?;
        wait_for("two checkpoints", || checkpoints(&run).len() > 1)?;
        Ok((run, child))
    }
}

fn missing(error: std::io::Error) -> Failed {
    format!("cannot start mpirun: {error}").into()
}

fn wait_for(what: &str, mut is_met: impl FnMut() -> bool) -> Outcome {
    let begin = Instant::now();
    while !is_met() {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(format!("timeout: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits for the end of a job. Fails if it hangs.
fn end_of(mut child: Child) -> Result<Ended, Failed> {
    wait_for("the end of the job", || {
        child.try_wait().is_ok_and(|ended| ended.is_some())
    })?;
    Ok(child.wait_with_output().map_err(missing)?.into())
}

/// Checks that two runs of 20 steps have the same losses and tensors within a relative tolerance.
fn alike(one: &Path, other: &Path, tolerance: f64) -> Outcome {
    match losses(one).len() {
        20 => runs::alike(one, other, tolerance),
        steps => Err(format!("{steps} steps").into()),
    }
}

/// With the recipe `plain`, ranks that share the streams train as one device with all streams.
fn ranks_are_one_device(ranks: usize) -> Outcome {
    let text = Text::new(CONFIG, 400);
    // No validation text: a validation has the streams of one rank, so the results would differ.
    for (kind, sets) in [
        ("sampled", vec![]),
        ("full", vec!["--set", "softmax.kind=full"]),
        (
            "adaptive",
            vec![
                "--set",
                "softmax.kind=adaptive",
                "--set",
                "softmax.dropout=0.4",
            ],
        ),
        (
            "host",
            vec!["--set", "model.tables=host", "--set", "device.table_rows=1"],
        ),
    ] {
        let sets = [
            sets.as_slice(),
            &["--set", "train.recipe=plain", "--set", "data.valid=[]"],
        ];
        let sets = sets.concat();
        let one = text.folder.path(&format!("one-{kind}"));
        train(&text.config, &one, "cpu", &sets);
        let batch = format!("train.batch={}", 4 / ranks);
        let more = [sets.as_slice(), &["--set", &batch]].concat();
        let ranks = text.train(ranks, &format!("ranks-{kind}"), &more)?;
        alike(&one, &ranks, 1e-5).map_err(|error| format!("{kind}: {error:?}"))?;
    }
    Ok(())
}

/// Two ranks with one device each train as one process with two devices. With the recipe `paper`, in mixed precision and with
/// gradient accumulation.
fn ranks_are_devices() -> Outcome {
    let text = Text::new(CONFIG, 400);
    for (kind, sets) in [
        ("paper", vec!["--set", "train.batch=2"]),
        (
            "mixed",
            vec!["--set", "train.batch=2", "--set", "train.precision=mixed"],
        ),
        (
            "micro-batches",
            vec!["--set", "train.batch=1", "--set", "train.accumulate=2"],
        ),
    ] {
        let devices = text.folder.path(&format!("devices-{kind}"));
        train(
            &text.config,
            &devices,
            "cpu",
            &[sets.as_slice(), &["--device", "cpu"]].concat(),
        );
        let ranks = text.train(2, &format!("ranks-{kind}"), &sets)?;
        let tolerance = if kind == "mixed" { 1e-2 } else { 1e-5 };
        alike(&devices, &ranks, tolerance).map_err(|error| format!("{kind}: {error:?}"))?;
        let perplexities = |run| -> Vec<f64> {
            let lines = lines_of(run, "valid");
            lines
                .iter()
                .map(|line| number(line, "perplexity"))
                .collect()
        };
        let (x, y) = (perplexities(&devices), perplexities(&ranks));
        let same = x
            .iter()
            .zip(&y)
            .all(|(x, y)| (x - y).abs() <= tolerance * x);
        if x.len() != 3 || y.len() != 3 || !same {
            return Err(format!("{kind}: perplexities {x:?} and {y:?}").into());
        }
    }
    Ok(())
}

/// A resumed job has the same bits as one that never stopped. A different number of ranks is refused.
fn stop_and_resume() -> Outcome {
    let text = Text::new(CONFIG, 400);
    let whole = text.train(2, "whole", &[])?;
    text.train(2, "parts", &["--steps", "11"])?;
    let parts = text.train(2, "parts", &["--resume"])?;
    if last(&whole).tensors != last(&parts).tensors || losses(&whole) != losses(&parts) {
        return Err("the resumed job differs from the uninterrupted one".into());
    }
    let (_, mut command) = text.job(3, "parts", &["--resume", "--steps", "30"]);
    let ended: Ended = command.output().map_err(missing)?.into();
    match ended.code {
        Some(2) if ended.stderr.contains("8 streams") => Ok(()),
        code => Err(format!("{code:?}: {}", ended.stderr).into()),
    }
}

/// `mpirun` forwards signals to all ranks. They save one checkpoint, from which the job resumes.
fn an_interrupt_saves() -> Outcome {
    interrupted_by("TERM")?;
    interrupted_by("USR1")
}

fn interrupted_by(name: &str) -> Outcome {
    let text = Text::new(CONFIG, 400);
    let (run, child) = text.start("run")?;
    signal(child.id(), name);
    let ended = end_of(child)?;
    let saved = *checkpoints(&run).last().expect("a checkpoint");
    let trained = losses(&run).len() as u64;
    let end = metrics(&run).pop().unwrap_or_default();
    if ended.code == Some(0) || saved != trained || end["reason"] != "interrupted" {
        return Err(format!(
            "{saved} of {trained}, {end}: {:?} {}",
            ended.code, ended.stderr
        )
        .into());
    }
    let said = ended.stderr.matches("stopped: interrupted").count();
    if said != 1 {
        return Err(format!("{said} ranks report it: {}", ended.stderr).into());
    }
    let steps = (saved + 3).to_string();
    text.train(2, "run", &["--resume", "--steps", &steps])?;
    Ok(())
}

/// Killing a rank ends the job, and damages no checkpoint.
fn a_lost_rank_ends_the_job() -> Outcome {
    let text = Text::new(CONFIG, 400);
    for (name, victim) in [("first", 0), ("second", 1)] {
        let (run, child) = text.start(name)?;
        let ranks = children(child.id());
        if ranks.len() != 2 {
            return Err(format!("ranks {ranks:?}").into());
        }
        signal(ranks[victim], "KILL");
        let ended = end_of(child)?;
        if ended.code == Some(0) {
            return Err("the job succeeds although a rank was killed".into());
        }
        wait_for("the end of all ranks", || {
            ranks
                .iter()
                .all(|rank| !Path::new(&format!("/proc/{rank}/stat")).exists())
        })?;
        // The last checkpoint is complete, no older than the interval, and can be resumed.
        let saved = *checkpoints(&run).last().expect("a checkpoint");
        let trained = *losses(&run).keys().last().expect("a step");
        if saved + 5 + 1 < trained {
            return Err(format!("{trained} steps, and the last checkpoint is of {saved}").into());
        }
        let steps = (saved + 2).to_string();
        text.train(2, name, &["--resume", "--steps", &steps])?;
    }
    Ok(())
}

/// When training diverges, all ranks end and one reports it. Also if only the first rank notices: in a validation, or while it
/// writes a checkpoint.
fn divergence_ends_all() -> Outcome {
    let text = Text::new(CONFIG, 400);
    let sets = [
        "--set",
        "train.learning_rate=1e30",
        "--set",
        "train.optimizer=sgd",
    ];
    for (name, more, says) in [
        ("steps", [].as_slice(), "training diverged"),
        (
            "valid",
            &["--set", "train.validate_every=1"],
            "is not finite",
        ),
        (
            "saved",
            &[
                "--set",
                "train.learning_rate=1e38",
                "--set",
                "train.checkpoint_every=1",
                "--set",
                "train.clip_norm=0",
                "--set",
                "train.unroll=60",
            ],
            "is no longer finite",
        ),
    ] {
        let (_, mut command) = text.job(2, name, &[&sets, more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = end_of(command.spawn().map_err(missing)?)?;
        let said = ended.stderr.matches(says).count();
        let others = ended.stderr.matches("another process").count();
        if (ended.code, said, others) != (Some(5), 1, 0) {
            let (code, error) = (ended.code, ended.stderr);
            return Err(format!("{name}: {code:?}, {said} ranks report it: {error}").into());
        }
    }
    Ok(())
}

/// An error that only the first rank notices ends all ranks.
fn a_failure_ends_all() -> Outcome {
    let text = Text::new(CONFIG, 400);
    text.train(2, "run", &[])?;
    let (_, mut command) = text.job(2, "run", &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = end_of(command.spawn().map_err(missing)?)?;
    match ended.code {
        Some(3) if ended.stderr.contains("already contains a run") => Ok(()),
        code => Err(format!("{code:?}: {}", ended.stderr).into()),
    }
}

/// If the first rank cannot write a checkpoint, all ranks end and one reports the error.
fn a_failure_of_the_first_ends_all() -> Outcome {
    let text = Text::new(CONFIG, 400);
    let (run, child) = text.start("run")?;
    let folder = run.join("checkpoints");
    std::fs::rename(&folder, run.join("kept"))?;
    std::fs::write(&folder, "in the way")?;
    let ended = end_of(child)?;
    let said = ended.stderr.matches("error: cannot ").count();
    match ended.code {
        Some(3) if said == 1 => Ok(()),
        code => Err(format!("{code:?}, {said} ranks report it: {}", ended.stderr).into()),
    }
}

/// Ranks with different configurations, texts, vocabularies or numbers of devices are refused.
fn all_ranks_must_train_the_same() -> Outcome {
    let text = Text::new(CONFIG, 400);
    let other = text.folder.write("other.txt", "w1 w2 w3\n".repeat(90));
    let other = format!("data.train={}", other.display());
    let vocab = text.folder.path("words.txt");
    let words: String = (0..130).map(|k| format!("w{k} {}\n", 1000 - k)).collect();
    let words = format!("<S> 2000\n<UNK> 1999\n{words}");
    text.folder.write("words.txt", words);
    let vocab = format!("data.vocab={}", vocab.display());
    let start = text.train(2, "start", &["--set", &vocab, "--steps", "3"])?;
    let start = start.display().to_string();
    for (more, what) in [
        (["--init", &start], "checkpoint to start from"),
        (["--set", "train.clip_norm=3"], "configuration"),
        (["--set", &other], "training text"),
        (["--device", "cpu"], "number of devices"),
        (["--set", "data.valid=[]"], "`data.valid` (given or empty)"),
    ] {
        let common = ["--set", &vocab];
        let (_, mut command) = text.job(1, "run", &common);
        let (_, second) = text.job(1, "run", &[&common[..], &more].concat());
        // `mpirun -n 1 FIRST : -n 1 SECOND`.
        command.arg(":").args(second.get_args().skip(1));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = end_of(command.spawn().map_err(missing)?)?;
        let says = format!("process 1 of the job has another {what} than process 0");
        if ended.code != Some(2) || ended.stderr.matches(&says).count() != 1 {
            let (code, error) = (ended.code, ended.stderr);
            return Err(format!("{what}: {code:?}: {error}").into());
        }
    }
    Ok(())
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "a process to signal"
    );
}

/// The child processes of a process.
fn children(process: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let text = text.expect("Linux with children listed");
    text.split_whitespace()
        .map(|id| id.parse().expect("a number"))
        .collect()
}
