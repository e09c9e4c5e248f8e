//! Files that killed and failed processes leave, and outputs to links and pipes.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::program::{
    Dice, Ended, Folder, checkpoint, checkpoints, lines_of, losses, program, text, train, training,
    wlstm,
};

/// The first line of a resolved configuration.
const WRITTEN: &str = "# The resolved configuration of a run, written by wlstm.\n";

/// A text and a configuration to train on it.
fn model() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e", "f"];
    folder.write("train.txt", Dice(1).text(400, 9, &words));
    folder.write("valid.txt", Dice(2).text(30, 9, &words));
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 16\nhidden = 16\nprojection = 8\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
         [train]\nbatch = 4\nunroll = 5\nema = 0.0\nsteps = 8\nvalidate_every = 0\ncheckpoint_every = 2\n",
    );
    (folder, config)
}

/// Writes the files of a run that was killed before its first step.
fn leave(folder: &Folder, run: &str) {
    folder.write(&format!("{run}/.lock"), "");
    folder.write(&format!("{run}/config.toml"), WRITTEN);
    folder.write(&format!("{run}/metrics.jsonl"), "");
    folder.write(&format!("{run}/checkpoints/.wlstm-partial-abc"), "half");
    folder.write(&format!("{run}/.wlstm-partial-def"), "half");
}

fn no_partial_files(folder: &Path) {
    for path in crate::common::folder::snapshot(folder).keys() {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(!name.starts_with(".wlstm-partial-"), "{}", path.display());
    }
}

#[test]
fn a_folder_of_a_killed_start_is_used_again() {
    let (folder, config) = model();
    for more in [&[][..], &["--resume"]] {
        let run = folder.path(&format!("run-{}", more.len()));
        leave(&folder, &format!("run-{}", more.len()));
        let ended = train(&config, &run, "cpu", more);
        let says = ended.stderr.contains("There is no checkpoint in");
        assert_eq!(says, !more.is_empty(), "{}", ended.stderr);
        assert_eq!(losses(&run).len(), 8);
        assert_eq!(lines_of(&run, "start").len(), 1);
        no_partial_files(&run);
    }
    // A run that was killed before its first checkpoint starts from the beginning, and reports that.
    let run = folder.path("run-0");
    std::fs::remove_dir_all(run.join("checkpoints")).unwrap();
    let record = std::fs::read_to_string(run.join("run.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    (record["last"], record["best"]) = (serde_json::Value::Null, serde_json::Value::Null);
    record["status"] = "running".into();
    std::fs::write(run.join("run.json"), record.to_string()).unwrap();
    let before = folder.snapshot();
    let refused = wlstm(&training(&config, &run, "cpu", &[]));
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("--resume"), "{}", refused.stderr);
    assert!(folder.snapshot() == before);
    let ended = train(&config, &run, "cpu", &["--resume"]);
    assert!(
        ended.stderr.contains("starts from the beginning"),
        "{}",
        ended.stderr
    );
    assert_eq!(losses(&run).len(), 8);
}

#[test]
fn factorizations_and_comparisons_are_not_stuck() {
    let (folder, config) = model();
    let run = folder.path("run");
    train(&config, &run, "cpu", &[]);
    leave(&folder, "factors");
    let out = folder.path("factors");
    let line = ["factorize", text(&run), "--factor", "4", "--device", "cpu"];
    let ended = wlstm(&[&line[..], &["--out", text(&out)]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(checkpoints(&out), [0]);
    no_partial_files(&out);
    // Killed before `compare.json`, then before the record of its second model.
    folder.write("compared/.lock", "");
    folder.write("compared/.wlstm-partial-abc", "half");
    let compared = folder.path("compared");
    let compare = |more: &[&str]| {
        let line = ["compare", "--out", text(&compared), "--device", "cpu"];
        wlstm(&[&line[..], more].concat())
    };
    let variants = [text(&config), "--variants", "lstmp,flstm:factor=4"];
    let ended = compare(&[&variants[..], &["--steps", "4"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    no_partial_files(&compared);
    let second = compared.join("flstm-factor-4");
    let second = if second.exists() {
        second
    } else {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(&compared)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() && !path.ends_with("lstmp"))
            .collect();
        folders.pop().expect("the second model")
    };
    std::fs::remove_dir_all(&second).unwrap();
    std::fs::create_dir_all(second.join("checkpoints")).unwrap();
    for name in [
        ".lock",
        "config.toml",
        "metrics.jsonl",
        "checkpoints/.wlstm-partial-x",
    ] {
        std::fs::write(second.join(name), "").unwrap();
    }
    let ended = compare(&["--resume"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(losses(&second).len(), 4);
    no_partial_files(&compared);
    // Another file in the folder is not touched.
    folder.write("other/thesis.txt", "words");
    let other = folder.path("other");
    let line = ["compare", "--out", text(&other), "--device", "cpu"];
    let ended = wlstm(&[&line[..], &variants].concat());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(other.join("thesis.txt").exists());
}

#[test]
fn a_single_damaged_checkpoint_has_none_before_it() {
    let (folder, config) = model();
    let run = folder.path("run");
    let keep = ["--set", "train.keep=1", "--set", "data.valid=[]"];
    train(&config, &run, "cpu", &keep);
    while checkpoints(&run).len() > 1 {
        std::fs::remove_file(checkpoint(&run, checkpoints(&run)[0])).unwrap();
    }
    let newest = checkpoint(&run, 8);
    std::fs::write(&newest, &std::fs::read(&newest).unwrap()[..100]).unwrap();
    let more = [&keep[..], &["--resume", "--steps", "9"]].concat();
    let ended = wlstm(&training(&config, &run, "cpu", &more));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(!ended.stderr.contains("before it"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no other checkpoint"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_gap_in_the_metrics_is_said_and_old_checkpoints_are_pruned() {
    let (folder, config) = model();
    let run = folder.path("run");
    train(&config, &run, "cpu", &["--set", "train.keep=9"]);
    assert_eq!(checkpoints(&run), [2, 4, 6, 8]);
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let kept: String = metrics.split_inclusive('\n').take(4).collect();
    std::fs::write(run.join("metrics.jsonl"), kept).unwrap();
    let more = ["--resume", "--steps", "8", "--set", "train.keep=1"];
    let ended = train(&config, &run, "cpu", &more);
    assert!(
        ended.stderr.contains("has no lines for steps 4 to 8"),
        "{}",
        ended.stderr
    );
    let left = checkpoints(&run);
    assert!(left.len() < 4 && left.contains(&8), "{left:?}");
    let whole = train(&config, &folder.path("whole"), "cpu", &[]);
    assert!(!whole.stderr.contains("has no lines"), "{}", whole.stderr);
}

/// The perplexity of a diverging run grows until it is not finite. Plots must handle any numbers.
#[test]
fn a_diverging_run_ends() {
    let (folder, config) = model();
    let run = folder.path("run");
    let sets = [
        "learning_rate=3.45",
        "validate_every=1",
        "checkpoint_every=0",
    ];
    let sets = sets.map(|set| format!("train.{set}"));
    let mut more = vec!["--steps", "120"];
    sets.iter().for_each(|set| more.extend(["--set", set]));
    let ended = wlstm(&training(&config, &run, "cpu", &more));
    assert!(matches!(ended.code, Some(0 | 5)), "{}", ended.stderr);
    for (k, perplexity) in [
        "1e290", "3e295", "1e298", "1.7e308", "0", "-1", "null", "5e-324",
    ]
    .into_iter()
    .enumerate()
    {
        let path = run.join("metrics.jsonl");
        let mut lines = std::fs::read_to_string(&path).unwrap();
        let step = 200 + k;
        lines += &format!(
            "{{\"kind\":\"valid\",\"step\":{step},\"nll\":1,\"targets\":1,\"perplexity\":{perplexity},\"seconds\":{perplexity}}}\n"
        );
        std::fs::write(&path, lines).unwrap();
        let ended = wlstm(&["report", text(&run), "--no-samples"]);
        assert_eq!(ended.code, Some(0), "{perplexity}: {}", ended.stderr);
    }
}

#[test]
fn outputs_go_to_standard_output_links_and_pipes() {
    let (folder, config) = model();
    let run = folder.path("run");
    train(&config, &run, "cpu", &[]);
    let corpus = folder.path("train.txt");
    let commands: [&[&str]; 5] = [
        &["vocab", text(&corpus)],
        &["report", text(&run), "--no-samples"],
        &["export", text(&run), "--format", "native"],
        &["export", text(&run), "--format", "pytorch"],
        &["export", text(&run), "--format", "onnx"],
    ];
    let to_stdout = folder.path("stdout");
    symlink("/dev/stdout", &to_stdout).unwrap();
    for (k, command) in commands.into_iter().enumerate() {
        let run_to = |out: &Path| {
            let output = program().args(command).arg("--out").arg(out).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success(),
                "{command:?} {}: {said}",
                out.display()
            );
            output.stdout
        };
        let file = folder.path(&format!("file-{k}"));
        run_to(&file);
        let expected = std::fs::read(&file).unwrap();
        assert!(!expected.is_empty());
        for out in [Path::new("-"), Path::new("/dev/stdout"), &to_stdout] {
            assert!(run_to(out) == expected, "{command:?} to {}", out.display());
        }
        assert!(to_stdout.is_symlink());
        // A link is kept, a pipe is written to, and the partial file of a killed command is removed.
        let (target, link) = (
            folder.path(&format!("target-{k}")),
            folder.path(&format!("link-{k}")),
        );
        symlink(&target, &link).unwrap();
        let partial = folder.write(".wlstm-partial-abc", "half");
        run_to(&link);
        assert!(link.is_symlink() && std::fs::read(&target).unwrap() == expected);
        assert!(!partial.exists());
        let pipe = folder.path(&format!("pipe-{k}"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::process::Command::new("cat")
            .arg(&pipe)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        run_to(&pipe);
        assert!(reader.wait_with_output().unwrap().stdout == expected);
        // A folder is refused before any work.
        let ended = program()
            .args(command)
            .arg("--out")
            .arg(folder.path(""))
            .output();
        let ended = Ended::from(ended.unwrap());
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("it is a folder"), "{}", ended.stderr);
    }
}
