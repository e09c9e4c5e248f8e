//! `wlstm train --tui` on a terminal: `q` and signals save a checkpoint and restore the terminal.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{
    Dice, Ended, Folder, checkpoints, losses, metrics, program, text, wlstm,
};

fn small_model() -> (Folder, PathBuf) {
    let folder = Folder::new();
    folder.write("train.txt", Dice(1).text(400, 9, &["a", "b", "c", "d"]));
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 16\nhidden = 32\nprojection = 16\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\n[train]\nbatch = 4\nunroll = 5\nseconds = 60\n",
    );
    (folder, config)
}

/// Starts a training with a dashboard on a terminal that `script` of util-linux emulates, and waits for its first steps.
fn on_a_terminal(config: &Path, run: &Path) -> Child {
    let program = program();
    let line = format!(
        "stty rows 30 cols 100; exec {} train {} --tui --device cpu --out {}",
        text(Path::new(program.get_program())),
        text(config),
        text(run)
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let script = script.expect("`script` of util-linux");
    let begin = Instant::now();
    while metrics(run).len() < 20 {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "no steps after 60 s"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    script
}

/// Enters and leaves the alternate screen.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
/// Shows the cursor.
const SHOW: &str = "\u{1b}[?25h";

fn assert_restored(ended: &Ended, run: &Path) {
    let last = losses(run).into_keys().last();
    assert_eq!(
        checkpoints(run).last().copied(),
        last,
        "the last step is saved"
    );
    let (_, after) = ended
        .stdout
        .split_once(ENTER)
        .expect("the alternate screen is entered");
    let (drawn, after) = after
        .split_once(LEAVE)
        .expect("the alternate screen is left");
    // The terminal skips spaces, so only single words can be found.
    for word in [
        "training",
        "loss",
        "perplexity",
        "memory",
        "parameters",
        "elapsed",
        "steps",
    ] {
        assert!(drawn.contains(word), "{word}: {drawn}");
    }
    assert!(after.contains(SHOW) && !after.contains(ENTER));
    assert!(after.contains("stopped: interrupted after step"), "{after}");
    assert!(after.contains("continue with"), "{after}");
    assert!(
        after.contains("The run folder is"),
        "messages are printed afterwards: {after}"
    );
}

#[test]
fn q_saves_and_restores_the_terminal() {
    let (folder, config) = small_model();
    let run = folder.path("run");
    let mut child = on_a_terminal(&config, &run);
    let mut keys = child.stdin.take().expect("keys");
    keys.write_all(b"xq").expect("a key");
    keys.flush().expect("a key");
    let ended = Ended::from(child.wait_with_output().expect("an end"));
    assert_eq!(ended.code, Some(130), "{}", ended.stdout);
    assert_restored(&ended, &run);
}

/// Matches the command line of the program, and not that of `script`, which has the same words.
fn pattern_of(run: &Path) -> String {
    format!("^[^ ]*wlstm train .*{}", text(run))
}

#[test]
fn a_closed_terminal_saves_and_ends() {
    let (folder, config) = small_model();
    let run = folder.path("run");
    let mut terminal = on_a_terminal(&config, &run);
    terminal.kill().expect("an emulated terminal");
    terminal.wait().expect("an end");
    let is_running = || {
        let found = Command::new("pgrep")
            .args(["-f", &pattern_of(&run)])
            .stdout(Stdio::null())
            .status();
        found.expect("pgrep").success()
    };
    let begin = Instant::now();
    while is_running() {
        if begin.elapsed() > Duration::from_secs(30) {
            let pattern = pattern_of(&run);
            let _ = Command::new("pkill")
                .args(["-KILL", "-f", &pattern])
                .status();
            panic!("the program still runs");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = losses(&run).into_keys().last();
    assert_eq!(
        checkpoints(&run).last().copied(),
        last,
        "the last step is saved"
    );
}

#[test]
fn a_signal_saves_and_restores_the_terminal() {
    let (folder, config) = small_model();
    let run = folder.path("run");
    let mut child = on_a_terminal(&config, &run);
    let keys = child.stdin.take();
    let killed = Command::new("pkill")
        .args(["-TERM", "-f", &pattern_of(&run)])
        .status();
    assert!(killed.expect("pkill").success());
    let ended = Ended::from(child.wait_with_output().expect("an end"));
    drop(keys);
    assert_eq!(ended.code, Some(143), "{}", ended.stdout);
    assert_restored(&ended, &run);
}

#[test]
fn without_a_terminal_it_is_an_error() {
    let (folder, config) = small_model();
    let run = folder.path("run");
    let ended = wlstm(&[
        "train",
        text(&config),
        "--tui",
        "--device",
        "cpu",
        "--out",
        text(&run),
    ]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`--tui` needs a terminal"),
        "{}",
        ended.stderr
    );
    assert!(!run.join("run.json").exists());
}
