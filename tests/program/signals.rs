//! Signals, and texts that change while a model trains.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{
    Dice, Ended, Folder, checkpoints, ignores_hang_up, losses, program, text, training,
};

/// The number of steps of a run, which takes a few seconds.
const STEPS: &str = "6000";

/// A text and a configuration to train on it.
fn model() -> (Folder, PathBuf) {
    let folder = Folder::new();
    folder.write(
        "train.txt",
        Dice(1).text(400, 9, &["a", "b", "c", "d", "e", "f"]),
    );
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 16\nhidden = 32\nprojection = 16\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\n[train]\nbatch = 4\nunroll = 5\nema = 0.0\ncheckpoint_every = 0\n",
    );
    (folder, config)
}

fn wait_for_steps(run: &Path) {
    let begin = Instant::now();
    while losses(run).len() < 20 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no steps");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn hang_up(child: &Child) {
    let sent = Command::new("kill")
        .args(["-HUP", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program")
}

#[test]
fn the_end_of_a_session_saves() {
    if ignores_hang_up() {
        return;
    }
    let (folder, config) = model();
    let run = folder.path("run");
    let line = training(&config, &run, "cpu", &["--steps", "50000"]);
    let child = start(program().args(line));
    wait_for_steps(&run);
    hang_up(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("--resume"), "{}", ended.stderr);
    let saved = losses(&run).len() as u64;
    assert_eq!(checkpoints(&run).last(), Some(&saved));
}

/// A command whose parent ignores SIGHUP, as `nohup` does, continues.
#[test]
fn an_ignored_hang_up_stays_ignored() {
    let (folder, config) = model();
    let run = folder.path("run");
    let line = training(&config, &run, "cpu", &["--steps", STEPS]);
    let program = program();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    shell.arg(program.get_program()).args(line);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let child = start(&mut shell);
    wait_for_steps(&run);
    hang_up(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(losses(&run).len().to_string(), STEPS);
}

/// Some editors save a file in place. A small text is copied into memory, so a run is not affected.
#[test]
fn a_text_that_is_shortened_in_place_does_no_harm() {
    let (folder, config) = model();
    let run = folder.path("run");
    let line = training(&config, &run, "cpu", &["--steps", STEPS]);
    let child = start(program().args(line));
    wait_for_steps(&run);
    let file = std::fs::File::options()
        .write(true)
        .open(folder.path("train.txt"));
    file.and_then(|file| file.set_len(0)).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(losses(&run).len().to_string(), STEPS);
    assert!(ended.stderr.contains(text(&run)), "{}", ended.stderr);
}

/// Results cannot be printed on a terminal that is gone. That is no error: the exit code is that of the stop.
#[cfg(target_os = "linux")]
#[test]
fn a_comparison_whose_terminal_closes_is_saved() {
    if ignores_hang_up() {
        return;
    }
    let (folder, config) = model();
    let (out, code) = (folder.path("compared"), folder.path("code"));
    let program = program();
    // The shell passes the signal on, as login shells do.
    let line = format!(
        "{} compare {} --set model.hidden=16,32 --seconds 60 --device cpu --out {} 2>/dev/null & \
         trap \"kill -HUP $!\" HUP; wait $!; wait $!; echo $? > {}",
        text(Path::new(program.get_program())),
        text(&config),
        text(&out),
        text(&code)
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = script.spawn().expect("`script` of util-linux");
    let run = out.join("hidden-16");
    wait_for_steps(&run);
    script.kill().expect("an emulated terminal");
    script.wait().expect("an end");
    let begin = Instant::now();
    let ended = loop {
        match std::fs::read_to_string(&code) {
            Ok(code) if code.ends_with('\n') => break code,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
    };
    assert_eq!(ended.trim(), "143");
    let saved = losses(&run).len() as u64;
    assert_eq!(checkpoints(&run).last(), Some(&saved));
}
