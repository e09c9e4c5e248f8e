//! `wlstm rescore` on text with structure, with the scores of a recogniser that ignores it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use predicates::prelude::*;
use wlstm::job::Trained;
use wlstm::job::rescore::{Hypothesis, Utterance};
use wlstm::train::score::MANY_LINES;

use super::tools::{Tiny, stdout};
use crate::common::program::Dice;

/// Each word has two frequent successors, so that a model of a few thousand parameters learns the text in a second.
const WORDS: [&str; 14] = [
    "red", "green", "blue", "old", "new", "cat", "dog", "bird", "sees", "hears", "likes", "a",
    "the", "one",
];

const CONFIG: &str = "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 16\nhidden = 32\nprojection = 16\n\
                      [softmax]\nkind = \"full\"\n[data]\norder = \"sentences\"\ntrain = [\"words.txt\"]\n\
                      [train]\nbatch = 8\nunroll = 8\nsteps = 300\nlearning_rate = 0.3\nema = 0\nvalidate_every = 0\ncheckpoint_every = 0\n";

fn sentence(dice: &mut Dice) -> Vec<&'static str> {
    let mut word = dice.below(WORDS.len());
    let mut sentence = vec![WORDS[word]];
    for _ in 0..4 + dice.below(6) {
        word = (5 * word + 1 + 4 * dice.below(2)) % WORDS.len();
        sentence.push(WORDS[word]);
    }
    sentence
}

/// A sentence with substituted, deleted and inserted words.
fn misheard(dice: &mut Dice, sentence: &[&'static str]) -> Vec<&'static str> {
    let mut heard = sentence.to_vec();
    for _ in 0..1 + dice.below(3) {
        let (at, word) = (dice.below(heard.len()), WORDS[dice.below(WORDS.len())]);
        match dice.below(3) {
            0 => heard[at] = word,
            1 => heard.insert(at, word),
            _ if heard.len() > 1 => drop(heard.remove(at)),
            _ => {}
        }
    }
    heard
}

/// Writes `NAME.tsv`, the hypotheses of some utterances, and `NAME.txt`, their references. The right hypothesis is among ten,
/// and its score is hardly better than those of the others. The scores are five times the natural logarithm, as those of a
/// recogniser that scales them.
fn task(tiny: &Tiny, name: &str, seed: u64, utterances: usize) {
    let mut dice = Dice(seed);
    let (mut nbest, mut references) = (String::new(), String::new());
    for number in 0..utterances {
        let reference = sentence(&mut dice);
        let right = dice.below(10);
        references += &format!("{name}-{number}\t{}\n", reference.join(" "));
        for k in 0..10 {
            let is_right = k == right;
            let text = if is_right {
                reference.clone()
            } else {
                misheard(&mut dice, &reference)
            };
            let score = 5.0 * (dice.within(2.0) + if is_right { 0.5 } else { 0.0 } - 60.0);
            nbest += &format!("{name}-{number}\t{score:.3}\t{}\n", text.join(" "));
        }
    }
    tiny.write(&format!("{name}.tsv"), nbest);
    tiny.write(&format!("{name}.txt"), references);
}

/// A trained model, and two such tasks.
fn trained() -> Tiny {
    let tiny = Tiny::new("sentences");
    let mut dice = Dice(1);
    let lines = (0..600).map(|_| sentence(&mut dice).join(" ") + "\n");
    tiny.write("words.txt", lines.collect::<String>());
    tiny.write("words.toml", CONFIG);
    let line = [
        "train",
        "words.toml",
        "--out",
        "run",
        "--device",
        "cpu",
        "-q",
    ];
    tiny.wlstm().args(line).assert().success();
    task(&tiny, "dev", 2, 60);
    task(&tiny, "test", 3, 60);
    tiny
}

fn rescore(tiny: &Tiny, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = tiny.wlstm();
    command.args(["rescore", "run"]).args(arguments);
    command.args(["--device", "cpu"]);
    command
}

/// A number of a summary: the text before the first space.
fn value(summary: &str, name: &str) -> f64 {
    let line = summary.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {summary}"));
    let number = line.trim_start_matches(':').trim();
    number.split(' ').next().unwrap().parse().unwrap()
}

/// The word error rate, by the definition of the edit distance.
fn word_error_rate(references: &str, rows: &str) -> f64 {
    let (mut errors, mut words) = (0, 0);
    for (reference, row) in references.lines().zip(rows.lines()) {
        let (id, reference) = reference.split_once('\t').unwrap();
        let columns: Vec<&str> = row.split('\t').collect();
        assert_eq!(columns[0], id);
        let [reference, found] =
            [reference, columns[4]].map(|text| text.split_whitespace().collect::<Vec<&str>>());
        errors += distance(&reference, &found);
        words += reference.len();
    }
    100.0 * errors as f64 / words as f64
}

fn distance(one: &[&str], other: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (k, x) in one.iter().enumerate() {
        let mut before = row.clone();
        before[0] = k + 1;
        for (j, y) in other.iter().enumerate() {
            let replaced = row[j] + usize::from(x != y);
            before[j + 1] = replaced.min(row[j + 1] + 1).min(before[j] + 1);
        }
        row = before;
    }
    row[other.len()]
}

#[test]
fn tuned_weights_lower_the_word_error_rate_of_other_utterances() {
    let tiny = trained();
    let tune = ["dev.tsv", "--tune", "dev.txt", "--summary", "-q"];
    let summary = stdout(&mut rescore(&tiny, &tune));
    let (before, after) = (value(&summary, "WER before"), value(&summary, "WER after"));
    let (weight, bonus) = (value(&summary, "lm-weight"), value(&summary, "word-bonus"));
    assert!(before > 15.0 && after < 0.5 * before, "{summary}");
    assert_eq!(value(&summary, "WER oracle"), 0.0, "{summary}");
    // The scale of the scores of the recogniser is five times that of the model.
    assert!((1.0..40.0).contains(&weight), "{summary}");
    assert_eq!(
        stdout(&mut rescore(&tiny, &tune)),
        summary,
        "the same twice"
    );
    // Without --summary, the rows are printed with the chosen weights, and the summary elsewhere.
    let rows = rescore(&tiny, &["dev.tsv", "--tune", "dev.txt", "--best"]);
    let mut rows = rows;
    let output = rows.assert().success().get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains(&summary), "{messages}");
    let (weight, bonus) = (weight.to_string(), bonus.to_string());
    let weights = ["--lm-weight", &weight, "--word-bonus", &bonus];
    let command = format!("wlstm rescore run NBEST {}", weights.join(" "));
    assert!(messages.contains(&command), "{messages}");
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.lines().count(), 60);
    let found = word_error_rate(
        &std::fs::read_to_string(tiny.path("dev.txt")).unwrap(),
        &rows,
    );
    assert!((found - after).abs() < 0.006, "{found} {summary}");

    // Other utterances, with the weights of these.
    let given = [&["test.tsv", "-q", "--best"][..], &weights].concat();
    let rows = stdout(&mut rescore(&tiny, &given));
    let given = [
        &["test.tsv", "-q", "--summary", "--references", "test.txt"][..],
        &weights,
    ]
    .concat();
    let summary = stdout(&mut rescore(&tiny, &given));
    let (before, after) = (value(&summary, "WER before"), value(&summary, "WER after"));
    assert!(after < 0.6 * before, "{summary}");
    let found = word_error_rate(
        &std::fs::read_to_string(tiny.path("test.txt")).unwrap(),
        &rows,
    );
    assert!((found - after).abs() < 0.006, "{found} {summary}");
}

#[test]
fn rows_are_weighted_sums_in_order() {
    let tiny = trained();
    let list = "u2\t-3\tthe cat\nu2\t-1.5\tcat the\nu2\t-3\tthe cat\nu2\t-9\t\nu1\t2e1\tzebra\n";
    let weights = ["--lm-weight", "0.5", "--word-bonus=-2"];
    let arguments = [&["-", "-q"][..], &weights].concat();
    let output = stdout(rescore(&tiny, &arguments).write_stdin(list));
    let rows: Vec<Vec<&str>> = output
        .lines()
        .map(|row| row.split('\t').collect())
        .collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(ids, ["u2", "u2", "u2", "u2", "u1"], "ids stay in order");
    let mut texts: Vec<(&str, &str)> = rows.iter().map(|row| (row[2], row[4])).collect();
    texts.sort_unstable();
    let same = [
        ("-1.5", "cat the"),
        ("-3", "the cat"),
        ("-3", "the cat"),
        ("-9", ""),
        ("20", "zebra"),
    ];
    assert_eq!(texts, same);
    let number = |text: &str| text.parse::<f64>().unwrap();
    for row in &rows {
        let scored = stdout(
            tiny.wlstm()
                .args(["score", "run", "--device", "cpu", "-q"])
                .write_stdin(format!("{}\n", row[4])),
        );
        let log_probability = number(scored.split('\t').next().unwrap());
        assert!(
            (log_probability - number(row[3])).abs() < 1e-4,
            "{row:?} {scored}"
        );
        let words = row[4].split_whitespace().count() as f64;
        let combined = number(row[2]) + 0.5 * number(row[3]) - 2.0 * words;
        assert!((combined - number(row[1])).abs() < 1e-5, "{row:?}");
    }
    assert!(
        rows[..4].is_sorted_by(|x, y| number(x[1]) >= number(y[1])),
        "{output}"
    );

    // The library gives the same results.
    let hypothesis = |text: &str, score| Hypothesis {
        text: text.to_owned(),
        score,
        ..Hypothesis::default()
    };
    let utterance = Utterance {
        id: "u2".to_owned(),
        hypotheses: vec![hypothesis("the cat", -3.0), hypothesis("cat the", -1.5)],
    };
    let mut found = Vec::new();
    let model = Trained::open(tiny.path("run")).unwrap().device("cpu");
    let each = |rescored: wlstm::job::rescore::Rescored| {
        found.extend(rescored.log_probabilities);
        Ok(true)
    };
    model.rescore([Ok(utterance)], each).unwrap();
    for (found, text) in found.iter().zip(["the cat", "cat the"]) {
        let row = rows.iter().find(|row| row[4] == text).unwrap();
        assert!((found - number(row[3])).abs() < 1e-4);
    }

    // The features of the format of Moses are kept.
    let list = "0 ||| the cat ||| LM0= -7 ||| -3\n0 ||| cat the ||| ||| -1.5\n";
    let arguments = [&["-", "-q", "--format", "moses"][..], &weights].concat();
    let output = stdout(rescore(&tiny, &arguments).write_stdin(list));
    let row = |text: &str| rows.iter().find(|row| row[4] == text).unwrap();
    for (text, features) in [("the cat", "LM0= -7 "), ("cat the", "")] {
        let (combined, log_probability) = (row(text)[1], row(text)[3]);
        let line = format!("0 ||| {text} ||| {features}wlstm= {log_probability} ||| {combined}\n");
        assert!(output.contains(&line), "{line}{output}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let tiny = trained();
    tiny.write("few.tsv", "a\t1\tcat\nb\t1\tcat\nb\t1\n");
    tiny.write("mixed.tsv", "a\t1\tcat\nb\t1\tcat\na\t1\tdog\n");
    tiny.write("number.tsv", "a\t?\tcat\n");
    tiny.write("bytes.tsv", b"a\t1\tc\xff\n");
    tiny.write("zipped.tsv", b"\x1f\x8b\x08\x00rest");
    tiny.write("nul.tsv", "a\t1\tcat\nb\t1\t\0\n");
    tiny.write("twice.txt", "a\tcat\na\tdog\n");
    tiny.write("other.txt", "z\tcat\n");
    tiny.write("good.tsv", "a\t1\tcat\n");
    for (arguments, code, says) in [
        (
            &["few.tsv"][..],
            3,
            "few.tsv:3: the line has 2 columns instead of 3",
        ),
        (
            &["mixed.tsv"],
            3,
            "mixed.tsv:3: the hypotheses of `a` are not in consecutive lines",
        ),
        (
            &["number.tsv"],
            3,
            "number.tsv:1: the score `?` is not a finite number",
        ),
        (&["bytes.tsv"], 3, "bytes.tsv:1: the line is not UTF-8"),
        (&["zipped.tsv"], 3, "gzip"),
        (&["nul.tsv"], 3, "NUL bytes"),
        (&["nowhere.tsv"], 3, "cannot read `nowhere.tsv`"),
        (
            &["good.tsv", "--format", "moses"],
            3,
            "good.tsv:1: the line has 1 fields instead of 4",
        ),
        (
            &["good.tsv", "--tune", "twice.txt"],
            3,
            "twice.txt:2: the id `a` has a second reference",
        ),
        (
            &["good.tsv", "--tune", "other.txt"],
            3,
            "`other.txt` has no reference for `a`",
        ),
        (&["good.tsv", "--summary"], 2, "--references"),
        (
            &["good.tsv", "--lm-weight", "nan"],
            2,
            "give a finite number",
        ),
        (
            &["good.tsv", "--tune", "other.txt", "--lm-weight", "1"],
            2,
            "cannot be used with",
        ),
    ] {
        let failed = rescore(&tiny, arguments).assert().code(code);
        failed.stderr(predicate::str::contains(says));
    }
    // The utterances before that of the error are printed.
    let output = rescore(&tiny, &["few.tsv"])
        .assert()
        .get_output()
        .stdout
        .clone();
    assert!(output.starts_with(b"a\t"), "{output:?}");
    assert!(!output.contains(&b'b'), "{output:?}");
    // An empty list is not an error.
    let empty = rescore(&tiny, &["-"]).write_stdin("\n").assert().success();
    empty
        .stdout("")
        .stderr(predicate::str::contains("no hypotheses"));
    tiny.write("empty.txt", "");
    let tuned = ["-", "--tune", "empty.txt", "--summary", "-q"];
    let summary = stdout(rescore(&tiny, &tuned).write_stdin(""));
    assert!(summary.contains("WER after:\t-\n"), "{summary}");
}

/// Utterances are printed while later ones are read, because the list is not read as a whole.
#[test]
fn utterances_are_printed_while_others_are_read() {
    let tiny = trained();
    let mut program = Command::new(env!("CARGO_BIN_EXE_wlstm"))
        .current_dir(tiny.path(""))
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(["rescore", "run", "-", "--device", "cpu", "-q", "--best"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let output = BufReader::new(program.stdout.take().unwrap());
    let (sender, rows) = channel();
    let reader = std::thread::spawn(move || {
        output
            .lines()
            .for_each(|row| sender.send(row.unwrap()).unwrap());
    });
    let count = 2 * MANY_LINES + 100;
    let line = |k: usize| format!("u{k}\t-1\tcat {}\n", WORDS[k % 14]);
    let list: String = (0..count).map(line).collect();
    input.write_all(list.as_bytes()).unwrap();
    input.flush().unwrap();
    for k in 0..2 * MANY_LINES {
        let row = rows.recv_timeout(Duration::from_secs(60));
        let row = row.expect("a row while the input is open");
        assert!(row.starts_with(&format!("u{k}\t")), "{row}");
    }
    drop(input);
    assert_eq!(rows.iter().count(), 100);
    reader.join().unwrap();
    assert!(program.wait().unwrap().success());
}
