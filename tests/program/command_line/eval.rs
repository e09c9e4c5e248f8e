//! `wlstm eval`.

use predicates::prelude::*;
use serde_json::Value;

use super::tools::{Tiny, json, metrics, stdout, text};

#[test]
fn numbers_are_those_of_the_validation_during_training() {
    for order in ["sentences", "contiguous"] {
        let tiny = Tiny::trained(order, &[]);
        let valid = metrics(&tiny.path("run"), "valid").pop().unwrap();
        // As many as `train.batch`.
        let line = ["eval", "run", "--device", "cpu", "--streams", "3"];
        let found = json(tiny.wlstm().args(line).arg("--json"));
        assert_eq!(found["targets"], valid["targets"]);
        assert_eq!(found["perplexity"], valid["perplexity"]);
        let nll = valid["nll"].as_f64().unwrap();
        assert_eq!(found["log_likelihood"].as_f64().unwrap(), -nll);
        let unigram = valid["unigram"].as_f64().unwrap();
        assert_eq!(found["unigram"].as_f64().unwrap(), unigram);

        // Every line has words. In contiguous order the first word is not predicted.
        let file = std::fs::read_to_string(tiny.path("valid.txt")).unwrap();
        let given = match order {
            "contiguous" => file.find([' ', '\n']).unwrap(),
            _ => 0,
        };
        let bytes = file.len() - given;
        let bits = nll / std::f64::consts::LN_2 / bytes as f64;
        assert_eq!(found["bytes"], bytes);
        assert_eq!(valid["bytes"], bytes);
        let close = |value: &Value| (value.as_f64().unwrap() / bits - 1.0).abs() < 1e-12;
        assert!(close(&found["bits_per_byte"]) && close(&valid["bits_per_byte"]));
        assert_eq!(found["bits_per_byte_is_lower_bound"], false);
        assert_eq!(found["streams"], 3);

        let text = tiny.wlstm().args(line).assert().success();
        let text = text.stderr(predicate::str::contains("validation text"));
        let perplexity = valid["perplexity"].as_f64().unwrap();
        let targets = &valid["targets"];
        text.stdout(format!(
            "perplexity {perplexity:.4}\ntargets {targets}\nout-of-vocabulary 0\nlog-likelihood {:.4}\nunigram {unigram:.4}\n\
             bits-per-byte {bits:.4}\nbytes {bytes}\nstreams 3\n",
            -nll
        ));
    }
}

/// The default is one stream, whatever the batch of the run.
#[test]
fn one_stream_is_the_default() {
    let tiny = Tiny::trained("contiguous", &["--set", "train.batch=40"]);
    let line = ["eval", "run", "--device", "cpu", "--json", "-q"];
    let with = |streams: &[&str]| json(tiny.wlstm().args(line).args(streams));
    let one = with(&[]);
    assert_eq!(one["streams"], 1);
    assert_eq!(one, with(&["--streams", "1"]));
    let many = with(&["--streams", "40"]);
    let valid = metrics(&tiny.path("run"), "valid");
    let best = valid
        .iter()
        .map(|valid| valid["perplexity"].as_f64().unwrap());
    let best = best.min_by(f64::total_cmp).unwrap();
    assert_eq!(many["perplexity"], best);
    for member in ["targets", "bytes", "out_of_vocabulary"] {
        assert_eq!(one[member], many[member], "{member}");
    }
    let perplexity = |found: &Value| found["perplexity"].as_f64().unwrap();
    assert_ne!(perplexity(&one), perplexity(&many));
    // More streams than targets.
    let targets = one["targets"].as_u64().unwrap();
    let most = with(&["--streams", "65536"]);
    assert_eq!(most["targets"], targets);
    assert_ne!(perplexity(&most), perplexity(&many));
}

/// The bytes of a sample are those of the targets in it.
#[test]
fn a_sample_has_its_own_bytes() {
    for order in ["sentences", "contiguous"] {
        let tiny = Tiny::trained(order, &[]);
        // Three lines with short words, then one with much white space.
        let short = "the cat sat and cat\n".repeat(3);
        let text = (short + "the                 cat\n").repeat(100);
        tiny.write("valid.txt", &text);
        let line = [
            "eval",
            "run",
            "--data",
            "valid.txt",
            "--device",
            "cpu",
            "--json",
            "--targets",
            "400",
        ];
        let found = json(tiny.wlstm().args(line));
        let (nll, bytes) = (
            -found["log_likelihood"].as_f64().unwrap(),
            found["bytes"].as_u64().unwrap(),
        );
        assert_eq!(found["targets"], 400);
        let all = text.len() as f64;
        let share = 400.0 / (300.0 * 6.0 + 100.0 * 3.0);
        let ratio = bytes as f64 / (all * share);
        // Whole sentences or windows are chosen, from either part of the text.
        assert!(
            (0.7..1.3).contains(&ratio),
            "{order}: {bytes} of {all}: {ratio}"
        );
        let bits = nll / std::f64::consts::LN_2 / bytes as f64;
        let said = found["bits_per_byte"].as_f64().unwrap();
        assert!((said / bits - 1.0).abs() < 1e-12, "{said} {bits}");
    }
}

#[test]
fn the_test_text_is_preferred_to_the_validation_text() {
    let tiny = Tiny::trained("sentences", &["--set", "data.test=[\"test.txt\"]"]);
    let default = ["eval", "run", "--device", "cpu", "-q"];
    let expected = stdout(tiny.wlstm().args(default));
    tiny.wlstm().args(default).assert().stderr("");
    // A checkpoint gives the same result as its run. Paths are relative to the working directory, and may be patterns.
    let checkpoint = tiny.checkpoint();
    for data in ["test.txt", "te*.txt"] {
        let line = ["--data", data, "--device", "cpu", "--quiet"];
        let found = stdout(tiny.wlstm().arg("eval").arg(&checkpoint).args(line));
        assert_eq!(found, expected);
    }
    let valid = ["--data", "valid.txt"];
    let other = stdout(tiny.wlstm().args(default).args(valid));
    assert_ne!(other, expected);
    let both = ["--data", "valid.txt", "--data", "test.txt", "--json"];
    let both = json(tiny.wlstm().args(default).args(both));
    let targets = |text: &str| -> u64 {
        let line = text.lines().nth(1).unwrap();
        line.strip_prefix("targets ").unwrap().parse().unwrap()
    };
    assert_eq!(both["targets"], targets(&expected) + targets(&other));
    assert_eq!(both["data"].as_array().unwrap().len(), 2);
}

#[test]
fn unknown_words_are_counted() {
    let tiny = Tiny::trained("sentences", &[]);
    tiny.write("new.txt", "the zebra sat\nzebras\n");
    let line = [
        "eval", "run", "--data", "new.txt", "--device", "cpu", "--json",
    ];
    let found = json(tiny.wlstm().args(line));
    assert_eq!(
        (&found["targets"], &found["out_of_vocabulary"]),
        (&6.into(), &2.into())
    );
    assert_eq!(found["bits_per_byte_is_lower_bound"], true);
    let line = ["eval", "run", "--data", "new.txt", "--device", "cpu"];
    let said = stdout(tiny.wlstm().args(line));
    assert!(said.contains("\nbits-per-byte at-least "), "{said}");
}

#[test]
fn the_end_of_the_training_text_can_be_held_out() {
    let tiny = Tiny::new("sentences");
    let lines = text(11, 100);
    let (mut train, mut valid) = (String::new(), String::new());
    let mut bytes = 0;
    for line in lines.split_inclusive('\n') {
        // The line in which the last fifth begins is trained on.
        let part = if bytes * 5 < lines.len() * 4 {
            &mut train
        } else {
            &mut valid
        };
        *part += line;
        bytes += line.len();
    }
    tiny.write("all.txt", &lines);
    tiny.write("begin.txt", train);
    tiny.write("end.txt", valid);
    let training = |out: &str, sets: &[&str]| {
        let mut command = tiny.wlstm();
        command.args(["train", "tiny.toml", "--out", out, "--device", "cpu"]);
        for set in sets {
            command.args(["--set", set]);
        }
        command.assert().success();
        metrics(&tiny.path(out), "valid").pop().unwrap()
    };
    let share = [
        "data.train=all.txt",
        "data.valid=[]",
        "data.valid_share=0.2",
    ];
    let shared = training("shared", &share);
    let apart = training("apart", &["data.train=begin.txt", "data.valid=end.txt"]);
    assert_eq!(shared["nll"], apart["nll"]);
    assert_eq!(shared["targets"], apart["targets"]);
    // The run remembers its validation text, and resumes with it.
    let found = json(
        tiny.wlstm()
            .args(["eval", "shared", "--device", "cpu", "--json"]),
    );
    assert_eq!(found["targets"], shared["targets"]);
    let line = ["eval", "shared", "--device", "cpu"];
    let part = tiny.wlstm().args(line).assert().success();
    part.stderr(predicate::str::contains("the last 20.0 % of `"));
    let mut known = tiny.wlstm();
    known
        .args(line)
        .args(["--data", "test.txt", "--data", "all.txt"]);
    let known = known.assert().success();
    known.stderr(predicate::str::contains("was trained on `all.txt`"));
    let resume = [
        "train",
        "shared/config.toml",
        "--resume",
        "--out",
        "shared",
        "--device",
        "cpu",
    ];
    tiny.wlstm()
        .args(resume)
        .args(["--steps", "25"])
        .assert()
        .success();
    let mut other = tiny.wlstm();
    other
        .args(resume)
        .args(["--steps", "30", "--set", "data.valid_share=0.3"]);
    other.assert().code(2);
    // A single line cannot be split. An invalid byte is reported with its line in the file.
    tiny.write("line.txt", "one line and no more\n");
    let mut one = tiny.wlstm();
    one.args(["train", "tiny.toml", "--set", "data.train=line.txt"]);
    one.args(["--set", "data.valid=[]", "--set", "data.valid_share=0.5"]);
    let refused = one.assert().code(3);
    refused.stderr(predicate::str::contains(
        "leaves no line for the validation text",
    ));
    let mut bytes = lines.clone().into_bytes();
    let last = bytes.len() - 3;
    bytes[last] = 0xff;
    tiny.write("bad.txt", bytes);
    let mut bad = tiny.wlstm();
    bad.args(["train", "tiny.toml", "--set", "data.train=bad.txt"]);
    bad.args(["--set", "data.valid=[]", "--set", "data.valid_share=0.2"]);
    let line = lines.lines().count();
    bad.assert()
        .code(3)
        .stderr(predicate::str::contains(format!("bad.txt:{line}:")));
}
