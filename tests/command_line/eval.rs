//! `wlstm eval`.

use predicates::prelude::*;

use crate::tools::{Tiny, json, metrics, stdout};

#[test]
fn numbers_are_those_of_the_validation_during_training() {
    for order in ["sentences", "contiguous"] {
        let tiny = Tiny::trained(order, &[]);
        let valid = metrics(&tiny.path("run"), "valid").pop().unwrap();
        let line = ["eval", "run", "--device", "cpu"];
        let found = json(tiny.wlstm().args(line).arg("--json"));
        assert_eq!(found["targets"], valid["targets"]);
        assert_eq!(found["perplexity"], valid["perplexity"]);
        let nll = valid["nll"].as_f64().unwrap();
        assert_eq!(found["log_likelihood"].as_f64().unwrap(), -nll);

        let text = tiny.wlstm().args(line).assert().success();
        let text = text.stderr(predicate::str::contains("validation text"));
        let perplexity = valid["perplexity"].as_f64().unwrap();
        let targets = &valid["targets"];
        text.stdout(format!(
            "perplexity {perplexity:.4}\ntargets {targets}\nout-of-vocabulary 0\nlog-likelihood {:.4}\n",
            -nll
        ));
    }
}

#[test]
fn the_test_text_goes_before_the_validation_text() {
    let tiny = Tiny::trained("sentences", &["--set", "data.test=[\"test.txt\"]"]);
    let default = ["eval", "run", "--device", "cpu", "-q"];
    let expected = stdout(tiny.wlstm().args(default));
    tiny.wlstm().args(default).assert().stderr("");
    // A checkpoint says the same as its run; paths are relative to the working directory, and may be patterns.
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
}
