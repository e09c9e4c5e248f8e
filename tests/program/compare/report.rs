//! Reports: unknown words, and the pages of `wlstm report`.

use std::path::PathBuf;

use crate::common::program::{Folder, metrics, number, text, train, wlstm};
use serde_json::Value;

use super::tools::{VARIANTS, assert_page, compare, small_model, table_of};

/// Models of two comparisons are different models, although they have the same name.
#[test]
fn models_of_two_comparisons_are_two_models() {
    let (folder, config) = small_model();
    let line = [
        "--variants",
        "lstmp,glstm:groups=4",
        "--seeds",
        "2",
        "--steps",
        "2",
    ];
    let (a, b) = (folder.path("a"), folder.path("b"));
    assert_eq!(compare(&config, &a, &line).code, Some(0));
    let wide = [&line[..], &["--set", "model.hidden=64"]].concat();
    assert_eq!(compare(&config, &b, &wide).code, Some(0));
    let page = folder.path("both.html");
    let line = [
        "report",
        text(&a),
        text(&b),
        "--no-samples",
        "--out",
        text(&page),
    ];
    let report = wlstm(&line);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    for model in ["a/lstmp", "b/lstmp", "a/glstm groups=4", "b/glstm groups=4"] {
        assert!(page.contains(model), "{model}");
    }
    assert!(page.contains("means over 2 seeds (1, 2)"));

    // On another validation text, nothing is compared.
    folder.write("valid-2.txt", "a b c\nd e f\n");
    let other = ["--set", "data.valid=valid-2.txt", "--steps", "2"];
    let c = folder.path("c");
    assert_eq!(compare(&config, &c, &other).code, Some(0));
    let page = folder.path("texts.html");
    let line = [
        "report",
        text(&a),
        text(&c),
        "--no-samples",
        "--out",
        text(&page),
    ];
    let report = wlstm(&line);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("The validation texts differ (data.valid), so neither"));
    assert!(!page.contains("no better than"));
}

/// A model that has seen no unknown word in training cannot predict them: there is a warning, and the table has their share.
#[test]
fn unknown_words_have_a_warning_and_a_column() {
    let (folder, config) = small_model();
    let valid = std::fs::read_to_string(folder.path("valid.txt")).unwrap();
    folder.write("valid.txt", valid.replace('a', "z"));
    let all = [&VARIANTS[..], &["--steps", "3"]].concat();
    let out = folder.path("unlearned");
    let ended = compare(&config, &out, &[&all[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warning = "but the training text has none";
    assert_eq!(ended.stderr.matches(warning).count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("data.min_count=2"),
        "{}",
        ended.stderr
    );
    let words = valid.split_whitespace().filter(|word| *word == "a").count();
    let targets = valid.split_whitespace().count() + valid.lines().count();
    for line in table_of(&ended) {
        let share = words as f64 / targets as f64;
        assert!((number(&line, "unknown") - share).abs() < 1e-12, "{line}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<th class=\"number\">unknown words</th>"));
    assert!(page.contains(" %, none learned</td>"));
    // The metrics of older versions do not count unknown words.
    let lines = out.join("lstmp/metrics.jsonl");
    let without = |mut line: Value| {
        let members = line.as_object_mut().expect("an object");
        let new = ["unknown", "bytes", "bits_per_byte"];
        members.retain(|key, _| !new.iter().any(|name| key.starts_with(name)));
        format!("{line}\n")
    };
    let old: String = metrics(&out.join("lstmp"))
        .into_iter()
        .map(without)
        .collect();
    std::fs::write(&lines, old).unwrap();
    let report = wlstm(&["report", text(&out), "--no-samples"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(page.matches(" %, none learned</td>").count(), 4);
    // The training text counts, not the text of the vocabulary.
    let words: String = "<UNK> 0\nb 1\nc 1\nd 1\ne 1\nf 1\n<S> 1\n".to_owned();
    folder.write("words.txt", words);
    let other = [&all[..], &["--set", "data.vocab=words.txt"]].concat();
    let ended = compare(&config, &folder.path("other"), &other);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(warning), "{}", ended.stderr);
    let both = [&other[..], &["--set", "data.min_count=2"]].concat();
    let ended = compare(&config, &folder.path("both"), &both);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    // A word that occurs once becomes unknown, and unknown words are learned.
    let train = std::fs::read_to_string(folder.path("train.txt")).unwrap();
    folder.write("train.txt", format!("{train}b once b\n"));
    let rare = [&all[..], &["--set", "data.min_count=2"]].concat();
    let out = folder.path("learned");
    let ended = compare(&config, &out, &rare);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(warning), "{}", ended.stderr);
    assert!(ended.stdout.contains("unknown"), "{}", ended.stdout);
    let resolved = std::fs::read_to_string(out.join("lstmp/config.toml")).unwrap();
    assert!(resolved.contains("min_count = 2\n"), "{resolved}");
    let none = compare(
        &config,
        &folder.path("none"),
        &[&all[..], &["--set", "data.min_count=9999"]].concat(),
    );
    assert_eq!(none.code, Some(3), "{}", none.stderr);
    assert!(
        none.stderr.contains("no word occurs 9999 times"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_report_of_runs_in_any_state() {
    let (folder, config) = small_model();
    let run = folder.path("done");
    train(
        &config,
        &run,
        "cpu",
        &[
            "--steps",
            "30",
            "--set",
            "train.validate_every=10",
            "--set",
            "train.checkpoint_every=10",
        ],
    );
    let page = std::fs::read_to_string(run.join("report.html")).expect("training leaves a report");
    assert_page(&page, &["small"]);

    // A run that still trains: no end, no sample, an incomplete last line.
    let running = folder.path("running");
    std::fs::create_dir_all(running.join("checkpoints")).unwrap();
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let half: Vec<&str> = lines.lines().take(20).collect();
    std::fs::write(
        running.join("metrics.jsonl"),
        half.join("\n") + "\n{\"kind\":\"st",
    )
    .unwrap();
    let record = std::fs::read_to_string(run.join("run.json")).unwrap();
    std::fs::write(
        running.join("run.json"),
        record.replace("finished", "running"),
    )
    .unwrap();
    std::fs::copy(run.join("config.toml"), running.join("config.toml")).unwrap();
    let report = |arguments: &[&str]| wlstm(&[&["report"], arguments].concat());
    let ended = report(&[text(&running)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let page = std::fs::read_to_string(running.join("report.html")).unwrap();
    assert!(page.contains("<td>running</td>") && page.contains("<svg"));
    // With a checkpoint the report has a sample.
    let checkpoint = "checkpoints/step-00000030.safetensors";
    std::fs::copy(run.join(checkpoint), running.join(checkpoint)).unwrap();
    assert_eq!(report(&[text(&running)]).code, Some(0));
    assert_page(
        &std::fs::read_to_string(running.join("report.html")).unwrap(),
        &["small"],
    );

    // Several runs, and their plots.
    let (out, plots) = (folder.path("both.html"), folder.path("plots"));
    let ended = report(&[
        text(&run),
        text(&running),
        "--out",
        text(&out),
        "--plots",
        text(&plots),
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let written = format!("wrote {}\n", out.display());
    assert!(ended.stdout.starts_with(&written), "{}", ended.stdout);
    assert_page(
        &std::fs::read_to_string(&out).unwrap(),
        &["done", "running"],
    );
    let files: Vec<PathBuf> = std::fs::read_dir(&plots)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let svg = roxmltree::Document::parse(&text).expect("XML");
        assert_eq!(svg.root_element().attribute("width"), Some("960"));
        assert!(svg.descendants().any(|node| node.has_tag_name("path")));
        assert!(
            !text.contains("var("),
            "a plot outside a page cannot use its colours"
        );
    }
}

#[test]
fn a_report_needs_a_run() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("empty")).unwrap();
    folder.write("broken/run.json", "{");
    for name in ["nothing", "empty", "broken"] {
        let ended = wlstm(&["report", text(&folder.path(name))]);
        assert_eq!(ended.code, Some(3), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("help: give the folder of a run"),
            "{name}: {}",
            ended.stderr
        );
    }
    let (folder, config) = small_model();
    let run = folder.path("run");
    train(&config, &run, "cpu", &["--steps", "2"]);
    let file = folder.write("file", "no checkpoint");
    let ended = wlstm(&["report", text(&file)]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("does not belong to a run"),
        "{}",
        ended.stderr
    );
    let checkpoint = run.join("checkpoints/step-00000002.safetensors");
    assert_eq!(wlstm(&["report", text(&checkpoint)]).code, Some(0));
    let ended = wlstm(&[
        "report",
        text(&run),
        "--out",
        text(&folder.path("no/page.html")),
    ]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}
