//! `wlstm compare` and `wlstm report`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::program::{
    Dice, Ended, Folder, lines_of, losses, metrics, number, program, text, train, wlstm,
};
use serde_json::Value;

/// A configuration of a small model, and its texts.
fn place() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e", "f"];
    folder.write("train.txt", Dice(1).text(400, 9, &words));
    folder.write("valid.txt", Dice(2).text(30, 9, &words));
    let config = folder.write(
        "small.toml",
        "[model]\ncell = \"lstmp\"\nlayers = 2\nembedding = 16\nhidden = 32\nprojection = 16\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
         [train]\nbatch = 4\nunroll = 5\nema = 0.0\nvalidate_every = 0\ncheckpoint_every = 0\n",
    );
    (folder, config)
}

fn compare(config: &Path, out: &Path, more: &[&str]) -> Ended {
    let line = [
        "compare",
        text(config),
        "--out",
        text(out),
        "--device",
        "cpu",
    ];
    wlstm(&[&line, more].concat())
}

const VARIANTS: [&str; 2] = ["--variants", "lstmp,flstm:factor=4,glstm:groups=4"];

fn table_of(ended: &Ended) -> Vec<Value> {
    let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON document");
    found.as_array().expect("a list of models").clone()
}

#[test]
fn three_cells_are_in_one_table_and_train_as_if_alone() {
    let (folder, config) = place();
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
        // (I+P)*4H + 4H + H*P, (I+P)*r + r*4H + ..., (I+P)*4H/G + ..., twice.
        2 * (32 * 128 + 128 + 512),
        2 * (32 * 4 + 4 * 128 + 128 + 512),
        2 * (32 * 128 / 4 + 128 + 512),
    ];
    for (line, recurrent) in lines.iter().zip(recurrent) {
        assert_eq!(line["recurrent_parameters"], recurrent);
        assert_eq!((&line["steps"], &line["words"]), (&12.into(), &240.into()));
        assert_eq!(line["status"], "finished");
        // The first step is for warming up.
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
    // 6 for each element of a matrix and of the softmax, which the three share.
    let softmax = number(&lines[0], "parameters") - number(&lines[0], "recurrent_parameters");
    let words = (softmax / 33.0).round();
    let flops = |matrices: f64| matrices + words * 16.0;
    let dense = flops(2.0 * f64::from(32 * 128 + 512));
    let grouped = flops(2.0 * f64::from(32 * 32 + 512));
    assert!((number(&lines[2], "speedup_by_flops") / (dense / grouped) - 1.0).abs() < 1e-9);

    // Each is a run like any other, and what it computes does not depend on its company.
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

    // The files say the same.
    let record: Value =
        serde_json::from_slice(&std::fs::read(out.join("compare.json")).unwrap()).unwrap();
    // But for the folders of the runs: that of the comparison may be moved.
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

/// A page with everything in it.
fn assert_page(page: &str, labels: &[&str]) {
    for fetches in ["src=", "<link", "<script", "url(", "@import"] {
        assert!(!page.contains(fetches), "the page has `{fetches}`");
    }
    let addresses = page.matches("http").count();
    assert_eq!(
        addresses,
        page.matches("http://www.w3.org/2000/svg").count()
    );
    for part in [
        "<svg",
        "<table",
        "prefers-color-scheme",
        "@media print",
        "Samples",
        "cell = ",
    ] {
        assert!(page.contains(part), "the page has no `{part}`");
    }
    for label in labels {
        assert!(page.contains(label), "the page has no `{label}`");
    }
    // Its pictures are whole.
    let mut rest = page;
    while let Some(begin) = rest.find("<svg") {
        let end = begin + rest[begin..].find("</svg>").expect("an end") + "</svg>".len();
        roxmltree::Document::parse(&rest[begin..end]).expect("a picture that is XML");
        rest = &rest[end..];
    }
}

#[test]
fn turns_change_no_result() {
    let (folder, config) = place();
    let out = folder.path("compared");
    // Turns are of a second.
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
        // They are counted at the end of the last step; the clock is looked at before the next one.
        assert!((2.4..2.9).contains(&seconds), "{seconds} seconds");
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
fn budgets_are_what_they_say() {
    let (folder, config) = place();
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

#[test]
fn one_that_fails_does_not_lose_the_others() {
    let (folder, config) = place();
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
    assert_eq!(lines.len(), 3, "{}", ended.stdout);
    assert!(
        lines[1].ends_with("diverged") && lines[2].ends_with("finished"),
        "{}",
        ended.stdout
    );
    let other = out.join("learning_rate-0.1");
    assert_eq!(losses(&other).len(), 9);
    assert!(out.join("report.html").is_file());
}

#[cfg(unix)]
#[test]
fn after_ctrl_c_it_goes_on() {
    let (folder, config) = place();
    let out = folder.path("compared");
    let line = [
        "compare",
        text(&config),
        "--out",
        text(&out),
        "--device",
        "cpu",
        "--seconds",
        "3",
    ];
    let mut child = program();
    child.args(line).args(VARIANTS);
    let child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    // In the midst of the turns of the first.
    while metrics(&out.join("lstmp")).len() < 12 {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it does not train"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("compare --resume --out"),
        "{}",
        ended.stderr
    );
    let before = losses(&out.join("lstmp"));
    // With another budget, which all have then.
    let limit = before.len() as u64 + 5;
    let steps = limit.to_string();
    let resumed = wlstm(&[
        "compare",
        "--resume",
        "--out",
        text(&out),
        "--steps",
        &steps,
        "--json",
        "--device",
        "cpu",
    ]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    let lines = table_of(&resumed);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["steps"] == limit));
    let after = losses(&out.join("lstmp"));
    assert!(before.iter().all(|(step, loss)| after[step] == *loss));
    // Nothing is left to do, and the table comes again.
    let again = wlstm(&[
        "compare",
        "--resume",
        "--out",
        text(&out),
        "--json",
        "--device",
        "cpu",
    ]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(table_of(&again).len(), 3);
}

#[test]
fn the_first_of_all_may_fail_before_it_begins() {
    let (folder, config) = place();
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
    // It stays the one that the others are measured against, and has no speed.
    assert!(lines[0]["recurrent_parameters"].as_u64().unwrap() > 10_000_000);
    assert!(lines[1]["speedup"].is_null() && lines[1]["share_reached"].is_null());
    let record = std::fs::read_to_string(out.join("compare.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["status"], "failed");
}

#[test]
fn a_text_that_cannot_be_read_is_one_error() {
    let (folder, config) = place();
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
fn wrong_comparisons_are_refused_before_any_work() {
    let (folder, config) = place();
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
        (
            &["--set", "model.hidden=16,32"],
            "nothing ends this training",
        ),
        (
            &["--set", "train.steps=3,4"],
            "end their trainings differently",
        ),
        (
            &["--steps", "2", "--resume"],
            "has the models that it was begun with",
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
        (
            "characters.toml",
            "[data]",
            "[data]\ntokens = \"characters\"",
        ),
        ("sizes.toml", "[data]", "[data]\nvocab_size = 4"),
        (
            "texts.toml",
            "valid = [\"valid.txt\"]",
            "valid = [\"train.txt\"]",
        ),
    ] {
        let other = folder.write(name, text_of.replace(before, after));
        let ended = compare(&config, &out, &[text(&other), "--steps", "2"]);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("are no comparison"),
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

/// What is proposed at the end can be typed, and trains for ten times as long.
#[cfg(unix)]
#[test]
fn what_comes_next_can_be_typed() {
    let (folder, config) = place();
    let typed = |line: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).current_dir(folder.path(""));
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    };
    let proposed = |ended: &Ended| -> Vec<String> {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let next = ended.stderr.split("\nNext, ").nth(1);
        let lines = next.expect("what comes next").lines().skip(1);
        lines.map(|line| line.trim().to_owned()).collect()
    };
    // An epoch has some 200 steps.
    for (k, (budget, steps)) in [
        (["--steps", "2"], 20..=20),
        (["--words", "60"], 30..=30),
        (["--epochs", "1"], 1000..=4000),
        (["--seconds", "0.05"], 1..=100_000),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path(&format!("compared {k}"));
        let ended = compare(&config, &out, &[&VARIANTS[..], &budget].concat());
        assert!(ended.stderr.contains("report.html`"), "{}", ended.stderr);
        let lines = proposed(&ended);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let run = folder.path(&format!("next-{k}"));
        typed(&lines[0]);
        typed(&format!("{} --out {}", lines[1], text(&run)));
        let done = lines_of(&run, "step")
            .last()
            .map(|line| number(line, "step") as u64);
        assert!(
            done.is_some_and(|done| steps.contains(&done)),
            "{lines:?}: {done:?}"
        );
    }
    let factorize = [
        "factorize",
        "compared 0/lstmp",
        "--factor",
        "4",
        "--device",
        "cpu",
        "--out",
        "of factors",
    ];
    let ended = program()
        .args(factorize)
        .current_dir(folder.path(""))
        .output();
    let lines = proposed(&ended.unwrap().into());
    assert_eq!(lines.len(), 1, "{lines:?}");
    typed(&lines[0]);
    assert_eq!(lines_of(&folder.path("of factors-tuned"), "step").len(), 1);
}

/// A model of a comparison is not trained on by itself: the table would compare what is not alike.
#[test]
fn a_run_of_a_comparison_goes_on_with_the_others_alone() {
    let (folder, config) = place();
    let out = folder.path("compared");
    let ended = compare(&config, &out, &[&VARIANTS[..], &["--steps", "2"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let own = out.join("lstmp/config.toml");
    let before = folder.snapshot();
    for more in [&[][..], &["--out", text(&out.join("lstmp"))]] {
        let line = [
            "train",
            text(&own),
            "--resume",
            "--steps",
            "9",
            "--device",
            "cpu",
        ];
        let ended = wlstm(&[&line[..], more].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("is a run of the comparison"),
            "{}",
            ended.stderr
        );
        assert!(folder.snapshot() == before);
    }
    // Without its text it is told what can be done.
    std::fs::rename(folder.path("train.txt"), folder.path("elsewhere.txt")).unwrap();
    let line = ["compare", "--resume", "--steps", "4", "--out", text(&out)];
    let ended = wlstm(&line);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("put the text back"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("--set"), "{}", ended.stderr);
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
