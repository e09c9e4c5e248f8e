//! `wlstm bench`.

use predicates::prelude::*;

use super::tools::{json, stdout, wlstm};

/// A small model whose text does not exist: `bench` reads none.
fn step() -> assert_cmd::Command {
    let mut command = wlstm();
    command.args(["bench", "step", "benches/plain.toml", "--device", "cpu"]);
    for change in [
        "model.hidden=24",
        "model.embedding=24",
        "data.vocab_size=50",
    ] {
        command.args(["--set", change]);
    }
    command.args(["--steps", "4"]);
    command
}

#[test]
fn steps_are_measured_without_a_text() {
    let found = json(step().args(["--json", "--profile"]));
    assert_eq!(found["words"], 320);
    assert_eq!(found["steps"], 4);
    let number = |name: &str| found[name].as_f64().unwrap();
    let words_per_second = 320.0 / number("seconds_per_step");
    assert!((number("words_per_second") / words_per_second - 1.0).abs() < 1e-9);
    assert!(number("seconds_shortest") <= number("seconds_per_step"));
    // An untrained model gives all words about the same probability.
    assert!((number("loss") - 50_f64.ln()).abs() < 0.5);
    let profile = &found["profile"];
    let kernels = profile["kernels"].as_array().unwrap();
    let sum = |name: &str| {
        kernels
            .iter()
            .map(|k| k[name].as_f64().unwrap())
            .sum::<f64>()
    };
    assert_eq!(sum("calls"), number("dispatches"));
    assert!((sum("share") - 1.0).abs() < 1e-9);
    assert!((sum("seconds") / profile["seconds"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    let cell = kernels.iter().find(|k| k["kernel"] == "lstm/cell_forward");
    let cell = cell.expect("a model has cells");
    assert_eq!(cell["calls"], 40);
    // [16, 24] x [24, 96], 40 times.
    let flops = cell["flops_per_second"].as_f64().unwrap() * cell["seconds"].as_f64().unwrap();
    assert!((flops / (40.0 * 2.0 * 16.0 * 24.0 * 96.0) - 1.0).abs() < 1e-9);
    let text = stdout(step().arg("--profile"));
    assert!(text.contains("words per second") && text.contains("lstm/cell_forward"));
}

#[test]
fn a_change_is_switched_off_by_name() {
    let found = json(step().arg("--json"));
    assert_eq!(found["without"].as_array().unwrap().len(), 0);
    let without = ["--without", "loss", "--without", "pieces"];
    let found = json(step().args(without).arg("--json"));
    assert_eq!(found["without"], serde_json::json!(["pieces", "loss"]));
    assert!(stdout(step().args(without)).contains("pieces, loss"));
    step()
        .args(["--without", "piece"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "pieces, optimizer, loss, cells, units, double-buffer",
        ));
}

#[test]
fn kernels_are_measured_by_name() {
    let run = || {
        let mut command = wlstm();
        command.args(["bench", "kernels", "--device", "cpu", "--filter"]);
        command
    };
    let found = json(run().args(["pointwise/copy", "--json"]));
    let kernels = found["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 1);
    assert_eq!(kernels[0]["kernel"], "pointwise/copy");
    let bytes = kernels[0]["bytes_per_second"].as_f64().unwrap();
    let seconds = kernels[0]["seconds"].as_f64().unwrap();
    assert!((bytes * seconds / f64::from(8 << 20) - 1.0).abs() < 1e-9);
    run()
        .arg("nothing")
        .assert()
        .code(2)
        .stderr(predicate::str::contains(
            "no kernel that is measured has `nothing` in its name",
        ))
        .stderr(predicate::str::contains("matmul/product_tiled, "));
}
