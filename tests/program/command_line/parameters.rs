//! Which parameters commands use: those after the last step, or their moving average.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use super::tools::{Tiny, json, metrics, stdout};

/// With this decay, the initial parameters have a weight of at most 0.1 in the average from step 22 on.
const EMA: [&str; 2] = ["--set", "train.ema=0.9"];

fn trained(steps: &str, more: &[&str]) -> Tiny {
    let options = [
        &EMA[..],
        &["--steps", steps, "--set", "model.cell=lstmp"],
        more,
    ]
    .concat();
    Tiny::trained("contiguous", &options)
}

/// The perplexity in as many streams as the run has.
fn perplexity(tiny: &Tiny, options: &[&str]) -> Value {
    perplexity_in("3", tiny, options)
}

fn perplexity_in(streams: &str, tiny: &Tiny, options: &[&str]) -> Value {
    let line = [
        "eval",
        "run",
        "--device",
        "cpu",
        "--json",
        "--streams",
        streams,
    ];
    json(tiny.wlstm().args(line).args(options))["perplexity"].clone()
}

/// `eval` gives exactly the perplexity of the validation, before and after the step from which the average is used.
#[test]
fn validation_and_eval_agree_on_the_parameters() {
    for (steps, is_average) in [("21", false), ("22", true)] {
        let tiny = trained(steps, &[]);
        let valid = metrics(&tiny.path("run"), "valid").pop().unwrap();
        assert_eq!(valid["average"], is_average, "{steps}");
        let (last, average) = (
            perplexity(&tiny, &["--last"]),
            perplexity(&tiny, &["--average"]),
        );
        assert_ne!(last, average);
        let by_rule = if is_average { average } else { last };
        assert_eq!(valid["perplexity"], by_rule, "{steps}");
        assert_eq!(perplexity(&tiny, &[]), by_rule, "{steps}");
        let eval = tiny
            .wlstm()
            .args(["eval", "run", "--device", "cpu"])
            .assert();
        let said = contains(
            "Using the parameters instead of their moving average: after 21 steps, the initial parameters have a weight of 10.9 %",
        );
        eval.success().stderr(said.count(usize::from(!is_average)));
    }
}

/// The best validation is chosen among both sets of parameters, and `eval` of its checkpoint reproduces it.
#[test]
fn a_run_changes_to_the_average_on_its_way() {
    let options = ["--set", "train.validate_every=7", "--set", "train.keep=9"];
    let tiny = Tiny::new("contiguous");
    let line = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--device",
        "cpu",
        "--steps",
        "28",
    ];
    let train = tiny
        .wlstm()
        .args(line)
        .args(EMA)
        .args(options)
        .assert()
        .success();
    let said = "Validation uses the parameters instead of their moving average before step 22:";
    train.stderr(contains(said).count(1));
    let found: Vec<Value> = metrics(&tiny.path("run"), "valid");
    let kinds: Vec<&Value> = found.iter().map(|valid| &valid["average"]).collect();
    assert!(kinds.starts_with(&[&Value::Bool(false)]) && kinds.ends_with(&[&Value::Bool(true)]));
    for valid in found {
        let file = format!(
            "run/checkpoints/step-{:08}.safetensors",
            valid["step"].as_u64().unwrap()
        );
        if !tiny.path(&file).exists() {
            continue;
        }
        let line = ["eval", &file, "--device", "cpu", "--streams", "3", "--json"];
        assert_eq!(
            json(tiny.wlstm().args(line))["perplexity"],
            valid["perplexity"],
            "{file}"
        );
    }
    // There is no note once the average is used.
    let more = ["train", "run/config.toml", "--resume", "--steps", "30"];
    tiny.wlstm()
        .args(more)
        .assert()
        .success()
        .stderr(contains(said).not());
}

#[test]
fn every_command_with_a_model_takes_the_choice() {
    let tiny = trained("10", &[]);
    tiny.write("lines.txt", "the cat sat\n");
    let out = |command: &[&str], option: &str| {
        stdout(
            tiny.wlstm()
                .args(command)
                .args(["--device", "cpu", "-q", option]),
        )
    };
    for command in [
        &["score", "run", "lines.txt"][..],
        &["generate", "run", "--tokens", "30", "--json"],
    ] {
        let (last, average) = (out(command, "--last"), out(command, "--average"));
        assert_ne!(last, average, "{command:?}");
        assert_eq!(
            stdout(tiny.wlstm().args(command).args(["--device", "cpu", "-q"])),
            last
        );
    }
    let bytes = |options: &[&str]| {
        let is_onnx = options.contains(&"onnx");
        let out = if is_onnx {
            "out.onnx"
        } else {
            "out.safetensors"
        };
        let line = ["export", "run", "--out", out];
        tiny.wlstm().args(line).args(options).assert().success();
        std::fs::read(tiny.path(out)).unwrap()
    };
    for format in [&[][..], &["--format", "native"], &["--format", "onnx"]] {
        let with = |option: &[&str]| bytes(&[format, option].concat());
        assert_eq!(with(&[]), with(&["--last"]), "{format:?}");
        assert_ne!(with(&[]), with(&["--average"]), "{format:?}");
    }
    // A native export contains only the parameters to use.
    for option in ["--last", "--average"] {
        bytes(&["--format", "native", option]);
        let line = [
            "eval",
            "out.safetensors",
            "--device",
            "cpu",
            "--streams",
            "3",
            "--json",
        ];
        let found = json(tiny.wlstm().args(line))["perplexity"].clone();
        assert_eq!(found, perplexity(&tiny, &[option]), "{option}");
    }
    for option in ["--last", "--average"] {
        let line = [
            "factorize",
            "run",
            "--factor",
            "4",
            "--out",
            "made",
            "--device",
            "cpu",
            "--json",
        ];
        let found = json(tiny.wlstm().args(line).arg(option));
        let before = perplexity_in("1", &tiny, &[option]);
        assert_eq!(found["perplexity"]["before"], before);
        std::fs::remove_dir_all(tiny.path("made")).unwrap();
    }
}

#[test]
fn a_choice_that_is_not_there_is_refused() {
    let tiny = Tiny::trained("contiguous", &["--set", "train.ema=0"]);
    let eval = |options: &[&str]| {
        let line = ["eval", "run", "--device", "cpu"];
        tiny.wlstm().args(line).args(options).assert()
    };
    eval(&["--last"])
        .success()
        .stderr(contains("Using the parameters").not());
    let none = "has no moving average of its parameters";
    eval(&["--average"])
        .code(2)
        .stderr(contains(none).and(contains("train.ema")));
    eval(&["--average", "--last"])
        .code(2)
        .stderr(contains("cannot be used with"));
}
