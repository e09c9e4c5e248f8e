//! Files of the user in and around run folders: none is replaced or removed.

use std::path::{Path, PathBuf};

use crate::common::program::{Dice, Ended, Folder, checkpoint, program, text, train, wlstm};

const CONFIG: &str = "# My notes.\n[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 8\nhidden = 16\nprojection = 8\n[softmax]\nkind = \"full\"\n\
    [data]\ntrain = [\"../text.txt\"]\n[train]\nbatch = 2\nunroll = 3\nsteps = 4\ncheckpoint_every = 2\n";

/// A text, and a folder of experiments with a configuration and a run.
fn experiments() -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::new();
    folder.write("text.txt", Dice(1).text(100, 6, &["a", "b", "c", "d"]));
    let config = folder.write("mine/small.toml", CONFIG);
    let run = folder.path("run");
    train(&config, &run, "cpu", &[]);
    (folder, config, run)
}

/// Runs a command in the folder. It must succeed.
#[track_caller]
fn succeeds(folder: &Folder, arguments: &[&str]) {
    let mut command = program();
    let command = command.args(arguments).current_dir(folder.path("."));
    let ended: Ended = command.output().expect("the program").into();
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
}

/// Checks that a command is refused and changes no file.
#[track_caller]
fn refused(folder: &Folder, arguments: &[&str], says: &str) -> Ended {
    let before = folder.snapshot();
    let output = program()
        .args(arguments)
        .current_dir(folder.path("."))
        .output();
    let ended: Ended = output.expect("the program").into();
    assert!(
        matches!(ended.code, Some(2 | 3)) && ended.stderr.contains(says),
        "{arguments:?}: {:?} {}",
        ended.code,
        ended.stderr
    );
    assert!(before == folder.snapshot(), "{arguments:?}: a file changed");
    ended
}

#[test]
fn a_new_run_replaces_no_file_of_the_user() {
    let (folder, config, run) = experiments();
    let (config, run) = (text(&config), text(&run));
    for (name, content) in [
        ("config.toml", CONFIG),
        ("report.html", "<!DOCTYPE html>\nMy page."),
        ("metrics.jsonl", "mine"),
        ("run.json", "{\"mine\": 1}"),
        (".lock", "mine"),
    ] {
        folder.write(&format!("other/{name}"), content);
        let out = ["--out", "other"];
        for command in [
            &["train", config, "--device", "cpu"][..],
            &["factorize", run, "--factor", "4"],
            &[
                "import",
                text(&checkpoint(Path::new(run), 4)),
                "--config",
                config,
            ],
            &["compare", config, "--device", "cpu"],
        ] {
            refused(&folder, &[command, &out].concat(), "other");
        }
        std::fs::remove_dir_all(folder.path("other")).expect("a folder");
    }
    // The configuration of the run itself.
    folder.write("mine/config.toml", CONFIG);
    std::fs::remove_file(config).expect("a file");
    let own = [
        "train",
        "mine/config.toml",
        "--out",
        "mine",
        "--device",
        "cpu",
    ];
    let ended = refused(&folder, &own, "not empty");
    assert!(
        ended.stderr.contains("it contains `mine/config.toml`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_refused_run_leaves_the_folders_as_they_were() {
    let (folder, config, _) = experiments();
    let train = [
        "train",
        text(&config),
        "--device",
        "cpu",
        "--set",
        "train.batch=200000",
    ];
    refused(&folder, &train, "train.batch");
    assert!(!folder.path("runs").exists());
    let deep = folder.path("deep/er/run");
    refused(
        &folder,
        &[&train[..], &["--out", text(&deep)]].concat(),
        "train.batch",
    );
    assert!(!folder.path("deep").exists());
    // What a killed run has left stays until a run begins.
    folder.write("left/.lock", "");
    folder.write("left/metrics.jsonl", "");
    folder.write("left/checkpoints/.wlstm-partial-abc", "half");
    refused(
        &folder,
        &[&train[..], &["--out", "left"]].concat(),
        "train.batch",
    );
    let ended = wlstm(&[
        "train",
        text(&config),
        "--device",
        "cpu",
        "--out",
        text(&folder.path("left")),
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The record names the best checkpoint and the name of the run. Both can be found again.
#[test]
fn a_run_without_its_record_resumes() {
    let (folder, config, run) = experiments();
    let record = run.join("run.json");
    let before = std::fs::read(&record).expect("a record");
    std::fs::remove_file(&record).expect("a file");
    let (config, place) = (text(&config), text(&run));
    let new = ["train", config, "--out", place, "--device", "cpu"];
    refused(&folder, &new, "--resume");
    refused(&folder, &["report", place], "wlstm train --resume");
    let data = text(&folder.path("text.txt")).to_owned();
    let eval = ["eval", place, "--data", &data, "--device", "cpu"];
    for arguments in [
        &eval[..],
        &[&new[..], &["--resume", "--steps", "6"]].concat(),
    ] {
        let ended = wlstm(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    }
    assert!(record.exists() && checkpoint(&run, 6).exists());
    // The newest run of a configuration.
    succeeds(&folder, &["train", config, "--device", "cpu"]);
    std::fs::remove_file(folder.path("runs/small/run.json")).expect("a file");
    succeeds(
        &folder,
        &[
            "train", config, "--device", "cpu", "--resume", "--steps", "5",
        ],
    );
    assert!(
        folder
            .path("runs/small/checkpoints/step-00000005.safetensors")
            .exists()
    );
    // The record of a run that is still there does not change by this.
    assert_ne!(before, std::fs::read(&record).expect("a record"));
}

#[test]
fn outputs_replace_no_file_of_a_run() {
    let (folder, config, run) = experiments();
    let line = [
        "compare",
        text(&config),
        "--out",
        "compared",
        "--device",
        "cpu",
    ];
    succeeds(&folder, &line);
    train(&config, &folder.path("other"), "cpu", &[]);
    let run = text(&run);
    #[cfg(unix)]
    std::os::unix::fs::symlink("other/run.json", folder.path("link")).expect("a link");
    let names = [
        "other/run.json",
        "other/config.toml",
        "other/metrics.jsonl",
        "other/.lock",
        "other/checkpoints/step-00000002.safetensors",
        "other/checkpoints/step-00000009.safetensors",
        "compared/compare.json",
        "compared/compare.csv",
        "compared/compare.md",
        "compared/small/run.json",
        #[cfg(unix)]
        "link",
    ];
    for name in names {
        for command in [
            &["export", run][..],
            &["export", run, "--format", "onnx"],
            &["vocab", "text.txt"],
            &["vocab", run],
            &["report", run, "--no-samples"],
        ] {
            refused(
                &folder,
                &[command, &["--out", name]].concat(),
                "would be replaced",
            );
        }
    }
    for name in ["other/report.html", "compared/report.html"] {
        refused(
            &folder,
            &["export", run, "--out", name],
            "would be replaced",
        );
        succeeds(&folder, &["report", run, "--no-samples", "--out", name]);
    }
    // Other names, and the same names in other folders.
    for name in ["other/words.txt", "mine/run.json", "checkpoints"] {
        succeeds(&folder, &["vocab", run, "--out", name]);
    }
}

#[test]
fn a_gap_in_the_middle_of_the_metrics_is_said() {
    let (folder, config, run) = experiments();
    let more = ["--resume", "--steps", "40"];
    let whole = train(&config, &run, "cpu", &more);
    assert!(!whole.stderr.contains("has no lines"), "{}", whole.stderr);
    let path = run.join("metrics.jsonl");
    let lines = std::fs::read_to_string(&path).expect("metrics");
    let is_kept = |line: &&str| {
        let cut = 15..=30;
        !cut.clone()
            .any(|step| line.contains(&format!("\"step\":{step},")))
    };
    let kept: String = lines.split_inclusive('\n').filter(is_kept).collect();
    folder.write("run/metrics.jsonl", kept);
    let ended = train(&config, &run, "cpu", &["--resume", "--steps", "42"]);
    assert!(
        ended.stderr.contains("has no lines for steps 15 to 30"),
        "{}",
        ended.stderr
    );
}
