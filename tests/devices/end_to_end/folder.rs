//! The contents of a run folder, and the limits of a run.

use crate::common::program::{
    Tensors, checkpoint, checkpoints, lines_of, losses, metrics, number, train,
};
use serde_json::Value;

use super::tools::{Outcome, Setup, balanced, grammar_text, near};

/// The keys of a JSON object.
pub fn keys(line: &Value) -> Vec<&str> {
    let object = line.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub fn run_folder() -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(300, 1), &balanced(50));
    // Frequent validations and checkpoints; the best and the last two checkpoints are kept.
    let more = "validate_every = 10\ncheckpoint_every = 10\nkeep = 2";
    let config = setup.config("lstmp", "full", more);
    let run = setup.folder.path("run");
    let ended = train(&config, &run, "cpu", &["--steps", "75"]);
    let lines = metrics(&run);
    let kinds: Vec<&str> = lines
        .iter()
        .map(|l| l["kind"].as_str().unwrap_or(""))
        .collect();
    if kinds.first() != Some(&"start") || kinds.last() != Some(&"end") {
        return Err(format!("{kinds:?}").into());
    }
    let start = &lines[0];
    for key in ["digest", "devices", "memory", "parameters", "version"] {
        if start.get(key).is_none() {
            return Err(format!("no `{key}` in {start}").into());
        }
    }
    let expected = [
        (
            "step",
            "epoch grad_norm kind learning_rate loss seconds step words words_per_second",
        ),
        (
            "valid",
            "average bits_per_byte bytes kind nll perplexity seconds step targets unigram unknown unknown_trained",
        ),
        ("sample", "kind step text"),
        ("end", "kind reason"),
    ];
    for line in &lines[1..] {
        let wanted = expected.iter().find(|(kind, _)| line["kind"] == *kind);
        let (_, wanted) = wanted.ok_or_else(|| format!("{line}"))?;
        if keys(line).join(" ") != *wanted {
            return Err(format!("{line}").into());
        }
    }
    let steps: Vec<u64> = losses(&run).into_keys().collect();
    if steps != (1..=75).collect::<Vec<_>>() {
        return Err(format!("steps {steps:?}").into());
    }
    let mut before = 0.0;
    for line in lines.iter().filter(|line| line.get("seconds").is_some()) {
        let seconds = number(line, "seconds");
        if seconds < before {
            return Err(format!("seconds decrease at {line}").into());
        }
        before = seconds;
    }
    let valid = lines_of(&run, "valid");
    for line in &valid {
        let perplexity = (number(line, "nll") / number(line, "targets")).exp();
        near(number(line, "perplexity"), perplexity, 1e-12)?;
    }
    // The best step is the same in the metrics, in the record and in the folder, which also keeps the two newest
    // checkpoints.
    let best = valid
        .iter()
        .min_by(|x, y| number(x, "nll").total_cmp(&number(y, "nll")))
        .ok_or("no validation")?;
    let best_step = number(best, "step") as u64;
    let text = std::fs::read_to_string(run.join("run.json"))?;
    let record: Value = serde_json::from_str(&text)?;
    let facts = [
        (&record["best"]["step"], Value::from(best_step)),
        (&record["last"]["step"], Value::from(75)),
        (&record["status"], "finished".into()),
        (&record["seed"], Value::from(1)),
        (&record["version"], env!("CARGO_PKG_VERSION").into()),
    ];
    for (got, want) in facts {
        if *got != want {
            return Err(format!("{want} is not in {text}").into());
        }
    }
    for which in ["best", "last"] {
        let file = record[which]["checkpoint"]
            .as_str()
            .ok_or("no checkpoint")?;
        if !run.join(file).is_file() {
            return Err(format!("{file} is missing").into());
        }
    }
    let kept = checkpoints(&run);
    let mut wanted = kept[kept.len().saturating_sub(2)..].to_vec();
    if !wanted.contains(&best_step) {
        wanted.insert(0, best_step);
    }
    if kept != wanted || kept.last() != Some(&75) {
        return Err(format!("checkpoints {kept:?}, the best {best_step}").into());
    }
    // A checkpoint contains its vocabulary and configuration.
    let saved = Tensors::read(&checkpoint(&run, 75));
    let words = String::from_utf8(saved.tensors["vocab"].1.clone())?;
    if !words.contains("cats ") || !words.contains("<UNK> ") {
        return Err(format!("the vocabulary {words}").into());
    }
    let resolved = std::fs::read_to_string(run.join("config.toml"))?;
    if saved.texts["config"] != resolved || !resolved.contains("hidden = 32") {
        return Err("config.toml is not the configuration of the checkpoint".into());
    }
    // The output of the program.
    let perplexity = format!("{:.2}", number(best, "perplexity"));
    if !ended.stdout.contains(&perplexity) || !ended.stdout.contains("75 steps") {
        return Err(ended.stdout.into());
    }
    if ended.stdout.contains("ETA") || !ended.stderr.contains("validation perplexity") {
        return Err(format!("{}{}", ended.stdout, ended.stderr).into());
    }
    Ok(())
}

pub fn log_every() -> Outcome {
    let setup = Setup::new("sentences", &grammar_text(100, 1), &balanced(50));
    let config = setup.config("lstmp", "full", "log_every = 7");
    let run = setup.train(&config, &["--steps", "31", "--quiet"]);
    let steps: Vec<u64> = losses(&run).into_keys().collect();
    let wanted: Vec<u64> = (1..=10).chain([14, 21, 28, 31]).collect();
    if steps != wanted {
        return Err(format!("steps {steps:?}").into());
    }
    Ok(())
}

/// A run ends at the first of its limits.
pub fn limits() -> Outcome {
    let setup = Setup::new("contiguous", &grammar_text(130, 1), &balanced(50));
    let config = setup.config("lstmp", "full", "");
    let reason = |name: &str, more: &[&str]| {
        let run = setup.folder.path(name);
        train(&config, &run, "cpu", more);
        let end = lines_of(&run, "end").pop().expect("an end");
        (
            losses(&run).len(),
            end["reason"].as_str().unwrap_or("").to_owned(),
        )
    };
    // 520 tokens in 8 streams of 65: an epoch has 8 steps of 8 tokens a stream.
    let (steps, why) = reason("epochs", &["--set", "train.epochs=2", "--steps", "100"]);
    if (steps, why.as_str()) != (16, "2 epochs") {
        return Err(format!("{steps} steps, {why}").into());
    }
    let (steps, why) = reason("steps", &["--set", "train.epochs=2", "--steps", "9"]);
    if (steps, why.as_str()) != (9, "9 steps") {
        return Err(format!("{steps} steps, {why}").into());
    }
    let (steps, why) = reason("seconds", &["--seconds", "0.3"]);
    if steps == 0 || !why.contains("seconds") {
        return Err(format!("{steps} steps, {why}").into());
    }
    Ok(())
}
