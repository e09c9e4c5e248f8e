//! A run folder from an untrusted source: nothing outside of it is read, and no read blocks forever.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Small, failed};
use crate::common::program::{Ended, checkpoint, program, text, wlstm};

/// Runs the program, which must end within a few seconds.
fn in_time(arguments: &[&str]) -> Ended {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let begin = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begin.elapsed() > Duration::from_secs(30) {
            child.kill().expect("a child");
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("output").into()
}

fn fifo(path: &Path) {
    let _ = std::fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}

#[test]
fn a_best_checkpoint_outside_of_the_run_is_refused() {
    let small = Small::trained("a b c\n".repeat(20));
    let other = Small::trained("a b c\n".repeat(20));
    let outside = checkpoint(&other.run, 4);
    let record = small.run.join("run.json");
    let before = std::fs::read_to_string(&record).expect("a record");
    let deep = format!("checkpoints/../../{}", text(&outside));
    for name in [
        "../run/checkpoints/step-00000004.safetensors",
        text(&outside),
        &deep,
        "checkpoints/..",
    ] {
        let mut changed: serde_json::Value = serde_json::from_str(&before).expect("a record");
        changed["best"] = serde_json::json!({"checkpoint": name, "step": 4, "perplexity": 2.0});
        small.folder.write("run/run.json", changed.to_string());
        let ended = wlstm(&[
            "score",
            text(&small.run),
            text(&small.config),
            "--device",
            "cpu",
        ]);
        failed(&ended, 3, &["outside of the run"]);
    }
    small.folder.write("run/run.json", before);
    // A link to it is refused as well, but the path of the file is accepted.
    let own = checkpoint(&small.run, 4);
    std::fs::remove_file(&own).expect("a checkpoint");
    symlink(&outside, &own).expect("a link");
    let ended = wlstm(&[
        "eval",
        text(&small.run),
        "--data",
        text(&small.config),
        "--device",
        "cpu",
    ]);
    failed(&ended, 3, &["is a link to", "outside of the run"]);
    let ended = wlstm(&[
        "eval",
        text(&own),
        "--data",
        text(&small.config),
        "--device",
        "cpu",
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Runs a comparison of two learning rates.
fn compare_two_rates(compare: &[&str]) {
    let two = ["--steps", "2", "--set", "train.learning_rate=0.1,0.2"];
    let ended = wlstm(&[compare, &two].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_comparison_with_runs_outside_of_it_is_refused() {
    let small = Small::new("a b c\n".repeat(20));
    let out = small.folder.path("compared");
    let (config, folder) = (text(&small.config), text(&out));
    let compare = ["compare", config, "--device", "cpu", "--out", folder];
    compare_two_rates(&compare);
    let record = std::fs::read_to_string(out.join("compare.json")).expect("a record");
    for name in ["../outside", "/tmp/outside", "..", "a/../../outside", ""] {
        let mut changed: serde_json::Value = serde_json::from_str(&record).expect("a record");
        changed["specs"][0]["folder"] = serde_json::json!(name);
        small
            .folder
            .write("compared/compare.json", changed.to_string());
        let before = small.folder.snapshot();
        for arguments in [
            vec![
                "compare", "--resume", "--device", "cpu", "--out", folder, "--steps", "4",
            ],
            vec!["report", folder],
        ] {
            failed(
                &wlstm(&arguments),
                3,
                &["outside of the folder of the comparison"],
            );
        }
        assert!(before == small.folder.snapshot(), "files have changed");
    }
}

#[test]
fn pipes_and_devices_never_hang() {
    let small = Small::trained("a b c\n".repeat(20));
    let (run, config) = (text(&small.run), text(&small.config));
    let resume = [
        "train", config, "--out", run, "--resume", "--device", "cpu", "--steps", "6",
    ];
    let out = small.folder.path("out.safetensors");
    let uses: [&[&str]; 4] = [
        &["eval", run, "--data", config, "--device", "cpu"],
        &["export", run, "--out", text(&out)],
        &["report", run, "--out", text(&out)],
        &resume,
    ];
    let checkpoint = checkpoint(&small.run, 4);
    let files = [
        checkpoint.clone(),
        small.run.join("run.json"),
        small.run.join("config.toml"),
        small.run.join(".lock"),
    ];
    for file in &files {
        let before = std::fs::read(file).ok();
        for arguments in uses {
            fifo(file);
            let ended = in_time(arguments);
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
            let _ = std::fs::remove_file(file);
            if let Some(before) = &before {
                std::fs::write(file, before).expect("a file");
            }
        }
    }
    let pipe = small.folder.path("pipe");
    fifo(&pipe);
    let vocabulary = format!("data.vocab={}", text(&pipe));
    let train = format!("data.train={}", text(&pipe));
    for (arguments, code) in [
        (vec!["eval", text(&pipe)], 3),
        (
            vec!["import", text(&pipe), "--config", config, "--out", "x"],
            3,
        ),
        (
            vec!["train", config, "--init", text(&pipe), "--device", "cpu"],
            3,
        ),
        (
            vec!["train", config, "--set", &vocabulary, "--device", "cpu"],
            3,
        ),
        (vec!["train", config, "--set", &train, "--device", "cpu"], 3),
        (vec!["eval", "/dev/zero"], 3),
        (
            vec!["import", "/dev/zero", "--config", config, "--out", "x"],
            3,
        ),
    ] {
        failed(&in_time(&arguments), code, &[]);
    }
}

/// A run of a comparison that is a link would make it overwrite another run.
#[test]
fn a_comparison_with_links_out_of_it_is_refused() {
    let small = Small::trained("a b c\n".repeat(20));
    let out = small.folder.path("compared");
    let (config, folder) = (text(&small.config), text(&out));
    let compare = ["compare", config, "--device", "cpu", "--out", folder];
    compare_two_rates(&compare);
    let record = std::fs::read(out.join("compare.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_slice(&record).expect("a record");
    let first = record["specs"][0]["folder"].as_str().expect("a folder");
    let kept = small.folder.path("kept");
    for name in [
        first,
        "compare.json",
        "compare.md",
        "compare.csv",
        "report.html",
        ".lock",
    ] {
        let place = out.join(name);
        std::fs::rename(&place, &kept).expect("an entry");
        symlink(&kept, &place).expect("a link");
        let before = small.folder.snapshot();
        let resume = [
            "compare", "--resume", "--device", "cpu", "--out", folder, "--steps", "4",
        ];
        failed(&wlstm(&resume), 3, &["it is a symbolic link"]);
        if name != ".lock" {
            failed(&wlstm(&["report", folder]), 3, &["it is a symbolic link"]);
        }
        assert!(
            before == small.folder.snapshot(),
            "{name}: files have changed"
        );
        std::fs::remove_file(&place).expect("a link");
        std::fs::rename(&kept, &place).expect("an entry");
    }
    let ended = wlstm(&[
        "compare", "--resume", "--device", "cpu", "--out", folder, "--steps", "4",
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// A configuration may come through a pipe, but not that of a received run.
#[test]
fn configurations_through_pipes() {
    let small = Small::trained("a b c\n".repeat(20));
    let own = small.run.join("config.toml");
    let config = std::fs::read(&own).expect("a configuration");
    let saved = checkpoint(&small.run, 4);
    for keep in ["run.json", "checkpoints"] {
        let received = small.folder.path("received");
        std::fs::create_dir_all(received.join("checkpoints")).expect("a folder");
        if keep == "run.json" {
            std::fs::copy(small.run.join("run.json"), received.join("run.json")).expect("a copy");
            std::fs::remove_dir(received.join("checkpoints")).expect("a folder");
        }
        let file = received.join("config.toml");
        fifo(&file);
        let file = text(&file);
        for arguments in [
            &["train", file, "--resume", "--out", text(&received)][..],
            &["train", file, "--device", "cpu"],
            &["plan", file],
            &["compare", file, "--steps", "2"],
            &["import", text(&saved), "--config", file, "--out", "x"],
            &["bench", "step", file],
        ] {
            failed(
                &in_time(arguments),
                2,
                &["config.toml", "not a regular file"],
            );
        }
        std::fs::remove_dir_all(&received).expect("a folder");
    }
    let new = small.folder.path("new");
    let mut command = assert_cmd::Command::from_std(program());
    command.args([
        "train",
        "/dev/stdin",
        "--out",
        text(&new),
        "--device",
        "cpu",
    ]);
    let ended: Ended = command
        .write_stdin(config.clone())
        .output()
        .expect("output")
        .into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let pipe = small.folder.path("config.toml");
    fifo(&pipe);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, config)
    });
    let ended = in_time(&["plan", text(&pipe)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    writer.join().expect("a thread").expect("a pipe");
}
