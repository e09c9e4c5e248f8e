//! The table of a comparison, and its runs.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::program::{lines_of, losses, number, text, train, wlstm};
use serde_json::Value;

use super::tools::{VARIANTS, assert_page, compare, small_model, table_of};

#[test]
fn the_table_of_three_cells() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let ended = compare(
        &config,
        &out,
        &[&VARIANTS[..], &["--steps", "12", "--json"]].concat(),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = table_of(&ended);
    let models: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["model"].as_str())
        .collect();
    assert_eq!(models, ["lstmp", "flstm factor=4", "glstm groups=4"]);
    let recurrent = [
        // Two layers of (I+P)*4H + 4H + H*P, of (I+P)*r + r*4H + ..., of (I+P)*4H/G + ....
        2 * (32 * 128 + 128 + 512),
        2 * (32 * 4 + 4 * 128 + 128 + 512),
        2 * (32 * 128 / 4 + 128 + 512),
    ];
    for (line, recurrent) in lines.iter().zip(recurrent) {
        assert_eq!(line["recurrent_parameters"], recurrent);
        assert_eq!((&line["steps"], &line["words"]), (&12.into(), &240.into()));
        assert_eq!(line["status"], "finished");
        // The first step warms up and is not counted.
        let steps = lines_of(Path::new(line["run"].as_str().expect("a folder")), "step");
        let over = |key: &str| number(&steps[11], key) - number(&steps[0], key);
        let speed = over("words") / over("seconds");
        assert!((number(line, "words_per_second") / speed - 1.0).abs() < 1e-9);
        let times = speed / number(&lines[0], "words_per_second");
        assert!((number(line, "speedup") / times - 1.0).abs() < 1e-9);
        let share = times / number(line, "speedup_by_flops");
        assert!((number(line, "share_reached") / share - 1.0).abs() < 1e-9);
        assert!(number(line, "perplexity") > 1.0 && number(line, "memory") > 1e4);
    }
    // 6 FLOPs for each element of a matrix and of the softmax, which is the same in all three.
    let softmax = number(&lines[0], "parameters") - number(&lines[0], "recurrent_parameters");
    let words = (softmax / 33.0).round();
    let flops = |matrices: f64| matrices + words * 16.0;
    let dense = flops(2.0 * f64::from(32 * 128 + 512));
    let grouped = flops(2.0 * f64::from(32 * 32 + 512));
    assert!((number(&lines[2], "speedup_by_flops") / (dense / grouped) - 1.0).abs() < 1e-9);

    // Each model is an ordinary run, with the same results as alone.
    let alone = folder.path("alone");
    let sets = [
        "--set",
        "model.cell=glstm",
        "--set",
        "model.groups=4",
        "--steps",
        "12",
    ];
    train(&config, &alone, "cpu", &sets);
    assert_eq!(losses(&out.join("glstm-groups-4")), losses(&alone));
    let eval = wlstm(&["eval", text(&out.join("lstmp")), "--device", "cpu", "-q"]);
    assert_eq!(eval.code, Some(0), "{}", eval.stderr);

    // The files have the same numbers.
    let record: Value =
        serde_json::from_slice(&std::fs::read(out.join("compare.json")).unwrap()).unwrap();
    // Except that they name the folders of the runs relative to that of the comparison, which may be moved.
    let mut within = lines.clone();
    for (line, name) in within
        .iter_mut()
        .zip(["lstmp", "flstm-factor-4", "glstm-groups-4"])
    {
        line["run"] = name.into();
    }
    assert_eq!(record["results"].as_array().unwrap(), &within);
    let csv = std::fs::read_to_string(out.join("compare.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 4);
    let column = rows[0]
        .iter()
        .position(|name| *name == "words_per_second")
        .unwrap();
    for (row, line) in rows[1..].iter().zip(&lines) {
        assert_eq!(
            row[column].parse::<f64>().unwrap(),
            number(line, "words_per_second")
        );
    }
    let markdown = std::fs::read_to_string(out.join("compare.md")).unwrap();
    assert!(
        markdown
            .lines()
            .nth(4)
            .unwrap()
            .starts_with("| glstm groups=4 | "),
        "{markdown}"
    );
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert_page(&page, &models);
}

#[test]
fn taking_turns_changes_no_result() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    // A turn is one second.
    let ended = compare(
        &config,
        &out,
        &["--set", "model.hidden=32,48", "--seconds", "2.5", "--json"],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = table_of(&ended);
    for (line, hidden) in lines.iter().zip(["32", "48"]) {
        assert_eq!(line["model"], format!("hidden={hidden}"));
        let seconds = line["seconds"].as_f64().unwrap();
        // The time of the last finished step: a busy machine delays the next one, or that step itself.
        assert!((2.0..3.5).contains(&seconds), "{seconds} seconds");
        let run = out.join(format!("hidden-{hidden}"));
        let steps = line["steps"].as_u64().unwrap().min(60).to_string();
        let alone = folder.path(&format!("alone-{hidden}"));
        let set = format!("model.hidden={hidden}");
        train(&config, &alone, "cpu", &["--set", &set, "--steps", &steps]);
        let (together, alone) = (losses(&run), losses(&alone));
        let common: BTreeMap<_, _> = together
            .into_iter()
            .filter(|(k, _)| alone.contains_key(k))
            .collect();
        assert_eq!(common, alone);
    }
}

#[test]
fn budgets_limit_every_model() {
    let (folder, config) = small_model();
    for (k, (budget, steps)) in [
        (["--steps", "7"], Some(7)),
        (["--words", "101"], Some(6)),
        (["--epochs", "1"], None),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path(&format!("compared-{k}"));
        let ended = compare(
            &config,
            &out,
            &[&["--set", "train.seed=1,2"][..], &budget, &["--json"]].concat(),
        );
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for line in table_of(&ended) {
            match steps {
                Some(steps) => assert_eq!(line["steps"], steps),
                None => assert!(line["steps"].as_u64().unwrap() > 50),
            }
        }
    }
}
