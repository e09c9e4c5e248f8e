//! `wlstm vocab`.

use predicates::prelude::*;
use wlstm::checkpoint::Checkpoint;

use super::tools::{Tiny, stdout};

#[test]
fn a_vocabulary_is_counted_and_trains() {
    let tiny = Tiny::new("sentences");
    tiny.write("a.txt", "the cat sat\nthe cat\n\nthe dog\n");
    let line = ["vocab", "a.txt", "--out", "v.txt", "--min-count", "2"];
    let output = tiny.wlstm().args(line).assert().success();
    let output = output.stderr(predicate::str::contains("Wrote `v.txt`"));
    // Seven words and three sentence ends; `sat` and `dog` occur once.
    output.stdout("words 4\ntokens 10\ncoverage 80.0000 %\n");
    let written = std::fs::read_to_string(tiny.path("v.txt")).unwrap();
    assert_eq!(written, "<S> 3\nthe 3\n<UNK> 2\ncat 2\n");
    let again = tiny.wlstm().args(line).arg("--quiet").assert().success();
    again.stderr("");
    let sized = ["vocab", "train.txt", "--out", "v.txt", "--size", "9"];
    let output = tiny.wlstm().args(sized).assert().success();
    let output = output.stderr(predicate::str::contains("Replaced `v.txt`"));
    output.stdout(predicate::str::starts_with("words 9\n"));

    let written = std::fs::read(tiny.path("v.txt")).unwrap();
    let line = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--set",
        "data.vocab=v.txt",
        "--device",
        "cpu",
    ];
    tiny.wlstm().args(line).assert().success();
    let checkpoint = Checkpoint::open(&tiny.checkpoint()).unwrap();
    assert_eq!(checkpoint.tensor_u8("vocab").unwrap(), written);
    let plan = ["plan", "tiny.toml", "--set", "data.vocab=v.txt"];
    let plan = stdout(tiny.wlstm().args(plan));
    assert!(
        plan.contains("vocabulary: 9 words, from its file"),
        "{plan}"
    );
}

#[test]
fn contiguous_characters_have_their_own_words() {
    let tiny = Tiny::new("contiguous");
    tiny.write("a.txt", "ab a\n");
    let line = [
        "vocab",
        "a.txt",
        "--out",
        "v",
        "--order",
        "contiguous",
        "--tokens",
        "characters",
    ];
    tiny.wlstm().args(line).assert().success();
    let written = std::fs::read_to_string(tiny.path("v")).unwrap();
    assert_eq!(written, "a 2\n  1\n<eos> 1\nb 1\n<UNK> 0\n");
}

/// The proposed command with a new vocabulary works for any file name.
#[test]
fn the_proposed_command_works() {
    let tiny = Tiny::new("sentences");
    for name in ["words.txt", "123", "true"] {
        let line = [
            "vocab",
            "train.txt",
            "--out",
            name,
            "--order",
            "contiguous",
            "--tokens",
            "words",
        ];
        let made = tiny.wlstm().args(line).assert().success();
        let said = String::from_utf8(made.get_output().stderr.clone()).unwrap();
        let options = said
            .split("To train with it:\n    ")
            .nth(1)
            .expect("how to train");
        let options = options.lines().next().unwrap().split(' ');
        let mut train = tiny.wlstm();
        train
            .args(["train", "tiny.toml", "--steps", "1", "--device", "cpu"])
            .args(options);
        train.assert().success();
    }
}

#[test]
fn what_would_be_lost_or_useless_is_refused() {
    let tiny = Tiny::new("sentences");
    let before = std::fs::read(tiny.path("train.txt")).unwrap();
    for (options, code, says) in [
        (
            ["*.txt", "--out", "./train.txt", "--size=0"],
            2,
            "is a file of the corpus",
        ),
        (
            ["train.txt", "--out", "no/v.txt", "--size=0"],
            3,
            "there is no folder `no`",
        ),
        (
            ["train.txt", "--out", "v", "--min-count=9999"],
            3,
            "no word occurs 9999 times",
        ),
        (
            ["train.txt", "--out", "v", "--size=2"],
            2,
            "no room for words",
        ),
        (
            ["none.txt", "--out", "v", "--size=0"],
            3,
            "there is no file `none.txt`",
        ),
    ] {
        let failed = tiny.wlstm().arg("vocab").args(options).assert().code(code);
        let failed = failed.stdout("").stderr(predicate::str::contains(says));
        failed.stderr(predicate::str::contains("help: "));
    }
    assert_eq!(std::fs::read(tiny.path("train.txt")).unwrap(), before);
    assert!(!tiny.path("v").exists());
}
