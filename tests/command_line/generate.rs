//! `wlstm generate`.

use predicates::prelude::*;

use crate::tools::{Tiny, stdout};

#[test]
fn the_same_seed_gives_the_same_text() {
    let tiny = Tiny::trained("contiguous", &[]);
    let generate = |options: &[&str]| {
        let line = ["generate", "run", "--device", "cpu", "--quiet"];
        stdout(tiny.wlstm().args(line).args(options))
    };
    let prompt = ["--prompt", "the cat", "--tokens", "40"];
    let text = generate(&prompt);
    assert!(text.starts_with("the cat"), "{text}");
    assert!(text.ends_with('\n') && text.len() > 60, "{text}");
    assert_eq!(text, generate(&prompt));
    assert_ne!(
        text,
        generate(&["--prompt", "the cat", "--tokens", "40", "--seed", "2"])
    );
    // The likeliest words need no seed.
    let greedy = |seed| generate(&["--tokens", "12", "--temperature", "0", "--seed", seed]);
    assert_eq!(greedy("1"), greedy("2"));
    assert_eq!(greedy("1"), generate(&["--tokens", "12", "--top-k", "1"]));
}

#[test]
fn the_prompt_stands_as_it_was_given() {
    let tiny = Tiny::trained("sentences", &[]);
    let line = [
        "generate", "run", "--device", "cpu", "--tokens", "0", "--prompt",
    ];
    for prompt in ["", "the  cat", "two\nlines\n", "ends in a space "] {
        let expected = if prompt.ends_with('\n') {
            prompt.to_owned()
        } else {
            format!("{prompt}\n")
        };
        assert_eq!(stdout(tiny.wlstm().args(line).arg(prompt)), expected);
    }
    let output = tiny.wlstm().args(line).arg("the zebra").assert().success();
    output.stderr(predicate::str::contains(
        "Not in the vocabulary, and read as unknown words: `zebra`.",
    ));
    // One space before the next word, whether or not the prompt has it.
    let next = |prompt: &str| {
        let line = [
            "generate", "run", "--device", "cpu", "--tokens", "9", "--prompt", prompt,
        ];
        stdout(tiny.wlstm().args(line))
    };
    assert_eq!(
        next("the cat "),
        next("the cat")
            .replacen("the cat.", "the cat .", 1)
            .replacen("the cat,", "the cat ,", 1)
    );
}

#[test]
fn characters_are_joined_as_they_are() {
    let tiny = Tiny::trained("contiguous", &["--set", "data.tokens=characters"]);
    let line = [
        "generate", "run", "--device", "cpu", "--tokens", "30", "--prompt", "the c",
    ];
    let text = stdout(tiny.wlstm().args(line));
    assert!(text.starts_with("the c"));
    let made = text.strip_suffix('\n').unwrap().chars().count();
    assert!([34, 35].contains(&made), "{text:?}");
}
