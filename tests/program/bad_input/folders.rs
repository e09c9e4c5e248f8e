//! Checkpoints and run folders that cannot be used.

use std::path::PathBuf;

use crate::common::program::{checkpoint, checkpoints, snapshot, train, training, wlstm};

use super::case::{Case, DATA, USAGE, explained, unchanged, write_parameters};

#[test]
fn checkpoints_that_cannot_be_resumed() {
    let spoil = |contents: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let case = Case::new();
        train(&case.config, &case.run, "cpu", &[]);
        let newest = checkpoint(&case.run, 6);
        let bytes = std::fs::read(&newest).expect("a checkpoint");
        std::fs::write(&newest, contents(bytes)).expect("a file");
        case
    };
    let more = ["--resume", "--steps", "9"];
    let name = "step-00000006.safetensors";
    for part in [0.0, 0.01, 0.3, 0.9, 0.9999] {
        let cut = |bytes: Vec<u8>| bytes[..(bytes.len() as f64 * part) as usize].to_vec();
        spoil(&cut).refused(&more, DATA, &[name]);
    }
    spoil(&|_| b"Not a checkpoint, but some other text.".to_vec()).refused(&more, DATA, &[name]);
    // Parameters without a run.
    let foreign = Case::new();
    let file = std::fs::read(write_parameters(&foreign, |_| {})).expect("the file");
    spoil(&|_| file.clone()).refused(&more, DATA, &[name]);
    // A folder without a run, and none.
    let case = Case::new();
    case.refused(&more, DATA, &["run"]);
    std::fs::create_dir(&case.run).expect("a folder");
    case.refused(&more, DATA, &["run"]);
    // A run that has lost its checkpoints: it does not begin again over its metrics.
    let case = spoil(&|bytes| bytes);
    for step in checkpoints(&case.run) {
        std::fs::remove_file(checkpoint(&case.run, step)).expect("a file that can be removed");
    }
    case.refused(&more, DATA, &["no checkpoint"]);
    // Other words, or another number of them.
    let case = spoil(&|bytes| bytes).write("words.txt", "<S> 9\nb 8\na 7\nc 6\nd 5\n<UNK> 4\n");
    case.refused(&more, DATA, &["words.txt", "words of the run"]);
    let case = spoil(&|bytes| bytes);
    let fewer = [&more[..], &["--set", "data.vocab_size=6"]].concat();
    case.refused(&fewer, USAGE, &["`data.vocab_size` was 0 and is 6"]);
    // Keys that come and go are told by name, and no other key is named.
    let case = spoil(&|bytes| bytes);
    let other = [&more[..], &["--set", "model.cell=lstmp"]].concat();
    let ended = wlstm(&training(&case.config, &case.run, "cpu", &other));
    let run = case.run.to_str().expect("a Unicode path");
    explained(
        &ended,
        USAGE,
        &[
            run,
            "`model.cell` was \"glstm\" and is \"lstmp\"; `model.groups` was 2\n",
        ],
    );
    // A run that was killed before its first checkpoint is no other run either.
    let case = Case::new();
    train(&case.config, &case.run, "cpu", &[]);
    std::fs::remove_dir_all(case.run.join("checkpoints")).expect("a folder that can be removed");
    let record = std::fs::read_to_string(case.run.join("run.json")).expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    record["last"] = serde_json::Value::Null;
    std::fs::write(case.run.join("run.json"), record.to_string()).expect("a file");
    let other = [&more[..], &["--seed", "9"]].concat();
    let ended = wlstm(&training(&case.config, &case.run, "cpu", &other));
    explained(&ended, USAGE, &["`train.seed` was 1 and is 9"]);
    // Another text than that of the run: longer, and of the same length.
    let text = std::fs::read(case.folder.path("train.txt")).expect("the training text");
    let mut other = text.clone();
    other.reverse();
    for (text, says) in [(text.repeat(2), "bytes"), (other, "not the same text")] {
        let case = spoil(&|bytes| bytes).write("train.txt", text);
        let before = snapshot(&case.run.join("checkpoints"));
        explained(
            &wlstm(&training(&case.config, &case.run, "cpu", &more)),
            DATA,
            &[says, "put it back as it was", "--init"],
        );
        unchanged(&before, &snapshot(&case.run.join("checkpoints")));
    }
}

#[test]
fn run_folders() {
    let refused_at = |run: PathBuf, says: &[&str]| {
        let mut case = Case::new();
        case.run = run;
        case.refused(&[], DATA, says);
    };
    // Nobody can write here, not even the superuser.
    refused_at("/proc/run".into(), &["/proc/run"]);
    let mut case = Case::new();
    case.run = case.folder.path("train.txt");
    case.refused(&[], DATA, &["train.txt"]);
    case.run = case.folder.path("train.txt/run");
    case.refused(&[], DATA, &["train.txt/run"]);
    // A run, and a folder with something else in it.
    case.run = case.folder.path("run");
    train(&case.config, &case.run, "cpu", &[]);
    case.refused(&[], DATA, &["holds a run", "--resume"]);
    // Its best checkpoint is gone: another one is not taken in silence.
    let best = case.run.join("run.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&best).expect("a record")).expect("JSON");
    record["best"] =
        serde_json::json!({"checkpoint": "checkpoints/gone", "step": 3, "perplexity": 2.0});
    std::fs::write(&best, record.to_string()).expect("a file");
    let run = case.run.to_str().expect("a Unicode path");
    let ended = wlstm(&["eval", run, "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for says in ["checkpoints/gone", "is gone", "step-00000006"] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let case = Case::new().write("run/notes.txt", "keep me");
    case.refused(&[], DATA, &["not empty"]);
}
