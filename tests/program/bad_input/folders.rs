//! Checkpoints and run folders that cannot be used.

use std::path::PathBuf;

use crate::common::folder::snapshot;
use crate::common::program::{checkpoint, checkpoints, train, training, wlstm};

use super::case::{Case, DATA, USAGE, explained, unchanged, write_parameters};

#[test]
fn checkpoints_that_cannot_be_resumed() {
    let changed = |contents: &dyn Fn(Vec<u8>) -> Vec<u8>| {
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
        changed(&cut).refused(&more, DATA, &[name]);
    }
    changed(&|_| b"Not a checkpoint, but some other text.".to_vec()).refused(&more, DATA, &[name]);
    // A file of parameters only.
    let foreign = Case::new();
    let file = std::fs::read(write_parameters(&foreign, |_| {})).expect("the file");
    changed(&|_| file.clone()).refused(&more, DATA, &[name]);
    // No folder, and a folder without a run.
    let case = Case::new();
    case.refused(&more, DATA, &["run"]);
    std::fs::create_dir(&case.run).expect("a folder");
    case.refused(&more, DATA, &["run"]);
    // A run without its checkpoints does not start again on top of its metrics.
    let case = changed(&|bytes| bytes);
    for step in checkpoints(&case.run) {
        std::fs::remove_file(checkpoint(&case.run, step)).expect("a file that can be removed");
    }
    case.refused(&more, DATA, &["no checkpoint"]);
    // A vocabulary with other words, or with another number of words.
    let case = changed(&|bytes| bytes).write("words.txt", "<S> 9\nb 8\na 7\nc 6\nd 5\n<UNK> 4\n");
    case.refused(&more, DATA, &["words.txt", "words of the run"]);
    let case = changed(&|bytes| bytes);
    let fewer = [&more[..], &["--set", "data.vocab_size=6"]].concat();
    case.refused(&fewer, USAGE, &["`data.vocab_size` was 0 and is 6"]);
    // The error names the keys that were added or removed, and no others.
    let case = changed(&|bytes| bytes);
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
    // The configuration of a run that was killed before its first checkpoint must be the same too.
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
    // A text that differs from that of the run, with another length or the same.
    let text = std::fs::read(case.folder.path("train.txt")).expect("the training text");
    let mut other = text.clone();
    other.reverse();
    for (text, says) in [(text.repeat(2), "bytes"), (other, "not the same text")] {
        let case = changed(&|bytes| bytes).write("train.txt", text);
        let before = snapshot(&case.run.join("checkpoints"));
        explained(
            &wlstm(&training(&case.config, &case.run, "cpu", &more)),
            DATA,
            &[says, "restore the original text", "--init"],
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
    // Even root cannot write here.
    refused_at("/proc/run".into(), &["/proc/run"]);
    let mut case = Case::new();
    case.run = case.folder.path("train.txt");
    case.refused(&[], DATA, &["train.txt"]);
    case.run = case.folder.path("train.txt/run");
    case.refused(&[], DATA, &["train.txt/run"]);
    // A folder that contains a run, and one that contains something else.
    case.run = case.folder.path("run");
    train(&case.config, &case.run, "cpu", &[]);
    case.refused(&[], DATA, &["contains a run", "--resume"]);
    // If the best checkpoint is missing, the last one is used, with a warning.
    let best = case.run.join("run.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&best).expect("a record")).expect("JSON");
    record["best"] =
        serde_json::json!({"checkpoint": "checkpoints/gone", "step": 3, "perplexity": 2.0});
    std::fs::write(&best, record.to_string()).expect("a file");
    let run = case.run.to_str().expect("a Unicode path");
    let ended = wlstm(&["eval", run, "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for says in ["checkpoints/gone", "does not exist", "step-00000006"] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let case = Case::new().write("run/notes.txt", "keep me");
    case.refused(&[], DATA, &["not empty"]);
}
