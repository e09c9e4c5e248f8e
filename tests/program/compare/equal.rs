//! `compare --equal`.

use crate::common::program::{number, text, wlstm};
use serde_json::Value;

use super::tools::{VARIANTS, compare, small_model, table_of};

/// The sizes of all models but the first are chosen, and their configurations have the result.
#[test]
fn cells_get_the_parameters_or_the_flops_of_the_first() {
    let (folder, config) = small_model();
    for (equal, member, hidden) in [
        // Two layers of 20 H and the gates: 9,472 parameters of the first model, 512 + 104 H and 104 H of the others.
        ("parameters", "recurrent_parameters", [32, 88, 88]),
        ("flops", "flops_per_word", [32, 96, 96]),
    ] {
        let out = folder.path(equal);
        let more = ["--equal", equal, "--steps", "2", "--json"];
        let sets = ["--variants", "lstmp,flstm:factor=8,glstm:groups=4"];
        let ended = compare(&config, &out, &[&sets[..], &more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let rows = table_of(&ended);
        let target = number(&rows[0], member);
        for (row, hidden) in rows.iter().zip(hidden) {
            let difference = number(row, member) / target - 1.0;
            assert!(difference.abs() <= 0.05, "{equal}: {row}");
            if equal == "parameters" {
                assert_eq!(row["hidden"], hidden, "{row}");
            }
            let run = std::path::Path::new(row["run"].as_str().expect("a folder"));
            let resolved = std::fs::read_to_string(run.join("config.toml")).unwrap();
            let line = format!("\nhidden = {}\n", row["hidden"]);
            assert!(resolved.contains(&line), "{resolved}");
        }
        for label in ["flstm factor=8", "glstm groups=4"] {
            let said = format!("`{label}`: `model.hidden` = ");
            assert_eq!(ended.stderr.matches(&said).count(), 1, "{}", ended.stderr);
        }
        let record = std::fs::read(out.join("compare.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["equal"], equal);
        let resumed = [
            "compare",
            "--resume",
            "--out",
            text(&out),
            "--steps",
            "3",
            "--json",
        ];
        let resumed = wlstm(&[&resumed[..], &["--device", "cpu"]].concat());
        assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
        for (before, after) in rows.iter().zip(table_of(&resumed)) {
            assert_eq!(before["hidden"], after["hidden"]);
            assert_eq!(after["steps"], 3);
        }
    }
}

/// The configured size of a model may be invalid for its groups, because it is replaced.
#[test]
fn sizes_that_do_not_suit_a_cell_are_replaced() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let more = [
        "--set",
        "model.hidden=50",
        "--variants",
        "lstmp,glstm:groups=4",
        "--equal",
        "parameters",
        "--steps",
        "1",
        "--json",
    ];
    let ended = compare(&config, &out, &more);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = table_of(&ended);
    assert_eq!(rows[0]["hidden"], 50);
    assert_eq!(number(&rows[1], "hidden") % 8.0, 0.0);
}

/// The chosen size has a valid adaptive softmax: without a projection, its clusters need 64 cells.
#[test]
fn sizes_suit_an_adaptive_softmax() {
    let (folder, config) = small_model();
    let shared = [
        "--set",
        "softmax.kind=adaptive",
        "--set",
        "softmax.divide=8",
        "--set",
        "softmax.cutoffs=[2,4]",
        "--set",
        "model.hidden=64",
        "--equal",
        "parameters",
        "--steps",
        "2",
    ];
    for (embedding, hidden) in [("28", None), ("4", Some(64))] {
        let out = folder.path(embedding);
        let variants =
            format!("lstmp:projection=0:embedding=8,lstmp:projection=0:embedding={embedding}");
        let more = ["--variants", &variants, "--json"];
        let ended = compare(&config, &out, &[&shared[..], &more].concat());
        let Some(hidden) = hidden else {
            assert_eq!(ended.code, Some(2), "{}", ended.stderr);
            let said = "cannot equal `lstmp projection=0 embedding=8`: the nearest size, `model.hidden` = 64";
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
            assert!(!out.exists());
            continue;
        };
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let rows = table_of(&ended);
        assert_eq!(rows[1]["hidden"], hidden);
        assert_eq!(rows[1]["status"], "finished");
        let resumed = ["compare", "--resume", "--out", text(&out), "--steps", "3"];
        let resumed = wlstm(&[&resumed[..], &["--device", "cpu"]].concat());
        assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
        let report = wlstm(&["report", text(&out), "--no-samples"]);
        assert_eq!(report.code, Some(0), "{}", report.stderr);
    }
}

#[test]
fn what_cannot_be_equal_is_refused_by_name() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    for (more, said) in [
        (
            &["--variants", "lstmp,glstm:groups=4:hidden=64"][..],
            "`model.hidden` is given by --variants",
        ),
        (
            &["--set", "model.hidden=32,64"],
            "`model.hidden` is given by several values",
        ),
        (&[], "only one model"),
        // 104 H parameters, and 2,368 of the first model.
        (
            &[
                "--variants",
                "lstmp,glstm:groups=4",
                "--set",
                "model.hidden=8",
            ],
            "`glstm groups=4` cannot equal `lstmp`: the nearest size, `model.hidden` = 24, has 2,496 recurrent parameters, 5.4 % more",
        ),
    ] {
        let line = [more, &["--equal", "parameters", "--steps", "1"]].concat();
        let ended = compare(&config, &out, &line);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!out.exists());
    }
    let line = [&VARIANTS[..], &["--equal", "bytes", "--steps", "1"]].concat();
    assert_eq!(compare(&config, &out, &line).code, Some(2));
}
