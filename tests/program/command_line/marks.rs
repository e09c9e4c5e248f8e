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
            ("wide", " <eos>\u{a0}\n"),
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
            let summary = stdout(
                tiny.wlstm()
                    .args(["score", run, "valid.txt", "--summary"])
                    .args(CPU),
            );
            let vocab =
                stdout(
                    tiny.wlstm()
                        .args(["vocab", "train.txt", "--out", "v", "--order", order]),
                );
            found.push((eval, score, summary, vocab));
        }
        assert_eq!(found[0], found[1], "{order}");
        assert_eq!(found[0], found[2], "{order}");
        assert_eq!(found[0], found[3], "{order}");
        for line in [
            &["eval", "plain", "--data", "valid.txt"][..],
            &["score", "plain", "valid.txt"],
        ] {
            let done = tiny.wlstm().args(line).args(CPU).assert().success();
            done.stderr(predicate::str::contains(
                "the text has 9 `<eos>` at starts or ends of lines",
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
    eval("valid.txt").stderr(predicate::str::contains("also in the training text").not());
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

/// Text of short lines or of one line is compared too. The advice is one that the user can follow.
#[test]
fn text_without_long_lines_is_compared() {
    let tiny = Tiny::new("contiguous");
    let stderr = |line: &[&str]| {
        let command = tiny.wlstm().args(line).args(CPU).assert().success();
        String::from_utf8(command.get_output().stderr.clone()).unwrap()
    };
    let one_line = text(1, 400).replace('\n', " ") + "\n" + &text(5, 3);
    for (name, train) in [("short", text(1, 60)), ("long", one_line)] {
        tiny.write("train.txt", &train);
        tiny.write("valid.txt", &train);
        let line = ["train", "tiny.toml", "--steps", "2", "--out", name];
        let said = stderr(&line);
        assert!(
            said.contains("100.0 % of the validation text is also in the training text"),
            "{said}"
        );
        tiny.write("copy.txt", &train);
        let said = stderr(&["eval", name, "--data", "copy.txt"]);
        assert!(
            said.contains("100.0 % of the text is also in the training text"),
            "{said}"
        );
        assert!(
            said.contains("Comparing the text with the run's training text: `train.txt`."),
            "{said}"
        );
    }
    // The training text repeats itself.
    let long = text(1, 20).replace('\n', " and this makes the line long enough\n");
    tiny.write("train.txt", long.repeat(20));
    let line = [
        "train",
        "tiny.toml",
        "--steps",
        "2",
        "--out",
        "repeated",
        "--set",
        "data.valid=[]",
        "--set",
        "data.valid_share=0.1",
    ];
    let said = stderr(&line);
    assert!(
        said.contains("of the lines of the validation text are also"),
        "{said}"
    );
    assert!(said.contains("the text repeats itself"), "{said}");
    assert!(!said.contains("hold out text"), "{said}");
    assert!(stderr(&["eval", "repeated"]).contains("the text repeats itself"));
}

/// `eval` normalizes no more of the training text than it compares.
#[test]
fn the_training_text_is_compared_in_its_form() {
    let tiny = Tiny::new("contiguous");
    let long = |seed| text(seed, 60).replace('\n', " with an \u{e9}lan that is long enough\n");
    let decomposed = long(1).replace('\u{e9}', "e\u{301}");
    tiny.write("train.txt", decomposed);
    tiny.write("valid.txt", long(2));
    let nfc = ["--set", "data.normalization=nfc"];
    let line = ["train", "tiny.toml", "--steps", "2", "--out", "run"];
    tiny.wlstm()
        .args(line)
        .args(nfc)
        .args(CPU)
        .assert()
        .success();
    tiny.write("some.txt", &long(1)[..1500]);
    let line = ["eval", "run", "--data", "some.txt"];
    let done = tiny.wlstm().args(line).args(CPU).assert().success();
    done.stderr(predicate::str::contains(
        "of the lines of the text are also in the training text",
    ));
}

#[test]
fn marks_of_a_prompt_are_told() {
    let tiny = Tiny::trained("contiguous", &[]);
    let line = ["generate", "run", "--tokens", "2", "--prompt", "cat <eos>"];
    let done = tiny.wlstm().args(line).args(CPU).assert().success();
    done.stderr(predicate::str::contains(
        "the prompt has 1 `<eos>` at starts or ends of lines: they are ignored",
    ));
}

/// A tokenizer is not a vocabulary of words.
#[test]
fn a_tokenizer_is_named_as_such() {
    let tiny = Tiny::new("contiguous");
    let line = [
        "vocab",
        "train.txt",
        "--tokens",
        "bpe",
        "--size",
        "2000000000",
    ];
    let line = [&line[..], &["--out", "tokenizer.json"]].concat();
    tiny.wlstm().args(line).assert().success();
    let line = ["train", "tiny.toml", "--set", "data.vocab=tokenizer.json"];
    for tokens in ["words", "whitespace", "characters"] {
        let set = format!("data.tokens={tokens}");
        let mut command = tiny.wlstm();
        command.args(line).args(CPU).args(["--set", &set]);
        let done = command.assert().failure().code(3);
        let said = String::from_utf8(done.get_output().stderr.clone()).unwrap();
        assert!(said.contains("tokenizer.json` is a JSON file"), "{said}");
        assert!(said.contains("data.tokens = \"bpe\""), "{said}");
        assert!(said.len() < 1000, "{said}");
    }
}
