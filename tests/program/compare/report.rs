//! What is reported: unknown words, and the pages of `wlstm report`.

use std::path::PathBuf;

use crate::common::program::{Folder, metrics, number, text, train, wlstm};
use serde_json::Value;

use super::tools::{VARIANTS, assert_page, compare, place, table_of};

/// A model that has met no unknown word knows nothing of them; the share of them stands beside its perplexity.
#[test]
fn unknown_words_are_told_and_stand_in_the_table() {
    let (folder, config) = place();
    let valid = std::fs::read_to_string(folder.path("valid.txt")).unwrap();
    folder.write("valid.txt", valid.replace('a', "z"));
    let all = [&VARIANTS[..], &["--steps", "3"]].concat();
    let out = folder.path("unlearned");
    let ended = compare(&config, &out, &[&all[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warning = "no word that was trained on so far is unknown";
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
    // A run of an older version does not say.
    let lines = out.join("lstmp/metrics.jsonl");
    let without = |mut line: Value| {
        let members = line.as_object_mut().expect("an object");
        members.retain(|key, _| !key.starts_with("unknown"));
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
    // What counts is the text that is trained on, not that of which the vocabulary is.
    let words: String = "<UNK> 0\nb 1\nc 1\nd 1\ne 1\nf 1\n<S> 1\n".to_owned();
    folder.write("words.txt", words);
    let other = [&all[..], &["--set", "data.vocab=words.txt"]].concat();
    let ended = compare(&config, &folder.path("other"), &other);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(warning), "{}", ended.stderr);
    let both = [&other[..], &["--set", "data.min_count=2"]].concat();
    let ended = compare(&config, &folder.path("both"), &both);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    // A word that comes once is unknown then, and learned as that.
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
        none.stderr.contains("no word comes 9999 times"),
        "{}",
        none.stderr
    );
}

#[test]
fn runs_in_any_state_have_a_report() {
    let (folder, config) = place();
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

    // As while it trains: no end, no sample, half a line.
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
    // With a checkpoint it makes something up.
    let checkpoint = "checkpoints/step-00000030.safetensors";
    std::fs::copy(run.join(checkpoint), running.join(checkpoint)).unwrap();
    assert_eq!(report(&[text(&running)]).code, Some(0));
    assert_page(
        &std::fs::read_to_string(running.join("report.html")).unwrap(),
        &["small"],
    );

    // Several, and their plots.
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
    assert_eq!(ended.stdout, format!("report {}\n", out.display()));
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
            "a file has no page to take colours from"
        );
    }
}

#[test]
fn what_is_no_run_has_no_report() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("empty")).unwrap();
    folder.write("broken/run.json", "{");
    for name in ["nothing", "empty", "broken"] {
        let ended = wlstm(&["report", text(&folder.path(name))]);
        assert_eq!(ended.code, Some(3), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("help: name the folder of a run"),
            "{name}: {}",
            ended.stderr
        );
    }
    let (folder, config) = place();
    let run = folder.path("run");
    train(&config, &run, "cpu", &["--steps", "2"]);
    let file = folder.write("file", "no checkpoint");
    let ended = wlstm(&["report", text(&file)]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("is in no run"), "{}", ended.stderr);
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
