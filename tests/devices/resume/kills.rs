//! Runs that are stopped by a signal or a kill.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{Dice, Ended, checkpoints, lines_of, losses};

use super::tools::{Outcome, SAMPLED, Text, same};

/// Waits until `ready`, or fails.
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) -> Outcome {
    let begin = Instant::now();
    while !ready() {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(format!("no {what} after 60 s").into());
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

/// Number of steps and intervals of the long runs.
const LONG: [&str; 6] = [
    "--steps",
    "1500",
    "--set",
    "train.checkpoint_every=200",
    "--set",
    "train.validate_every=350",
];

pub fn signal_saves(signal: &str, code: i32) -> Outcome {
    let text = Text::new(SAMPLED);
    let whole = text.run("whole", "cpu", &LONG);
    // Signals after the first step and after 333. If the run ends before its signal on a busy machine, the test tries again.
    let mut moments = [1, 333, 1, 333, 1, 333].into_iter().enumerate();
    let mut caught = 0;
    while caught < 2 {
        let (k, after) = moments.next().ok_or("every run ended before its signal")?;
        let (run, child) = text.start(&format!("stopped-{k}"), &LONG);
        wait_until("a step", || losses(&run).len() >= after)?;
        send(&child, signal);
        // Shells send a signal to the process and to its group, so it may arrive twice.
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
            return Err(format!("does not say how to resume: {}", ended.stderr).into());
        }
        // Every reported step is saved.
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

pub fn a_kill_loses_at_most_one_interval() -> Outcome {
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
        // At least one more step, so that the test ends; then a random moment.
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
        // The step after an interval is reported after the interval is saved.
        if saved < (reported.max(1) - 1) / EVERY * EVERY {
            return Err(format!("{reported} steps reported, {saved} saved").into());
        }
        before = saved;
    }
    Err("the run did not finish in 200 attempts".into())
}

pub fn kill_before_the_first_checkpoint() -> Outcome {
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
            // The run ended before it was killed.
            continue;
        }
        if !checkpoints(&run).is_empty() {
            return Err(format!("{:?} exist already", checkpoints(&run)).into());
        }
        text.run(name, "cpu", &[&late[..], &["--resume"]].concat());
        return same(&whole, &run, 1500);
    }
    Err("every run ended before it was killed".into())
}
