//! Machines without memory, and without threads.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Small, failed};
use crate::common::program::{Ended, program, text};

/// Runs the program with a limit on memory in KiB.
fn with_memory(kib: u64, arguments: &[&str]) -> Ended {
    let program = program();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v $0; exec \"$@\"", &kib.to_string()]);
    shell.arg(program.get_program()).args(arguments);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("RAYON_NUM_THREADS", "8");
    shell.output().expect("a shell").into()
}

#[test]
fn without_memory_there_is_one_error() {
    let small = Small::trained("a b c d e f\n".repeat(200));
    let (config, run) = (text(&small.config), text(&small.run));
    let mut refused = 0;
    // From the minimum for loading the program to more than enough.
    for step in 4..24 {
        let kib = 20_000 * (1 << (step / 4)) + 5_000 * (1 << (step / 4)) * (step % 4);
        let out = small.folder.path(&format!("out{step}"));
        for arguments in [
            vec!["train", config, "--device", "cpu", "--out", text(&out)],
            vec!["score", run, config, "--device", "cpu"],
        ] {
            let ended = with_memory(kib, &arguments);
            assert!(
                !ended.stderr.contains("panicked"),
                "{kib} KiB: {}",
                ended.stderr
            );
            match ended.code {
                // The system could not load the program.
                Some(127) if ended.stderr.contains("shared librar") => {}
                Some(0) => {}
                // The C library ends the process if it cannot allocate the memory of a new thread.
                None if ended.stderr.contains("Fatal glibc error") => {}
                _ => {
                    // The C library can print an error in another thread at the same time.
                    let is_ours = |line: &&str| !line.starts_with("Fatal glibc error");
                    let lines: Vec<&str> = ended.stderr.lines().filter(is_ours).collect();
                    let stderr = lines.join("\n");
                    failed(&Ended { stderr, ..ended }, 4, &["help: "]);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0, "every run had enough memory");
}

/// Runs the program as a user with a limit of one process, which leaves no further threads.
fn without_threads(arguments: &[&str]) -> Ended {
    let program = program();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    // The limit does not apply to root.
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
            "prlimit",
            "--nproc=1:1",
        ]);
        command
    } else {
        let mut command = Command::new("prlimit");
        command.arg("--nproc=1:1");
        command
    };
    command
        .arg(program.get_program())
        .args(arguments)
        .env("WLSTM_CACHE", "");
    command.env_remove("RUST_LOG");
    command.output().expect("prlimit of util-linux").into()
}

#[test]
fn without_threads_there_is_one_error() {
    let small = Small::trained("a b c d e f\n".repeat(20));
    let root = small.config.parent().expect("a folder");
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
            .expect("permissions");
    };
    for path in [root, &small.run, &small.run.join("checkpoints")] {
        open(path);
    }
    let (config, run, out) = (
        text(&small.config),
        text(&small.run),
        small.folder.path("out"),
    );
    for arguments in [
        vec!["train", config, "--device", "cpu", "--out", text(&out)],
        vec!["score", run, config, "--device", "cpu"],
        vec!["eval", run, "--data", config, "--device", "cpu"],
        vec!["generate", run, "--device", "cpu"],
        vec!["vocab", config, "--out", text(&out)],
        vec![
            "compare",
            config,
            "--set",
            "train.batch=1,2",
            "--steps",
            "2",
            "--device",
            "cpu",
            "--out",
            text(&out),
        ],
    ] {
        let ended = without_threads(&arguments);
        failed(&ended, 4, &["cannot start a thread", "help: "]);
        assert!(
            !out.exists() || std::fs::read_dir(&out).is_ok_and(|mut left| left.next().is_none())
        );
    }
}

#[test]
fn too_many_threads_are_capped() {
    let small = Small::new("a b c d e f\n".repeat(20));
    let mut command = program();
    command.env("RAYON_NUM_THREADS", "5000").args([
        "train",
        text(&small.config),
        "--device",
        "cpu",
        "--out",
        text(&small.run),
    ]);
    let ended: Ended = command.output().expect("the program").into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("RAYON_NUM_THREADS is 5000: using"),
        "{}",
        ended.stderr
    );
}
