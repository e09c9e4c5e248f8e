//! `compare --seeds`.

use std::path::Path;

use crate::common::program::{checkpoint, losses, number, text, train, wlstm};
use serde_json::Value;

use super::tools::{compare, small_model, table_of};

fn runs(row: &Value) -> &Vec<Value> {
    row["over_seeds"]["runs"].as_array().expect("runs")
}

fn of_runs(row: &Value, member: &str) -> Vec<f64> {
    runs(row).iter().map(|run| number(run, member)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2));
    squares.sum::<f64>() / (values.len() as f64 - 1.0)
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}

/// The rows have the means and sample standard deviations of the runs.
#[test]
fn every_model_has_every_seed() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let line = [
        "--set",
        "model.hidden=32,48",
        "--seed",
        "7",
        "--steps",
        "24",
    ];
    let more = ["--seeds", "3", "--set", "train.validate_every=8", "--json"];
    let ended = compare(&config, &out, &[&line[..], &more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = "Comparing 2 models with 3 seeds, 24 steps each";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let rows = table_of(&ended);
    assert_eq!(rows.len(), 2);
    for (row, hidden) in rows.iter().zip(["32", "48"]) {
        assert_eq!(row["model"], format!("hidden={hidden}"));
        let seeds = &row["over_seeds"];
        assert_eq!(seeds["seeds"], serde_json::json!([7, 8, 9]));
        assert_eq!(seeds["measured"], 3);
        for member in [
            "perplexity",
            "last_perplexity",
            "bits_per_byte",
            "last_bits_per_byte",
        ] {
            let values = of_runs(row, member);
            assert!(close(number(row, member), mean(&values)), "{member}: {row}");
            let deviation = number(seeds, &format!("{member}_deviation"));
            assert!(
                close(deviation, variance(&values).sqrt()),
                "{member}: {row}"
            );
            assert!(deviation > 0.0);
        }
        for (run, seed) in runs(row).iter().zip(["7", "8", "9"]) {
            assert_eq!(run["model"], format!("hidden={hidden}, seed {seed}"));
            let place = out.join(format!("hidden-{hidden}-seed-{seed}"));
            assert_eq!(run["run"], text(&place));
        }
        // The mean over the pairs, if each pair has a value.
        let pairs = runs(row).iter().map(|run| run["sooner"].as_f64());
        let expected = pairs.collect::<Option<Vec<f64>>>().map(|all| mean(&all));
        assert_eq!(row["sooner"].as_f64(), expected, "{row}");
        assert!(hidden == "48" || expected == Some(1.0), "{row}");
    }
    // A run is the same as one outside a comparison.
    let alone = folder.path("alone");
    let sets = ["--set", "model.hidden=48", "--seed", "8", "--steps", "24"];
    train(&config, &alone, "cpu", &sets);
    assert_eq!(losses(&out.join("hidden-48-seed-8")), losses(&alone));

    // The distance from the best mean, with the standard error of both.
    let perplexities = rows.iter().map(|row| number(row, "perplexity"));
    let perplexities: Vec<f64> = perplexities.collect();
    let best = usize::from(perplexities[1] < perplexities[0]);
    assert!(rows[best]["over_seeds"]["from_best"].is_null());
    let from_best = &rows[1 - best]["over_seeds"]["from_best"];
    assert_eq!(from_best["best"], rows[best]["model"]);
    let difference = (perplexities[0] - perplexities[1]).abs();
    assert!(close(number(from_best, "difference"), difference));
    let parts = rows
        .iter()
        .map(|row| variance(&of_runs(row, "perplexity")) / 3.0);
    let error = parts.sum::<f64>().sqrt();
    assert!(close(number(from_best, "standard_error"), error));
    let degrees = number(from_best, "degrees_of_freedom");
    assert!((2.0..=4.0).contains(&degrees), "{degrees}");
    // Student's t is 4.303 for 2 degrees of freedom and 2.776 for 4.
    let margin = number(from_best, "margin");
    assert!((2.776..4.303).contains(&(margin / error)), "{from_best}");
    let within = difference <= margin;
    assert_eq!(from_best["within_spread"], within);
    let markdown = std::fs::read_to_string(out.join("compare.md")).unwrap();
    assert!(
        markdown.contains(" ± ") && markdown.contains("means over 3 seeds (7, 8, 9)"),
        "{markdown}"
    );
    assert_eq!(
        markdown.contains("is not significant"),
        within,
        "{markdown}"
    );
    let csv = std::fs::read_to_string(out.join("compare.csv")).unwrap();
    assert!(
        csv.contains("perplexity_deviation") && csv.lines().count() == 3,
        "{csv}"
    );

    // The report has a band for each model and a row for each run.
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.matches("fill-opacity").count() >= 8, "bands");
    assert!(page.contains("<td>hidden=32, seed 9</td>"));
    let again = wlstm(&["report", text(&out), "--no-samples"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);

    let resumed = ["compare", "--resume", "--out", text(&out), "--steps", "30"];
    let resumed = wlstm(&[&resumed[..], &["--device", "cpu"]].concat());
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stdout.contains(" ± "), "{}", resumed.stdout);
    for (hidden, seed) in [(32, 7), (48, 9)] {
        let run = out.join(format!("hidden-{hidden}-seed-{seed}"));
        assert_eq!(losses(&run).len(), 30);
    }
    let record = std::fs::read(out.join("compare.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let relative = &runs(&record["results"][1])[2]["run"];
    assert_eq!(
        Path::new(relative.as_str().unwrap()),
        Path::new("hidden-48-seed-9")
    );
}

/// A seed that diverged and one that did not reach the budget are in no mean, in no pair and in no curve.
#[test]
fn incomplete_seeds_are_left_out() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let line = ["--set", "model.hidden=32,48", "--seed", "7", "--seeds", "3"];
    let more = ["--set", "train.validate_every=4", "--steps", "12"];
    let ended = compare(&config, &out, &[&line[..], &more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The first model diverges with seed 8. The second model cannot be resumed with seed 9.
    let diverges = checkpoint(&out.join("hidden-32-seed-8"), 12);
    let mut bytes = std::fs::read(&diverges).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("layers.0.gates.weight").unwrap().data();
    let at = tensor.as_ptr() as usize - bytes.as_ptr() as usize;
    let huge: Vec<u8> = (0..tensor.len() / 4)
        .flat_map(|k| if k % 2 == 0 { 3e38_f32 } else { -3e38 }.to_le_bytes())
        .collect();
    bytes[at..at + huge.len()].copy_from_slice(&huge);
    std::fs::write(&diverges, bytes).unwrap();
    std::fs::write(checkpoint(&out.join("hidden-48-seed-9"), 12), "damaged").unwrap();
    let resumed = ["compare", "--resume", "--out", text(&out), "--steps", "20"];
    let resumed = wlstm(&[&resumed[..], &["--device", "cpu", "--json"]].concat());
    assert_eq!(resumed.code, Some(5), "{}", resumed.stderr);

    let rows = table_of(&resumed);
    let complete = [[true, false, true], [true, true, false]];
    for (row, complete) in rows.iter().zip(complete) {
        let found: Vec<Value> = runs(row)
            .iter()
            .map(|run| run["complete"].clone())
            .collect();
        assert_eq!(found, complete, "{row}");
        assert_eq!(row["over_seeds"]["measured"], 2);
        assert_eq!(
            (&row["steps"], &row["complete"]),
            (&20.into(), &false.into())
        );
        let of_complete = |member: &str| -> Vec<f64> {
            let kept = runs(row).iter().filter(|run| run["complete"] == true);
            kept.map(|run| number(run, member)).collect()
        };
        for member in ["perplexity", "last_perplexity", "words_per_second"] {
            let expected = mean(&of_complete(member));
            assert!(close(number(row, member), expected), "{member}: {row}");
        }
    }
    assert_eq!(runs(&rows[0])[1]["status"], "diverged");
    // Only seed 7 is a pair of the second model.
    assert_eq!(rows[1]["sooner"], runs(&rows[1])[0]["sooner"]);
    assert_eq!(rows[1]["speedup"], runs(&rows[1])[0]["speedup"]);
    assert!(runs(&rows[1])[1]["sooner"].is_null() && runs(&rows[1])[1]["speedup"].is_null());
    let markdown = std::fs::read_to_string(out.join("compare.md")).unwrap();
    let said = "`hidden=32` has 2 of 3, `hidden=48` has 2 of 3.";
    assert!(markdown.contains(said), "{markdown}");

    // The curves reach the end, and have bands of two runs.
    let (plots, page) = (folder.path("plots"), folder.path("page.html"));
    let line = [
        "report",
        text(&out),
        "--no-samples",
        "--plots",
        text(&plots),
    ];
    let ended = wlstm(&[&line[..], &["--out", text(&page)]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<code>hidden=32</code> has 2 of 3"), "{page}");
    let curves = std::fs::read_to_string(plots.join("perplexity-by-step.svg")).unwrap();
    assert_eq!(curves.matches("fill-opacity").count(), 2, "{curves}");
    for model in ["hidden=32", "hidden=48"] {
        let points = curves
            .split("<title>")
            .filter(|point| point.starts_with(model));
        let steps: Vec<&str> = points
            .filter_map(|point| point.split_once("</title>")?.0.rsplit(' ').next())
            .collect();
        assert_eq!(steps, ["4", "8", "12", "16", "20"], "{model}");
    }
}

#[test]
fn seeds_that_cannot_be_paired_are_refused() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    for (more, said) in [
        (&["--seeds", "0"][..], "a whole number from 1 to 100"),
        (
            &["--seeds", "2", "--set", "train.seed=1,2"],
            "differ in train.seed",
        ),
        (
            &["--seeds", "2", "--seed", "9223372036854775807"],
            "too large",
        ),
    ] {
        let ended = compare(&config, &out, &[more, &["--steps", "1"]].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!out.exists());
    }
}

/// Models with different batches validate in the same number of streams, which the record keeps.
#[test]
fn all_models_validate_in_the_same_streams() {
    let (folder, config) = small_model();
    let out = folder.path("compared");
    let line = ["--set", "train.batch=6,3,4", "--steps", "2", "--json"];
    let ended = compare(&config, &out, &line);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let streams: Vec<Value> = table_of(&ended)
        .iter()
        .map(|row| row["streams"].clone())
        .collect();
    assert_eq!(streams, [3, 3, 3]);
    for (batch, own) in [(6, "3"), (3, "\"auto\""), (4, "3")] {
        let resolved = out.join(format!("batch-{batch}/config.toml"));
        let resolved = std::fs::read_to_string(resolved).unwrap();
        assert!(
            resolved.contains(&format!("\nvalidate_streams = {own}\n")),
            "{resolved}"
        );
    }
    let markdown = std::fs::read_to_string(out.join("compare.md")).unwrap();
    assert!(
        markdown.contains("All models were validated in 3 streams."),
        "{markdown}"
    );
    // The plan of validations is the same for all models, and is printed once.
    let said = "A validation at the end of each epoch";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
}
