//! The automatic number of validations and of their targets, and the perplexity of the unigram model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::program::{
    Dice, Folder, checkpoint, lines_of, number, text, train, training, wlstm,
};

/// A small model, and a validation text that is too long to be evaluated often.
pub fn model(more: &str) -> (Folder, PathBuf) {
    let folder = Folder::new();
    let words: Vec<String> = (0..120).map(|k| format!("w{k}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    folder.write("train.txt", Dice(1).text(4_000, 20, &words));
    folder.write("valid.txt", Dice(2).text(2_500, 20, &words[..80]));
    let config = folder.write(
        "model.toml",
        format!(
            "[model]\ncell = \"lstmp\"\nembedding = 8\nhidden = 16\nprojection = 8\n[softmax]\nkind = \"full\"\n\
             [data]\norder = \"contiguous\"\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
             [train]\nbatch = 8\nunroll = 20\nema = 0.0\n{more}\n"
        ),
    );
    (folder, config)
}

/// The words of a text with the line ends, as contiguous order has them.
fn tokens(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a text");
    let line = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.into_iter().chain(["<eos>".to_owned()])
    };
    text.lines()
        .flat_map(|words| line(words).collect::<Vec<_>>())
        .collect()
}

/// The perplexity of a unigram model with one added to each count, by its definition.
fn unigram(train: &[String], valid: &[String]) -> f64 {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    train
        .iter()
        .for_each(|word| *counts.entry(word).or_default() += 1.0);
    // The unknown word is part of the vocabulary.
    let all = train.len() as f64 + counts.len() as f64 + 1.0;
    let loss = |word: &String| -((counts[word.as_str()] + 1.0) / all).ln();
    let targets = &valid[1..];
    (targets.iter().map(loss).sum::<f64>() / targets.len() as f64).exp()
}

pub fn close(x: f64, y: f64) -> bool {
    (x - y).abs() <= 1e-9 * y.abs()
}

#[test]
fn a_run_has_twelve_validations_on_a_part_of_the_text_and_a_last_one_on_all() {
    let (folder, config) = model("steps = 60");
    let run = folder.path("run");
    let ended = train(&config, &run, "cpu", &[]);
    let (words, valid) = (
        tokens(&folder.path("train.txt")),
        tokens(&folder.path("valid.txt")),
    );
    let all = valid.len() as f64 - 1.0;

    let lines = lines_of(&run, "valid");
    let (whole, parts): (Vec<&Value>, Vec<&Value>) = lines
        .iter()
        .partition(|line| number(line, "targets") == all);
    let steps: Vec<u64> = parts
        .iter()
        .map(|line| number(line, "step") as u64)
        .collect();
    assert_eq!(steps, (1..=12).map(|k| 5 * k).collect::<Vec<_>>());
    let targets = number(parts[0], "targets");
    assert!((5000.0..all).contains(&targets), "{targets} of {all}");
    assert!(parts.iter().all(|line| number(line, "targets") == targets));
    assert!(
        !whole.is_empty() && number(whole[0], "step") == 60.0,
        "{whole:?}"
    );

    // The results of the run are those on all targets.
    let record: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let best = whole.iter().map(|line| number(line, "perplexity"));
    let best = best.fold(f64::INFINITY, f64::min);
    assert!(
        close(number(&record["best"], "perplexity"), best),
        "{record}"
    );
    let said = format!("best validation perplexity {best:.2} at step");
    assert!(ended.stdout.contains(&said), "{}", ended.stdout);
    let eight = ["--streams", "8", "--device", "cpu", "--json"];
    let evaluated = wlstm(&[&["eval", text(&run)], &eight[..]].concat());
    let evaluated: Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert!(close(number(&evaluated, "perplexity"), best), "{evaluated}");
    assert_eq!(number(&evaluated, "targets"), all);

    // The unigram model.
    let expected = unigram(&words, &valid);
    assert!(
        close(number(whole[0], "unigram"), expected),
        "{} {expected}",
        whole[0]
    );
    assert!(
        close(number(&evaluated, "unigram"), expected),
        "{evaluated} {expected}"
    );
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains(&format!("perplexity of {expected:.2}.")),
        "the report has the perplexity of the unigram model"
    );
    let once = ended.stderr.matches("(unigram model: ").count();
    assert_eq!(once, 1, "{}", ended.stderr);
    assert!(
        ended.stdout.contains(&format!(
            "unigram model (word frequencies only): perplexity {expected:.2}"
        )),
        "{}",
        ended.stdout
    );

    // The cost of validations is reported before the first step and at the end.
    let said = format!("12 validations in the run, each on {targets} of");
    let plain = ended.stderr.replace(',', "");
    let place = plain
        .find(&said.replace(',', ""))
        .unwrap_or_else(|| panic!("{plain}"));
    assert!(place < plain.find("step 1 ").expect("a step"), "{plain}");
    let count = lines.len();
    assert!(
        ended.stdout.contains(&format!("{count} validations took ")),
        "{}",
        ended.stdout
    );

    // The run has ended, so nothing is evaluated again.
    train(&config, &run, "cpu", &["--resume"]);
    assert_eq!(lines_of(&run, "valid"), lines);
    // A longer run validates on the same targets.
    let longer = train(&config, &run, "cpu", &["--resume", "--steps", "120"]);
    let said = "6 validations left in the run, each on ";
    assert!(longer.stderr.contains(said), "{}", longer.stderr);
    let more = lines_of(&run, "valid");
    let step_120: Vec<&Value> = more
        .iter()
        .filter(|line| number(line, "step") == 120.0)
        .collect();
    assert_eq!(step_120.len(), 2, "{step_120:?}");
    assert_eq!(number(step_120[0], "targets"), targets);
    let targets = format!("{targets}");
    let part = wlstm(&[
        "eval",
        text(&checkpoint(&run, 120)),
        "--data",
        text(&folder.path("valid.txt")),
        "--targets",
        &targets,
        "--streams",
        "8",
        "--device",
        "cpu",
        "--json",
    ]);
    let part: Value = serde_json::from_str(&part.stdout).unwrap();
    assert!(close(
        number(&part, "perplexity"),
        number(step_120[0], "perplexity")
    ));
}

/// Given values are used as they are, and the last validation has no more targets than the others.
#[test]
fn given_values_stay() {
    let (folder, config) = model("steps = 30\nvalidate_every = 20\nvalidate_targets = 300");
    let run = folder.path("run");
    train(&config, &run, "cpu", &[]);
    let lines = lines_of(&run, "valid");
    let found: Vec<(f64, f64)> = lines
        .iter()
        .map(|line| (number(line, "step"), number(line, "targets")))
        .collect();
    assert_eq!(found, [(20.0, 300.0), (30.0, 300.0)]);
    let resolved = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(
        resolved.contains("validate_every = 20\nvalidate_targets = 300\n"),
        "{resolved}"
    );
    let refused = wlstm(&training(
        &config,
        &run,
        "cpu",
        &["--resume", "--set", "train.validate_targets=400"],
    ));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let said = "`train.validate_targets` was 300 and is 400";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}

/// A run of 10 to 20 epochs validates after each epoch, any other run 12 times, and one with the schedule `plateau` every 1000
/// steps.
#[test]
fn epochs_and_seconds_are_divided() {
    let (folder, config) = model("steps = 0");
    // An epoch has 40 steps.
    let words = tokens(&folder.path("train.txt"));
    folder.write(
        "train.txt",
        words[..6_400].join(" ").replace(" <eos> ", "\n"),
    );
    let steps = |name: &str, more: &[&str]| -> Vec<u64> {
        let run = folder.path(name);
        train(&config, &run, "cpu", more);
        let lines = lines_of(&run, "valid");
        let targets = number(&lines[0], "targets");
        let part = lines
            .iter()
            .filter(|line| number(line, "targets") == targets);
        part.map(|line| number(line, "step") as u64).collect()
    };
    let short = [
        "--set",
        "data.valid=[\"train.txt\"]",
        "--set",
        "train.validate_targets=50",
    ];
    let ten = steps("ten", &[&short[..], &["--set", "train.epochs=10"]].concat());
    assert_eq!(ten, (1..=10).map(|k| 40 * k).collect::<Vec<_>>());
    let two = steps("two", &[&short[..], &["--set", "train.epochs=2"]].concat());
    let twelfth = |k: u64| (80 * k).div_ceil(12);
    assert_eq!(two, (1..=12).map(twelfth).collect::<Vec<_>>());
    let plateau = ["--set", "train.schedule=plateau", "--set", "train.epochs=2"];
    let plateau = steps("plateau", &[&short[..], &plateau].concat());
    assert_eq!(plateau, [40, 80]);
    // With a limit on seconds, the steps of validations differ between runs, but not their number.
    let seconds = steps("seconds", &["--seconds", "3"]);
    assert!((10..=13).contains(&seconds.len()), "{seconds:?}");
}

#[test]
fn models_of_a_comparison_validate_on_the_same_targets() {
    let (folder, config) = model("");
    let out = folder.path("all");
    let compare = |more: &[&str]| {
        let first = ["compare", "--out", text(&out), "--device", "cpu"];
        let ended = wlstm(&[&first[..], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    let variants = "lstmp,flstm:factor=2,glstm:groups=2:hidden=64";
    let ended = compare(&[text(&config), "--variants", variants, "--steps", "24"]);
    let runs = ["lstmp", "flstm-factor-2", "glstm-groups-2-hidden-64"];
    let targets = runs.map(|run| {
        let lines = lines_of(&out.join(run), "valid");
        let last = lines
            .iter()
            .map(|line| number(line, "targets"))
            .fold(0.0, f64::max);
        (number(&lines[0], "targets"), last)
    });
    assert!(
        targets.iter().all(|found| *found == targets[0]),
        "{targets:?}"
    );
    assert!(targets[0].0 < targets[0].1, "{targets:?}");
    assert_eq!(
        ended.stdout.matches("unigram model (").count(),
        1,
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("validations took "),
        "{}",
        ended.stderr
    );
    let json = compare(&["--resume", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let unigrams: Vec<f64> = rows.iter().map(|row| number(row, "unigram")).collect();
    assert!(
        unigrams.iter().all(|unigram| *unigram == unigrams[0]),
        "{unigrams:?}"
    );
}

/// `score --summary` prints the perplexity of the unigram model, unless the vocabulary has no counts.
#[test]
fn a_unigram_model_needs_counts() {
    let (folder, config) = model("steps = 2\nvalidate_targets = 100");
    let valid = folder.path("valid.txt");
    let run = folder.path("counted");
    train(&config, &run, "cpu", &[]);
    let score = |run: &Path| {
        wlstm(&[
            "score",
            text(run),
            text(&valid),
            "--summary",
            "--device",
            "cpu",
        ])
    };
    let scored = score(&run);
    assert!(
        scored.stdout.contains("Perplexity of the unigram model:\t"),
        "{}",
        scored.stdout
    );
    let mut words: Vec<String> = tokens(&folder.path("train.txt"));
    words.push("<unk>".to_owned());
    words.sort();
    words.dedup();
    let list: String = words.iter().map(|word| format!("{word} 1\n")).collect();
    folder.write("words.txt", list);
    let run = folder.path("listed");
    let ended = train(&config, &run, "cpu", &["--set", "data.vocab=words.txt"]);
    assert!(!ended.stderr.contains("unigram") && !ended.stdout.contains("unigram"));
    assert!(
        lines_of(&run, "valid")
            .iter()
            .all(|line| line["unigram"].is_null())
    );
    assert!(!score(&run).stdout.contains("unigram"));
    let evaluated = wlstm(&["eval", text(&run), "--device", "cpu"]);
    assert!(evaluated.code == Some(0) && !evaluated.stdout.contains("unigram"));
}

/// The messages of a character model are about characters.
#[test]
fn character_models_count_characters() {
    let (folder, config) = model("steps = 2");
    let run = folder.path("run");
    let ended = train(&config, &run, "cpu", &["--set", "data.tokens=characters"]);
    assert!(
        ended
            .stderr
            .contains("Counting the characters of the training text")
    );
    assert!(!ended.stderr.contains("word"), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("unigram model (character frequencies only)"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("word"), "{}", ended.stdout);
}
