//! Literal marks in texts, and text for validation that is also in the training text.

use predicates::prelude::*;

use super::tools::{Tiny, stdout, text};

const CPU: [&str; 2] = ["--device", "cpu"];

/// `<eos>` at the end of every line changes no target: model and perplexity are the same. A warning states the number of marks.
#[test]
fn marks_at_line_ends_are_no_targets() {
    for order in ["contiguous", "sentences"] {
        let tiny = Tiny::new(order);
        let mut found = Vec::new();
        for (run, end) in [
            ("plain", "\n"),
            ("marked", " <eos>\n"),
            ("other", " </s> \n"),
        ] {
            tiny.write("train.txt", text(1, 60).replace('\n', end));
            tiny.write("valid.txt", text(2, 9).replace('\n', end));
            let line = ["train", "tiny.toml", "--out", run];
            let trained = tiny.wlstm().args(line).args(CPU).assert().success();
            let says = predicate::str::contains("the training text has 60 `");
            let trained = match run {
                "plain" => trained.stderr(says.not()),
                _ => trained.stderr(says),
            };
            drop(trained);
            let eval = stdout(
                tiny.wlstm()
                    .args(["eval", run, "--data", "valid.txt"])
                    .args(CPU),
            );
            let score = stdout(
                tiny.wlstm()
                    .args(["score", run, "valid.txt", "--words"])
                    .args(CPU),
            );
            let vocab =
                stdout(
                    tiny.wlstm()
                        .args(["vocab", "train.txt", "--out", "v", "--order", order]),
                );
            found.push((eval, score, vocab));
        }
        assert_eq!(found[0], found[1], "{order}");
        assert_eq!(found[0], found[2], "{order}");
        for line in [
            &["eval", "plain", "--data", "valid.txt"][..],
            &["score", "plain", "valid.txt"],
        ] {
            let done = tiny.wlstm().args(line).args(CPU).assert().success();
            done.stderr(predicate::str::contains(
                "the text has 9 `</s>` at starts or ends of lines",
            ));
        }
    }
}

#[test]
fn unknown_words_in_another_form_are_told() {
    let tiny = Tiny::new("contiguous");
    let unknown = text(1, 60).replace("cat", "<unk>").replace("dog", "[UNK]");
    tiny.write("train.txt", &unknown);
    let count = unknown.matches("[UNK]").count();
    let says = format!(
        "the training text has {count} `[UNK]`, but the unknown word of the vocabulary is `<unk>`"
    );
    let line = ["train", "tiny.toml", "--out", "run"];
    let trained = tiny.wlstm().args(line).args(CPU).assert().success();
    trained.stderr(predicate::str::contains(says));
    let done = tiny
        .wlstm()
        .args(["vocab", "train.txt", "--out", "v", "--tokens", "words"])
        .assert();
    done.stderr(predicate::str::contains("splits into several tokens"));
}

/// Training, comparisons and evaluations warn about text that is also in the training text, with its share.
#[test]
fn text_of_the_training_text_is_told() {
    let tiny = Tiny::new("contiguous");
    let long =
        |seed, lines| text(seed, lines).replace('\n', " and this makes the line long enough\n");
    tiny.write("train.txt", long(1, 200));
    tiny.write("half.txt", long(1, 20) + &long(9, 20));
    tiny.write("valid.txt", long(7, 40));
    let of = |what: &str| format!("of the lines of the {what} are also in the training text");
    let train = |sets: &[&str]| {
        let line = ["train", "tiny.toml", "--steps", "2"];
        let command = tiny
            .wlstm()
            .args(line)
            .args(CPU)
            .args(sets)
            .assert()
            .success();
        String::from_utf8(command.get_output().stderr.clone()).unwrap()
    };
    let plain = train(&["--out", "run"]);
    assert!(!plain.contains("are also in the training text"), "{plain}");
    let same = train(&["--set", "data.valid=[\"*.txt\"]"]);
    assert!(same.contains(&of("validation text")), "{same}");
    let half = train(&["--set", "data.test=half.txt"]);
    assert!(
        half.contains(&format!("50.0 % {}", of("test text"))),
        "{half}"
    );
    let eval = |data: &str| {
        tiny.wlstm()
            .args(["eval", "run", "--data", data])
            .args(CPU)
            .assert()
    };
    eval("half.txt").stderr(predicate::str::contains(of("text")));
    eval("valid.txt").stderr(predicate::str::contains("training text").not());
    let line = [
        "compare",
        "tiny.toml",
        "--set",
        "model.hidden=8,16",
        "--steps",
        "2",
        "--set",
        "data.valid=half.txt",
    ];
    let compared = tiny.wlstm().args(line).args(CPU).assert().success();
    compared.stderr(predicate::str::contains(of("validation text")));
}
