//! A run that stops anywhere and goes on is the run that never stopped, bit for bit: after a limit, a signal or a kill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{
    Dice, Ended, Folder, Tensors, checkpoint, checkpoints, lines_of, losses, number, program,
    snapshot, train, training, wlstm,
};
use crate::common::{Trial, on_every_gpu};
use libtest_mimic::Failed;
use serde_json::Value;

type Outcome = Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("one_seed_gives_the_same_bits", one_seed_gives_the_same_bits),
        Trial::test("stop_at_any_step::sampled", || stop_at_any_step(SAMPLED)),
        Trial::test("stop_at_any_step::full", || stop_at_any_step(FULL)),
        Trial::test("stop_at_any_step::mixed", || stop_at_any_step(&mixed())),
        Trial::test("signals::interrupt", || signal_saves("INT", 130)),
        Trial::test("signals::terminate", || signal_saves("TERM", 143)),
        Trial::test("kills_lose_little", kills_lose_little),
        Trial::test(
            "kill_before_the_first_checkpoint",
            kill_before_the_first_checkpoint,
        ),
        Trial::test("leftovers_are_swept", leftovers_are_swept),
        Trial::test("a_finished_run_stays", a_finished_run_stays),
        Trial::test("best_by_one_measure", best_by_one_measure),
        Trial::test(
            "the_configuration_of_a_run_is_enough",
            the_configuration_of_a_run_is_enough,
        ),
        Trial::test(
            "another_configuration_is_refused",
            another_configuration_is_refused,
        ),
    ];
    trials.extend(on_every_gpu("stop_and_go_on", |gpu| {
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let text = Text::new(SAMPLED);
        let whole = text.run("whole", &device, &["--steps", "9"]);
        let halves = text.run("halves", &device, &["--steps", "4"]);
        text.run("halves", &device, &["--steps", "9", "--resume"]);
        same(&whole, &halves, 9)?;
        if gpu.adapter.summary.f16 {
            let text = Text::new(&mixed());
            let whole = text.run("whole", &device, &["--steps", "9"]);
            let halves = text.run("halves", &device, &["--steps", "4"]);
            text.run("halves", &device, &["--steps", "9", "--resume"]);
            same(&whole, &halves, 9)?;
        }
        Ok(())
    }));
    trials
}

/// Everything that depends on chance or on the past: shuffling, dropout, candidates, averages, a schedule that follows the
/// validation. An epoch is 8 steps or so.
const SAMPLED: &str = r#"
[model]
cell = ["glstm", "flstm"]
embedding = 8
hidden = 8
projection = 8
groups = 2
factor = 3
dropout = 0.3
residual = true
[softmax]
kind = "sampled"
samples = 6
[data]
order = "sentences"
train = ["train/*"]
valid = ["valid.txt"]
[train]
batch = 3
unroll = 5
learning_rate = 0.9
schedule = "plateau"
decay = 0.5
ema = 0.9
validate_every = 5
checkpoint_every = 4
keep = 1000
"#;

/// Columns of one text, a state for every parameter that momentum and mean need, averages off.
const FULL: &str = r#"
[model]
cell = "lstmp"
layers = 1
embedding = 6
hidden = 7
projection = 0
dropout = 0.2
[softmax]
kind = "full"
[data]
order = "contiguous"
train = ["train/*"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 4
optimizer = "adam"
learning_rate = 0.2
schedule = "plateau"
decay = 0.5
recipe = "plain"
clip_norm = 0.5
ema = 0.0
validate_every = 3
checkpoint_every = 5
keep = 1000
"#;

/// The first in mixed precision.
fn mixed() -> String {
    SAMPLED.replace("[train]\n", "[train]\nprecision = \"mixed\"\n")
}

/// A folder with text and a configuration.
struct Text {
    folder: Folder,
    config: PathBuf,
}

impl Text {
    fn new(config: &str) -> Text {
        let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let folder = Folder::new();
        let mut dice = Dice(3);
        for name in ["train/1", "train/2"] {
            folder.write(name, dice.text(15, 6, &words));
        }
        folder.write("valid.txt", dice.text(6, 6, &words));
        let config = folder.write("config.toml", config);
        Text { folder, config }
    }

    /// Trains into a folder of this name.
    fn run(&self, name: &str, device: &str, more: &[&str]) -> PathBuf {
        let run = self.folder.path(name);
        train(&self.config, &run, device, more);
        run
    }

    /// Starts to train into a folder of this name.
    fn start(&self, name: &str, more: &[&str]) -> (PathBuf, Child) {
        let run = self.folder.path(name);
        let mut command = program();
        command.args(training(&self.config, &run, "cpu", more));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (run, child.spawn().expect("the program starts"))
    }
}

/// The bits of all losses.
fn loss_bits(run: &Path) -> BTreeMap<u64, u64> {
    let bits = losses(run)
        .into_iter()
        .map(|(step, loss)| (step, loss.to_bits()));
    bits.collect()
}

/// Compares the last checkpoints and the losses of an uninterrupted run and another.
fn same(whole: &Path, other: &Path, steps: u64) -> Outcome {
    let (want, got) = (
        Tensors::read(&checkpoint(whole, steps)),
        Tensors::read(&checkpoint(other, steps)),
    );
    if want.tensors.len() < 10 || !want.tensors.keys().eq(got.tensors.keys()) {
        return Err(format!("tensors {:?}", got.tensors.keys()).into());
    }
    for (name, tensor) in &want.tensors {
        if got.tensors[name] != *tensor {
            return Err(format!("`{name}` has other bits").into());
        }
    }
    let progress = |tensors: &Tensors| -> Value {
        serde_json::from_str(&tensors.texts["progress"]).expect("JSON")
    };
    let (want, got) = (progress(&want), progress(&got));
    // Where the text goes on, and what the schedule has seen.
    for key in ["step", "epoch", "position", "stalls", "due_nll"] {
        if want[key] != got[key] {
            return Err(format!("{key} is {}, not {}", got[key], want[key]).into());
        }
    }
    let (want, got) = (loss_bits(whole), loss_bits(other));
    if want.len() as u64 != steps || want != got {
        return Err(format!("losses {got:?}, not {want:?}").into());
    }
    // The one that was stopped may have validated once more, where it stopped.
    let valid = |run| -> BTreeMap<u64, u64> {
        let lines = lines_of(run, "valid");
        let pair = |line: &Value| (number(line, "step") as u64, number(line, "nll").to_bits());
        lines.iter().map(pair).collect()
    };
    let got = valid(other);
    for (step, nll) in valid(whole) {
        if got.get(&step) != Some(&nll) {
            return Err(format!("the validation at step {step} differs").into());
        }
    }
    Ok(())
}

fn one_seed_gives_the_same_bits() -> Outcome {
    for config in [SAMPLED, FULL] {
        let text = Text::new(config);
        let runs = ["one", "two", "other"];
        let [one, two, other] =
            runs.map(|name| text.run(name, "cpu", &["--steps", "20", "--seed", seed_of(name)]));
        same(&one, &two, 20)?;
        if same(&one, &other, 20).is_ok() {
            return Err("another seed gives the same run".into());
        }
    }
    Ok(())
}

fn seed_of(name: &str) -> &'static str {
    if name == "other" { "8" } else { "7" }
}

/// Every step once: before, at and after the ends of epochs, validations and checkpoints.
fn stop_at_any_step(config: &str) -> Outcome {
    const STEPS: u64 = 22;
    let text = Text::new(config);
    let whole = text.run("whole", "cpu", &["--steps", "22"]);
    let lines = lines_of(&whole, "step");
    let rates: Vec<f64> = lines
        .iter()
        .map(|line| number(line, "learning_rate"))
        .collect();
    let epochs = lines.iter().map(|line| number(line, "epoch") as u64).max();
    if epochs < Some(3) || rates[0] == rates[rates.len() - 1] {
        return Err(format!("{epochs:?} epochs, rates {rates:?}: not what is to be tested").into());
    }
    for k in 1..STEPS {
        let name = format!("stopped-{k}");
        let run = text.run(&name, "cpu", &["--steps", &k.to_string()]);
        text.run(&name, "cpu", &["--steps", "22", "--resume"]);
        same(&whole, &run, STEPS)
            .map_err(|e| format!("stopped at {k}: {}", e.message().unwrap_or_default()))?;
    }
    // And many times.
    let run = text.run("often", "cpu", &["--steps", "1"]);
    for k in [2, 5, 8, 9, 13, 15, 16, 22] {
        text.run("often", "cpu", &["--steps", &k.to_string(), "--resume"]);
    }
    same(&whole, &run, STEPS)
}

/// Waits until `ready`, or fails.
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) -> Outcome {
    let begin = Instant::now();
    while !ready() {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(format!("waited in vain for {what}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn send(child: &Child, signal: &str) {
    let (signal, pid) = (format!("-{signal}"), child.id().to_string());
    let sent = Command::new("kill").args([signal, pid]).status();
    assert!(sent.expect("kill").success());
}

fn end(child: Child) -> Ended {
    child.wait_with_output().expect("the program ends").into()
}

/// The steps of the long runs, and their intervals.
const LONG: [&str; 6] = [
    "--steps",
    "1500",
    "--set",
    "train.checkpoint_every=200",
    "--set",
    "train.validate_every=350",
];

fn signal_saves(signal: &str, code: i32) -> Outcome {
    let text = Text::new(SAMPLED);
    let whole = text.run("whole", "cpu", &LONG);
    // A few moments: early, and wherever the second comes. Where this test sleeps so long that the run is over, once more.
    let mut moments = [1, 333, 1, 333, 1, 333].into_iter().enumerate();
    let mut caught = 0;
    while caught < 2 {
        let (k, after) = moments
            .next()
            .ok_or("every run was over before its signal")?;
        let (run, child) = text.start(&format!("stopped-{k}"), &LONG);
        wait_until("a step", || losses(&run).len() >= after)?;
        send(&child, signal);
        // Programs that start others send a signal to them and to their group.
        let _echo = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        let ended = end(child);
        if ended.code == Some(0) {
            continue;
        }
        caught += 1;
        if ended.code != Some(code) {
            return Err(format!("exit code {:?}: {}", ended.code, ended.stderr).into());
        }
        if !ended.stderr.contains("--resume") {
            return Err(format!("does not say how to go on: {}", ended.stderr).into());
        }
        // Everything that was reported is saved.
        let reported = losses(&run).len() as u64;
        if checkpoints(&run).last() != Some(&reported) {
            return Err(format!("{reported} steps, saved {:?}", checkpoints(&run)).into());
        }
        let reason = lines_of(&run, "end").pop().ok_or("no end")?;
        if reason["reason"] != "interrupted" {
            return Err(format!("{reason}").into());
        }
        let resume = [&LONG[..], &["--resume"]].concat();
        text.run(&format!("stopped-{k}"), "cpu", &resume);
        same(&whole, &run, 1500)?;
    }
    Ok(())
}

fn kills_lose_little() -> Outcome {
    const EVERY: u64 = 200;
    let text = Text::new(SAMPLED);
    let whole = text.run("whole", "cpu", &LONG);
    let mut dice = Dice(11);
    let resume = [&LONG[..], &["--resume"]].concat();
    let (mut kills, mut before) = (0, 0);
    for attempt in 0..200 {
        let arguments = if attempt == 0 { &LONG[..] } else { &resume };
        let (run, mut child) = text.start("killed", arguments);
        let first = before;
        // A step or two further at least, so that this ends; then any moment.
        let more = 1 + dice.below(400) as u64;
        wait_until("steps", || {
            let newest = losses(&run).keys().next_back().copied().unwrap_or(0);
            let ended = child.try_wait().expect("a child").is_some();
            ended || newest >= first + more
        })?;
        std::thread::sleep(Duration::from_micros(dice.below(3000) as u64));
        child.kill().ok();
        let ended = end(child);
        if ended.code == Some(0) {
            if kills < 3 {
                return Err(format!("only {kills} kills").into());
            }
            return same(&whole, &run, 1500);
        }
        if ended.code.is_some() {
            return Err(format!("exit code {:?}: {}", ended.code, ended.stderr).into());
        }
        kills += 1;
        let reported = losses(&run).keys().next_back().copied().unwrap_or(0);
        let saved = checkpoints(&run).last().copied().unwrap_or(0);
        // The step after an interval is reported only once the interval is saved.
        if saved < (reported.max(1) - 1) / EVERY * EVERY {
            return Err(format!("{reported} steps reported, {saved} saved").into());
        }
        before = saved;
    }
    Err("the run never came to its end".into())
}

fn kill_before_the_first_checkpoint() -> Outcome {
    let text = Text::new(SAMPLED);
    let late = [
        "--steps",
        "1500",
        "--set",
        "train.checkpoint_every=0",
        "--set",
        "train.validate_every=0",
        "--set",
        "data.valid=[]",
        "--set",
        "train.schedule=constant",
        "--set",
        "train.batch=1",
        "--set",
        "train.unroll=1",
    ];
    let whole = text.run("whole", "cpu", &late);
    for name in ["killed-1", "killed-2", "killed-3"] {
        let (run, mut child) = text.start(name, &late);
        wait_until("a step", || !losses(&run).is_empty())?;
        child.kill()?;
        if end(child).code.is_some() {
            // This test slept so long that the run is over.
            continue;
        }
        if !checkpoints(&run).is_empty() {
            return Err(format!("{:?} are there already", checkpoints(&run)).into());
        }
        text.run(name, "cpu", &[&late[..], &["--resume"]].concat());
        return same(&whole, &run, 1500);
    }
    Err("every run was over before it was killed".into())
}

fn leftovers_are_swept() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let leftovers = [".wlstm-partial-a", "checkpoints/.wlstm-partial-b"];
    for name in leftovers {
        std::fs::write(run.join(name), "half a file")?;
    }
    text.run("run", "cpu", &["--steps", "6", "--resume"]);
    for name in leftovers {
        if run.join(name).exists() {
            return Err(format!("`{name}` is still there").into());
        }
    }
    Ok(())
}

fn a_finished_run_stays() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "11"]);
    let (before, losses_before) = (snapshot(&run.join("checkpoints")), loss_bits(&run));
    text.run("run", "cpu", &["--steps", "11", "--resume"]);
    // Fewer steps than are done change nothing either.
    text.run("run", "cpu", &["--steps", "4", "--resume"]);
    if snapshot(&run.join("checkpoints")) != before || loss_bits(&run) != losses_before {
        return Err("a finished run was changed".into());
    }
    Ok(())
}

/// What is best is so by one text and as many of its targets; the record has the perplexity of the last checkpoint too.
fn best_by_one_measure() -> Outcome {
    let text = Text::new(FULL);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let record = || -> Value {
        let text = std::fs::read_to_string(run.join("run.json")).expect("a record");
        serde_json::from_str(&text).expect("JSON")
    };
    let before = record();
    let valid = std::fs::read_to_string(text.folder.path("valid.txt")).expect("a text");
    let other = text.folder.write("other.txt", valid.repeat(2));
    let other = format!("data.valid={}", other.display());
    let resume = |set: &str| {
        let more = ["--resume", "--steps", "15", "--set", set];
        wlstm(&training(&text.config, &run, "cpu", &more))
    };
    for (set, says) in [
        (other.as_str(), "`data.valid` is not the text that it was"),
        (
            "train.validate_targets=7",
            "`train.validate_targets` was 0, and is 7",
        ),
    ] {
        let ended = resume(set);
        if ended.code != Some(2) || !ended.stderr.contains(says) || record() != before {
            return Err(format!("{set}: {:?}, {}", ended.code, ended.stderr).into());
        }
    }
    // By the configuration in its folder a run goes on as it was called.
    let config = run.join("config.toml");
    let ended = wlstm(&training(
        &config,
        &run,
        "cpu",
        &["--resume", "--steps", "9"],
    ));
    let after = record();
    if ended.code != Some(0) || after["config"] != before["config"] || after["last"]["step"] != 9 {
        return Err(format!("{:?}, {after}, {}", ended.code, ended.stderr).into());
    }
    // The same text under another name is the same.
    let copy = text.folder.write("copy.txt", valid);
    let ended = resume(&format!("data.valid={}", copy.display()));
    if ended.code != Some(0) {
        return Err(format!("{:?}, {}", ended.code, ended.stderr).into());
    }
    let valid = lines_of(&run, "valid").pop().expect("a validation");
    let last = &record()["last"];
    if last["step"] != 15 || last["perplexity"] != valid["perplexity"] {
        return Err(format!("{last}, {valid}").into());
    }
    Ok(())
}

/// The configuration in the folder of a run stands for that run; without `--resume` for a new one of its name.
fn the_configuration_of_a_run_is_enough() -> Outcome {
    let text = Text::new(SAMPLED);
    let (whole, run) = (
        text.folder.path("whole"),
        text.run("run", "cpu", &["--steps", "5"]),
    );
    train(&text.config, &whole, "cpu", &["--steps", "9"]);
    let config = run.join("config.toml");
    let go = |more: &[&str]| -> Ended {
        let mut command = program();
        command
            .arg("train")
            .arg(&config)
            .args(["--device", "cpu", "--steps", "9"]);
        let done = command
            .args(more)
            .current_dir(text.folder.path(""))
            .output();
        done.expect("the program runs").into()
    };
    let ended = go(&["--resume"]);
    if ended.code != Some(0) || loss_bits(&run) != loss_bits(&whole) {
        return Err(format!("{:?}: {}", ended.code, ended.stderr).into());
    }
    let ended = go(&[]);
    let new = text.folder.path("runs/run");
    if ended.code != Some(0) || loss_bits(&new) != loss_bits(&whole) {
        return Err(format!("{:?}: {}", ended.code, ended.stderr).into());
    }
    Ok(())
}

fn another_configuration_is_refused() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let before = snapshot(&run);
    for set in [
        "model.hidden=16",
        "train.learning_rate=0.1",
        "softmax.samples=3",
        "train.seed=2",
        "data.shuffle=false",
        "train.recompute=true",
    ] {
        let more = ["--resume", "--steps", "9", "--set", set];
        let ended = wlstm(&training(&text.config, &run, "cpu", &more));
        let key = set.split(['.', '=']).nth(1).unwrap_or_default();
        if ended.code != Some(2) || !ended.stderr.contains(key) {
            return Err(format!("{set}: {:?}, {}", ended.code, ended.stderr).into());
        }
        if snapshot(&run) != before {
            return Err(format!("{set}: the run was changed").into());
        }
    }
    Ok(())
}
