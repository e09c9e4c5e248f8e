//! Schedules of runs with a time limit.

use super::tools::{Tiny, metrics};

fn rates(tiny: &Tiny) -> Vec<(u64, f64, f64)> {
    let step = |line: serde_json::Value| {
        let number = |name: &str| line[name].as_f64().unwrap();
        (
            line["step"].as_u64().unwrap(),
            number("seconds"),
            number("learning_rate"),
        )
    };
    metrics(&tiny.path("run"), "step")
        .into_iter()
        .map(step)
        .collect()
}

/// The learning rate falls with the elapsed fraction of the time, and a resumed run continues with the elapsed time.
#[test]
fn a_cosine_follows_the_seconds() {
    let tiny = Tiny::new("contiguous");
    let limit = 1.5;
    let line = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--device",
        "cpu",
        "--seconds",
        "1.5",
    ];
    let cosine = [
        "--set",
        "train.schedule=cosine",
        "--set",
        "train.learning_rate=0.5",
    ];
    let short = ["--steps", "40"];
    tiny.wlstm()
        .args(line)
        .args(cosine)
        .args(short)
        .assert()
        .success();
    let first = rates(&tiny);
    let more = [
        "train",
        "run/config.toml",
        "--resume",
        "--device",
        "cpu",
        "--set",
        "train.steps=0",
    ];
    tiny.wlstm().args(more).assert().success();
    let all = rates(&tiny);
    assert_eq!(all[..first.len()], first);
    assert!(all.len() > first.len());
    // A step starts after the end of the step before the last, because two are in flight, and before its own end.
    let rate =
        |seconds: f64| 0.25 * (1.0 + (std::f64::consts::PI * (seconds / limit).min(1.0)).cos());
    for around in all[first.len() + 1..].windows(3) {
        let [(_, before, _), _, (step, after, found)] = around else {
            unreachable!()
        };
        let slack = 1e-9;
        let range = rate(*after) - slack..=rate((*before - 0.1).max(0.0)) + slack;
        assert!(
            range.contains(found),
            "step {step}: {found}, not in {range:?}"
        );
    }
    assert!(all.last().unwrap().2 < 0.05, "{:?}", all.last());
}
