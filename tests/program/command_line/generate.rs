//! `wlstm generate`.

use predicates::prelude::*;

use super::tools::{Tiny, json, stdout};

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
    // The most likely words do not depend on the seed.
    let greedy = |seed| generate(&["--tokens", "12", "--temperature", "0", "--seed", seed]);
    assert_eq!(greedy("1"), greedy("2"));
    assert_eq!(greedy("1"), generate(&["--tokens", "12", "--top-k", "1"]));
}

#[test]
fn the_prompt_is_unchanged() {
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
    // From standard input without its last line end.
    let mut piped = tiny.wlstm();
    piped.args(line).arg("-").write_stdin("two\nlines\n");
    assert_eq!(stdout(&mut piped), "two\nlines\n");
    let mut bytes = tiny.wlstm();
    bytes.args(line).arg("-").write_stdin(b"\xff".as_slice());
    bytes.assert().code(3);
    let mut long = tiny.wlstm();
    long.args(line).arg("-").write_stdin("aé".repeat(1 << 19));
    long.assert().code(2);
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

#[test]
fn samples_differ_and_do_not_depend_on_their_number() {
    let tiny = Tiny::trained("contiguous", &[]);
    let line = [
        "generate", "run", "--device", "cpu", "-q", "--tokens", "25", "--prompt", "the", "--seed",
        "4",
    ];
    let one = stdout(tiny.wlstm().args(line));
    let texts = |count: &str| -> Vec<String> {
        let all = stdout(tiny.wlstm().args(line).args(["--samples", count]));
        all.split("---\n").map(str::to_owned).collect()
    };
    let three = texts("3");
    assert_eq!(three.len(), 3);
    assert_eq!(three[0], one);
    assert_ne!(three[1], three[2]);
    // More than are generated in parallel.
    let many = texts("35");
    assert_eq!(many.len(), 35);
    assert_eq!(many[..3], three);

    let found = json(tiny.wlstm().args(line).args(["--samples", "2", "--json"]));
    let samples = found["samples"].as_array().unwrap();
    for (sample, text) in samples.iter().zip(&three) {
        assert_eq!(sample["text"].as_str().unwrap().trim_end(), text.trim_end());
        assert_eq!(sample["tokens"], 25);
        assert!(sample["log_probability"].as_f64().unwrap() < 0.0);
    }
}

#[test]
fn the_log_probability_of_a_sample_is_that_of_its_words() {
    // One line of sentences. Its end mark is scored too.
    let tiny = Tiny::trained("sentences", &[]);
    let generate = |seed: u32, tokens: u32| {
        let (seed, tokens) = (seed.to_string(), tokens.to_string());
        let line = ["generate", "run", "--device", "cpu", "--json", "--seed"];
        json(tiny.wlstm().args(line).args([&seed, "--tokens", &tokens]))["samples"][0].clone()
    };
    let tries = (1..40).flat_map(|seed| (2..7).map(move |tokens| (seed, tokens)));
    let mut found = tries.map(|(seed, tokens)| generate(seed, tokens));
    let is_line = |sample: &serde_json::Value| {
        let text = sample["text"].as_str().unwrap();
        // Punctuation is joined to the word before it, and would then be a different word.
        text.find('\n') == Some(text.len() - 1) && !text.contains([',', '.'])
    };
    let sample = found.find(is_line).expect("some line ends");
    let mut score = tiny.wlstm();
    score.args(["score", "run", "--device", "cpu", "-q"]);
    let scored = stdout(score.write_stdin(sample["text"].as_str().unwrap()));
    let scored: f64 = scored.split('\t').next().unwrap().parse().unwrap();
    let made = sample["log_probability"].as_f64().unwrap();
    assert!((scored - made).abs() < 1e-4, "{scored} {made}");
}

#[test]
fn a_small_nucleus_is_the_most_likely_word() {
    let tiny = Tiny::trained("contiguous", &[]);
    let line = ["generate", "run", "--device", "cpu", "--tokens", "12"];
    let greedy = stdout(tiny.wlstm().args(line).args(["--temperature", "0"]));
    let nucleus = stdout(tiny.wlstm().args(line).args(["--top-p", "0.0001"]));
    assert_eq!(greedy, nucleus);
    for wrong in [["--top-p", "0"], ["--top-p", "1.1"], ["--samples", "0"]] {
        tiny.wlstm().args(line).args(wrong).assert().code(2);
    }
}
