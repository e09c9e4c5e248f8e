//! Models that fail, and comparisons that are refused.

use crate::common::program::{Dice, losses, text, wlstm};
use serde_json::Value;

use super::tools::{compare, small_model, table_of};

#[test]
fn a_model_that_fails_does_not_stop_the_others() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let more = [
        "--set",
        "train.optimizer=sgd",
        "--set",
        "train.clip_norm=0",
        "--set",
        "train.learning_rate=1e30,0.1",
    ];
    let ended = compare(&config, &out, &[&more[..], &["--steps", "9"]].concat());
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("1 of 2 models failed, `learning_rate=1e30`"),
        "{}",
        ended.stderr
    );
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ended.stdout);
    assert_eq!(lines[4], "All models were validated in 4 streams.");
    assert!(lines[3].starts_with("unigram model ("), "{}", ended.stdout);
    assert!(
        lines[1].ends_with("diverged") && lines[2].ends_with("finished"),
        "{}",
        ended.stdout
    );
    let other = out.join("learning_rate-0.1");
    assert_eq!(losses(&other).len(), 9);
    assert!(out.join("report.html").is_file());
}

#[test]
fn the_first_model_may_fail_before_its_first_step() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let variants = [
        "--variants",
        "lstmp:hidden=500000:layers=60,lstmp:hidden=32",
    ];
    let line = [&variants[..], &["--steps", "3", "--json"]].concat();
    let ended = compare(&config, &out, &line);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let lines = table_of(&ended);
    let states: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["status"].as_str())
        .collect();
    assert_eq!(states, ["failed", "finished"]);
    assert_eq!(lines[0]["steps"], 0);
    // It stays the baseline of the others, and has no speed.
    assert!(lines[0]["recurrent_parameters"].as_u64().unwrap() > 10_000_000);
    assert!(lines[1]["speedup"].is_null() && lines[1]["share_reached"].is_null());
    let record = std::fs::read_to_string(out.join("compare.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["status"], "failed");
}

#[test]
fn an_unreadable_text_is_one_error() {
    let (folder, config) = small_model();
    let text = [Dice(1).text(400, 9, &["a", "b", "c"]).as_bytes(), b"\xff\n"].concat();
    folder.write("train.txt", text);
    let ended = compare(&config, &folder.path("compared"), &["--steps", "3"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr.matches("error: ").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("warning:"), "{}", ended.stderr);
}

#[test]
fn invalid_comparisons_are_refused_before_any_work() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    for (more, what) in [
        (
            &["--steps", "2", "--variants", "lstmp,gru"][..],
            "does not begin with a cell",
        ),
        (
            &["--steps", "2", "--variants", "flstm:factor"],
            "not KEY=VALUE",
        ),
        (
            &["--steps", "2", "--variants", "glstm:groups=5"],
            "`glstm groups=5` cannot be trained",
        ),
        (
            &["--steps", "2", "--variants", "glstm:grops=4"],
            "the nearest key is `model.groups`",
        ),
        (&["--steps", "2", "--seconds", "3"], "cannot be used with"),
        (&["--set", "model.hidden=16,32"], "this run has no limit"),
        (
            &["--set", "train.steps=3,4"],
            "have different training limits",
        ),
        (
            &["--steps", "2", "--resume"],
            "models of a resumed comparison cannot change",
        ),
        (
            &[
                "--steps",
                "2",
                "--variants",
                "glstm:groups=2",
                "--set",
                "model.groups=4",
            ],
            "`model.groups` is given by both",
        ),
        (
            &["--steps", "2", "--variants", "glstm:groups=2:groups=4"],
            "has `groups` twice",
        ),
        (
            &[
                "--steps",
                "2",
                "--set",
                "data.order=\"sentences\"",
                "--set",
                "train.batch=2,3",
                "--set",
                "train.batch=3",
            ],
            "`train.batch` is given by --set twice",
        ),
        (
            &["--steps", "2", "--variants", "lstmp,lstmp:hidden=3000000"],
            "`lstmp hidden=3000000` cannot be trained",
        ),
    ] {
        let ended = compare(&config, &out, more);
        assert_eq!(ended.code, Some(2), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(what), "{more:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
        assert!(!out.exists(), "{more:?}");
    }
    let text_of = std::fs::read_to_string(&config).unwrap();
    for (name, before, after) in [
        ("order.toml", "[data]", "[data]\norder = \"contiguous\""),
        (
            "train.toml",
            "train = [\"train.txt\"]",
            "train = [\"valid.txt\"]",
        ),
        (
            "texts.toml",
            "valid = [\"valid.txt\"]",
            "valid = [\"train.txt\"]",
        ),
    ] {
        let other = folder.write(name, text_of.replace(before, after));
        let ended = compare(&config, &out, &[text(&other), "--steps", "2"]);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        let said = ["they cannot be compared", "do not learn from the same text"];
        assert!(
            said.iter().any(|said| ended.stderr.contains(said)),
            "{}",
            ended.stderr
        );
    }
    let missing = compare(&folder.path("none.toml"), &out, &["--steps", "2"]);
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    folder.write("compared/file", "here");
    let taken = compare(&config, &out, &["--steps", "2"]);
    assert_eq!(taken.code, Some(3), "{}", taken.stderr);
    let nothing = wlstm(&["compare", "--resume", "--out", text(&out)]);
    assert_eq!(nothing.code, Some(3), "{}", nothing.stderr);
    let other = folder.path("other");
    let line = [
        "compare",
        text(&config),
        "--steps",
        "2",
        "--out",
        text(&other),
        "--device",
        "gpu:99",
    ];
    let device = wlstm(&line);
    assert_eq!(device.code, Some(4), "{}", device.stderr);
    assert!(!other.exists());
}
