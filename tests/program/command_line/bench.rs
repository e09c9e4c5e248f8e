//! `wlstm bench`.

use predicates::prelude::*;
use serde_json::Value;

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
    assert!(text.contains("over floor") && text.contains("recurrent product, cell"));
}

/// Tables and programs read these members.
#[test]
fn the_members_of_the_json_are_fixed() {
    let members = |value: &Value| -> Vec<String> {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let found = json(step().args(["--json", "--profile"]));
    assert_eq!(
        members(&found).join(" "),
        "device dispatches floor_seconds flops_per_second host_share loss precision profile seconds_per_step \
         seconds_shortest settings steps times_floor without words words_per_second"
    );
    let profile = &found["profile"];
    assert_eq!(
        members(profile).join(" "),
        "clock floor_seconds groups kernels peaks seconds"
    );
    assert_eq!(
        members(&profile["groups"][0]).join(" "),
        "floor_seconds group seconds times_floor"
    );
    assert_eq!(
        members(&profile["kernels"][0]).join(" "),
        "bytes_per_second calls floor_seconds flops_per_second kernel purpose seconds share share_of_peak times_floor"
    );
    assert_eq!(found["settings"]["model.hidden"], "24");
    assert_eq!(found["settings"]["vocabulary"], "50");
    // The parts of a step make up the step, and so do their floors.
    let groups = profile["groups"].as_array().expect("groups");
    for name in ["seconds", "floor_seconds"] {
        let sum: f64 = groups.iter().map(|group| number(&group[name])).sum();
        assert!((sum / number(&profile[name]) - 1.0).abs() < 1e-9, "{name}");
    }
    let ratio = number(&found["seconds_per_step"]) / number(&found["floor_seconds"]);
    assert!((number(&found["times_floor"]) / ratio - 1.0).abs() < 1e-9);
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn the_speed_relative_to_a_baseline() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("before.json");
    let mut before = json(step().args(["--json", "--profile"]));
    before["device"] = "another device".into();
    std::fs::write(&file, before.to_string()).expect("a file");
    let with_baseline = || {
        let mut command = step();
        command.arg("--baseline").arg(&file);
        command
    };
    let now = json(with_baseline().args(["--json", "--profile"]));
    let baseline = &now["baseline"];
    let speed = number(&before["seconds_per_step"]) / number(&now["seconds_per_step"]);
    assert!((number(&baseline["speed"]) / speed - 1.0).abs() < 1e-9);
    let of_group = |document: &Value, name: &str| {
        let groups = document["groups"].as_array().expect("groups");
        let group = groups.iter().find(|group| group["group"] == "softmax");
        number(&group.expect("a softmax")[name])
    };
    let speed = of_group(&before["profile"], "seconds") / of_group(&now["profile"], "seconds");
    assert!((of_group(baseline, "speed") / speed - 1.0).abs() < 1e-9);
    let text = stdout(&mut with_baseline());
    assert!(text.contains("speed relative to") && text.contains("another device"));

    with_baseline()
        .args(["--set", "train.batch=8"])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("train.batch was 16 and is 8"));
    for what in [&["kernels"][..], &[]] {
        let arguments = ["bench", "--device", "cpu", "--baseline"];
        let mut command = wlstm();
        command.args(arguments).arg(&file).args(what);
        let refused = predicate::str::contains("not kernels");
        command.assert().code(3).stderr(refused);
    }
}

#[test]
fn products_and_copies_are_measured_by_part() {
    let run = |only: &str| {
        let mut command = wlstm();
        command.args(["bench", "kernels", "--device", "cpu", "--only", only]);
        command
    };
    let found = json(run("products").arg("--json"));
    let products = found["products"].as_array().expect("products");
    // Without f16 in hardware, in f32 only.
    assert_eq!(products.len(), 33);
    for product in products {
        let size = ["groups", "rows", "columns", "depth"].map(|side| number(&product[side]));
        let flops = 2.0 * size.iter().product::<f64>();
        assert_eq!(product["reduced"], true);
        let forms = product["forms"].as_array().expect("forms");
        assert_eq!(forms.len(), 1);
        let rate = number(&forms[0]["flops_per_second"]) * number(&forms[0]["seconds"]);
        assert!((rate / flops - 1.0).abs() < 1e-9);
        assert_eq!(forms[0]["is_fastest"], true);
    }
    assert!(found["kernels"].as_array().expect("cases").is_empty());
    assert!(found["micro"].is_null());

    let found = json(run("micro").arg("--json"));
    let copy = &found["micro"]["copies"][0];
    assert_eq!(copy["kernel"], "pointwise/copy");
    assert_eq!(copy["bytes_per_thread"], 4);
    let bytes = number(&copy["bytes_per_second"]) * number(&copy["seconds"]);
    assert!((bytes / 2.0 / number(&copy["bytes"]) - 1.0).abs() < 1e-9);
    assert_eq!(found["peaks"]["bytes_per_second"], copy["bytes_per_second"]);
    assert_eq!(found["micro"]["dispatches"][1]["buffers"], "disjoint");
    let text = stdout(&mut run("micro"));
    assert!(text.contains("all on one buffer") && text.contains("bytes per thread"));
}

#[test]
fn a_change_is_switched_off_by_name() {
    let found = json(step().arg("--json"));
    assert_eq!(found["without"].as_array().unwrap().len(), 0);
    let without = ["--without", "loss", "--without", "pieces"];
    let found = json(step().args(without).arg("--json"));
    assert_eq!(found["without"], serde_json::json!(["pieces", "loss"]));
    assert!(stdout(step().args(without)).contains("pieces, loss"));
    let no_effect = |name| format!("`--without {name}` has no effect on the CPU.");
    step().args(without).assert().success().stderr(
        predicate::str::contains(no_effect("pieces"))
            .and(predicate::str::contains(no_effect("loss")).not()),
    );
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
    let names = kernels.iter().map(|kernel| kernel["kernel"].as_str());
    let names: Vec<&str> = names.map(|name| name.expect("a name")).collect();
    // The kernel and its forms.
    assert_eq!(
        names,
        [
            "pointwise/copy",
            "pointwise/copy_vector",
            "pointwise/copy_vector 4"
        ]
    );
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
