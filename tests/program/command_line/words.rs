//! `data.tokens = "words"` and `data.normalization`.

use predicates::prelude::*;
use wlstm::checkpoint::Checkpoint;

use super::tools::{Tiny, stdout};

const WORDS: [&str; 2] = ["--set", "data.tokens=words"];
const NFC: [&str; 2] = ["--set", "data.normalization=nfc"];

/// The arguments of a command line.
fn split(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Texts in composed and in decomposed form give the same model, the same scores and the same prompts.
#[test]
fn normalized_texts_are_the_same() {
    let tiny = Tiny::new("contiguous");
    let composed =
        "Élan vital, à la carte: naïve café – l’été.\nWell-known 3.14 가나다.\n".repeat(20);
    let decomposed = composed
        .replace('É', "E\u{301}")
        .replace('é', "e\u{301}")
        .replace('à', "a\u{300}")
        .replace('ï', "i\u{308}")
        .replace('가', "\u{1100}\u{1161}");
    let mut found = Vec::new();
    for (name, text) in [("composed", &composed), ("decomposed", &decomposed)] {
        tiny.write("train.txt", text);
        tiny.write("valid.txt", text);
        let line = ["train", "tiny.toml", "--device", "cpu", "--out", name];
        let trained = tiny.wlstm().args(line).args(WORDS).args(NFC).assert();
        trained.success();
        let command = |line: &[&str]| stdout(tiny.wlstm().args(line).args(["--device", "cpu"]));
        tiny.write("line.txt", text.lines().next().unwrap());
        let score = command(&["score", name, "line.txt", "--words"]);
        assert!(score.contains("\tnaïve\n"), "{score}");
        let eval = command(&["eval", name, "--data", "train.txt"]);
        assert!(eval.contains("out-of-vocabulary 0\n"), "{eval}");
        let prompt = split("generate composed --tokens 5 --prompt");
        let generated = command(&[&prompt[..], &[text.lines().next().unwrap()]].concat());
        // The bytes are those of the normalized text.
        let summary = command(&["score", name, "line.txt", "--summary"]);
        found.push((
            score,
            summary,
            eval,
            generated.chars().rev().take(12).collect::<String>(),
        ));
    }
    assert_eq!(found[0], found[1]);
    let line = split("vocab train.txt --out v --order contiguous --tokens words");
    tiny.wlstm().args(line).assert().success();
    let line = split("train tiny.toml --device cpu --set data.vocab=v");
    let refused = tiny
        .wlstm()
        .args(line)
        .args(WORDS)
        .args(NFC)
        .assert()
        .code(3);
    refused.stderr(predicate::str::contains(
        "is not in the form of `data.normalization",
    ));
    let line =
        split("vocab train.txt --out v --order contiguous --tokens words --normalization nfc");
    let made = tiny.wlstm().args(line).assert().success();
    made.stderr(predicate::str::contains("--set data.normalization=nfc"));
    let line = split("train tiny.toml --device cpu --set data.vocab=v");
    tiny.wlstm()
        .args(line)
        .args(WORDS)
        .args(NFC)
        .assert()
        .success();
    // A run cannot be resumed with another form.
    let line = split("train tiny.toml --device cpu --out composed --resume");
    let refused = tiny.wlstm().args(line).args(WORDS).assert().code(2);
    refused.stderr(predicate::str::contains("`data.normalization` was \"nfc\""));
}

/// Models and vocabularies of words by another rule are refused, and the error says what to do.
#[test]
fn words_of_another_rule_are_refused() {
    let tiny = Tiny::trained("sentences", &WORDS);
    let path = tiny.checkpoint();
    let mut bytes = std::fs::read(&path).unwrap();
    let rule = b"\"words\":\"uax29\"";
    let at = bytes
        .windows(rule.len())
        .position(|part| part == rule)
        .unwrap();
    bytes[at + 1] = b'x';
    std::fs::write(&path, bytes).unwrap();
    let cpu = ["--device", "cpu"];
    for line in [
        &["eval", "run"][..],
        &["score", "run", "train.txt"],
        &["generate", "run"],
        &split("train tiny.toml --out run --resume --set data.tokens=words --steps 30"),
        &["export", "run", "--out", "x"],
    ] {
        let device = if line[0] == "export" { &[][..] } else { &cpu };
        let refused = tiny.wlstm().args(line).args(device).assert().code(3);
        let refused = refused.stderr(predicate::str::contains("another version of `data.tokens"));
        refused.stderr(predicate::str::contains("help: train the model again"));
    }
    tiny.write("v", "<S> 3\n日本語 2\n<UNK> 1\n");
    let line = split("train tiny.toml --device cpu --set data.vocab=v");
    let refused = tiny.wlstm().args(line).args(WORDS).assert().code(3);
    let refused = refused.stderr(predicate::str::contains(
        "v:2: the vocabulary is of an earlier version",
    ));
    refused.stderr(predicate::str::contains(
        "help: rebuild it with `wlstm vocab",
    ));
}

/// The tokenizer is in the checkpoint, so the model can be used, and its run resumed, without the file.
#[test]
fn subwords_need_no_file() {
    let tiny = Tiny::new("contiguous");
    let bpe = split("--set data.tokens=bpe --set data.vocab=t.json --set softmax.kind=full");
    let cpu = ["--device", "cpu"];
    let line = split("vocab train.txt --tokens bpe --size 280");
    let made = tiny.wlstm().args(line).args(["--out", "t.json"]).assert();
    made.success()
        .stdout(predicate::str::starts_with("words 280\n"));
    let train = |out: &str, more: &[&str]| {
        let line = ["train", "tiny.toml", "--out", out];
        let command = tiny
            .wlstm()
            .args(line)
            .args(&bpe)
            .args(cpu)
            .args(more)
            .assert();
        command.success();
    };
    train("whole", &["--steps", "20"]);
    train("run", &["--steps", "12"]);
    train("run", &["--steps", "20", "--resume"]);
    let last = |run: &str| {
        let path = tiny.path(run).join("checkpoints/step-00000020.safetensors");
        Checkpoint::open(&path).unwrap()
    };
    let (resumed, whole) = (last("run"), last("whole"));
    assert_eq!(resumed.names(), whole.names());
    for name in whole.names() {
        if name == "vocab" {
            assert_eq!(
                resumed.tensor_u8(&name).unwrap(),
                whole.tensor_u8(&name).unwrap()
            );
        } else {
            assert_eq!(
                resumed.tensor_f32(&name).unwrap().1,
                whole.tensor_f32(&name).unwrap().1,
                "{name}"
            );
        }
    }
    for name in ["t.json", "train.txt"] {
        std::fs::rename(tiny.path(name), tiny.path("gone")).unwrap();
    }
    let command = |line: &[&str]| stdout(tiny.wlstm().args(line));
    let eval = command(&["eval", "run", "--data", "test.txt", "--device", "cpu"]);
    assert!(eval.contains("out-of-vocabulary 0\n"), "{eval}");
    let score = command(&["score", "run", "test.txt", "--words", "--device", "cpu"]);
    assert!(score.contains("\t0\tĠt\n"), "{score}");
    let prompt = "日本 caf\u{e9}";
    let generate = [
        "generate", "run", "--tokens", "9", "--device", "cpu", "--prompt", prompt,
    ];
    assert!(command(&generate).starts_with(prompt));
    command(&split("export run --out own.safetensors --format native"));
    let same = command(&split("eval own.safetensors --data test.txt --device cpu"));
    assert_eq!(same, eval);
    command(&["vocab", "run", "--out", "again.json"]);
    let json = std::fs::read_to_string(tiny.path("again.json")).unwrap();
    assert!(json.starts_with("{\"version\""), "{json}");
    // Another tokenizer is refused.
    let line = split("vocab valid.txt --tokens bpe --size 270 --out t.json");
    tiny.wlstm().args(line).assert().success();
    std::fs::copy(tiny.path("valid.txt"), tiny.path("train.txt")).unwrap();
    let line = split("train tiny.toml --out run --resume --steps 30");
    let refused = tiny
        .wlstm()
        .args(line)
        .args(&bpe)
        .args(cpu)
        .assert()
        .code(3);
    refused.stderr(predicate::str::contains(
        "does not have the words of the run",
    ));
}
