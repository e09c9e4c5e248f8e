//! Features for large models do not change results: split bindings, tables on the host, several devices, validation on
//! some of the targets.

use std::path::PathBuf;

use crate::common::program::{checkpoint, lines_of, losses, number, train, wlstm};
use crate::common::{Trial, on_every_gpu};
use crate::runs::{Outcome, Text, alike, last};
use serde_json::Value;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut everywhere = |name: &str, check: fn(&str) -> Outcome| {
        trials.push(Trial::test(format!("{name}::cpu"), move || check("cpu")));
        trials.extend(on_every_gpu(name, move |gpu| {
            check(&format!("gpu:{}", gpu.adapter.summary.index))
        }));
    };
    everywhere("bindings", bindings);
    everywhere("tables_on_the_host", tables_on_the_host);
    everywhere("tables_move_between_runs", tables_move_between_runs);
    everywhere("devices_and_micro_batches", devices_and_micro_batches);
    everywhere("devices_stop_and_resume", devices_stop_and_resume);
    trials.push(Trial::test("validate_targets", validate_targets));
    trials
}

const ADAPTIVE: &str = "softmax.kind=adaptive";
const CUTOFFS: &str = "softmax.cutoffs=[4, 11]";
const DROPOUT: &str = "softmax.dropout=0.4";

const CONFIG: &str = r#"
[model]
cell = ["glstm", "flstm"]
embedding = 16
hidden = 32
projection = 16
groups = 2
factor = 5
dropout = 0.3
[softmax]
samples = 20
[data]
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 3
unroll = 5
ema = 0.9
steps = 12
validate_every = 5
checkpoint_every = 5
keep = 1000
"#;

impl Text {
    fn run(&self, name: &str, device: &str, sets: &[&str], more: &[&str]) -> PathBuf {
        let run = self.folder.path(name);
        let mut arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        arguments.extend(more);
        train(&self.config, &run, device, &arguments);
        run
    }
}

/// Small bindings split steps into parts and tables into buffers. The results agree up to rounding.
fn bindings(device: &str) -> Outcome {
    let text = Text::new(CONFIG, 300);
    for (kind, sets) in [
        ("sampled", vec!["train.steps=6"]),
        (
            "tied",
            vec![
                "train.steps=6",
                "model.tied=true",
                "train.optimizer=adam",
                "train.learning_rate=0.003",
            ],
        ),
        (
            "full",
            vec!["train.steps=6", "softmax.kind=full", "train.recipe=plain"],
        ),
        (
            "adaptive",
            vec!["train.steps=6", ADAPTIVE, CUTOFFS, DROPOUT],
        ),
        (
            "mixed",
            vec![
                "train.steps=6",
                "softmax.kind=full",
                "train.precision=mixed",
            ],
        ),
    ] {
        let whole = text.run(&format!("whole-{kind}"), device, &sets, &[]);
        let parts = [sets.as_slice(), &["device.max_binding=4096"]].concat();
        let parts = text.run(&format!("parts-{kind}"), device, &parts, &[]);
        let tolerance = if kind.starts_with("mixed") {
            1e-2
        } else {
            1e-4
        };
        alike(&whole, &parts, tolerance).map_err(|error| format!("{kind}: {error:?}"))?;
    }
    Ok(())
}

/// With tables on the host the bits are the same, however few rows are on the device at once.
fn tables_on_the_host(device: &str) -> Outcome {
    let text = Text::new(CONFIG, 300);
    for (kind, sets) in [
        ("paper", vec![]),
        (
            "plain",
            vec![
                "train.recipe=plain",
                "train.optimizer=adam",
                "train.learning_rate=0.003",
            ],
        ),
        (
            "tied",
            vec!["model.tied=true", "train.optimizer=momentum", "train.ema=0"],
        ),
        ("adaptive", vec![ADAPTIVE, CUTOFFS, DROPOUT]),
        ("f32x3", vec!["train.precision=f32x3"]),
    ] {
        let on_device = text.run(&format!("device-{kind}"), device, &sets, &[]);
        for (rows, name) in [("1", "few"), ("0", "some")] {
            let rows = format!("device.table_rows={rows}");
            let more = [sets.as_slice(), &["model.tables=host", &rows]].concat();
            let host = text.run(&format!("{name}-{kind}"), device, &more, &[]);
            alike(&on_device, &host, 0.0).map_err(|error| format!("{kind}, {name}: {error:?}"))?;
        }
        let more = [
            "model.tables=host",
            "device.table_rows=1",
            "device.max_binding=4096",
        ];
        let more = [sets.as_slice(), &more].concat();
        let cut = text.run(&format!("cut-{kind}"), device, &more, &[]);
        alike(&on_device, &cut, 1e-4).map_err(|error| format!("{kind}, cut: {error:?}"))?;
    }
    Ok(())
}

/// A run may be resumed with its tables elsewhere, and its checkpoints can be used with the tables on the device.
fn tables_move_between_runs(device: &str) -> Outcome {
    tables_move(device, &[])?;
    tables_move(device, &[ADAPTIVE, CUTOFFS, DROPOUT])
        .map_err(|error| format!("adaptive: {error:?}").into())
}

fn tables_move(device: &str, sets: &[&str]) -> Outcome {
    let text = Text::new(CONFIG, 300);
    let whole = text.run("whole", device, sets, &[]);
    let on_host = [sets, &["model.tables=host"]].concat();
    let parts = text.run("parts", device, &on_host, &["--steps", "4"]);
    text.run(
        "parts",
        device,
        &[sets, &["device.table_rows=1"]].concat(),
        &["--steps", "7", "--resume"],
    );
    let on_host = [sets, &["model.tables=host", "device.table_rows=1"]].concat();
    text.run("parts", device, &on_host, &["--steps", "12", "--resume"]);
    let (want, got) = (last(&whole), last(&parts));
    if want.tensors != got.tensors || losses(&whole) != losses(&parts) {
        return Err("moving the tables changed the run".into());
    }
    // The last checkpoint of `parts` has its tables on the host, that of `whole` on the device.
    let file = text.folder.path("valid.txt");
    let file = file.to_str().expect("a Unicode path");
    for command in ["eval", "score", "generate"] {
        let mut said = Vec::new();
        for run in [&whole, &parts] {
            let run = checkpoint(run, 12);
            let mut arguments = vec![command, run.to_str().expect("a Unicode path")];
            match command {
                "eval" => arguments.extend(["--data", file]),
                "score" => arguments.push(file),
                _ => arguments.extend(["--tokens", "30", "--seed", "5"]),
            }
            arguments.extend(["--device", device]);
            let ended = wlstm(&arguments);
            if ended.code != Some(0) || ended.stdout.is_empty() {
                return Err(format!("{arguments:?}: {}", ended.stderr).into());
            }
            said.push(ended.stdout);
        }
        // On a GPU the score of a line may differ by rounding.
        let is_same = match command {
            "score" if device != "cpu" => same_scores(&said[0], &said[1]),
            _ => said[0] == said[1],
        };
        if !is_same {
            return Err(format!("{command}: {} and {}", said[0], said[1]).into());
        }
    }
    Ok(())
}

/// Whether the log-probabilities of lines are equal up to rounding, and everything else is the same.
fn same_scores(one: &str, other: &str) -> bool {
    one.lines().count() == other.lines().count()
        && one.lines().zip(other.lines()).all(|(one, other)| {
            let split = |line: &str| {
                let (number, rest) = line.split_once('\t').expect("a score");
                (number.parse::<f64>().expect("a number"), rest.to_owned())
            };
            let ((x, one), (y, other)) = (split(one), split(other));
            one == other && (x - y).abs() <= 1e-6 * x.abs()
        })
}

/// Two devices, or two micro-batches, equal one device with twice the streams: with the recipe `plain` in
/// every case, with `paper` for micro-batches.
fn devices_and_micro_batches(device: &str) -> Outcome {
    let text = Text::new(CONFIG, 300);
    let twice = ["--device", device];
    let plain = "train.recipe=plain";
    for (kind, sets) in [
        ("sampled", vec![plain]),
        (
            "tied",
            vec![
                plain,
                "model.tied=true",
                "train.optimizer=momentum",
                "train.learning_rate=0.05",
            ],
        ),
        ("full", vec![plain, "softmax.kind=full"]),
        ("adaptive", vec![plain, ADAPTIVE, CUTOFFS, DROPOUT]),
        (
            "mixed-adaptive",
            vec![plain, ADAPTIVE, CUTOFFS, DROPOUT, "train.precision=mixed"],
        ),
        (
            "host",
            vec![plain, "model.tables=host", "device.table_rows=1"],
        ),
        ("mixed", vec![plain, "train.precision=mixed"]),
        ("f32x3", vec![plain, "train.precision=f32x3"]),
        ("paper", vec![]),
    ] {
        // No validation: its result depends on the number of streams, each of which carries a state.
        let run = |name: &str, more: &[&str], devices: &[&str]| {
            let sets = [
                sets.as_slice(),
                &["train.steps=20", "train.ema=0", "data.valid=[]"],
                more,
            ]
            .concat();
            text.run(&format!("{name}-{kind}"), device, &sets, devices)
        };
        let tolerance = if kind.starts_with("mixed") {
            1e-2
        } else {
            1e-5
        };
        let one = run("one", &["train.batch=4"], &[]);
        let micro_batches = run(
            "micro-batches",
            &["train.batch=2", "train.accumulate=2"],
            &[],
        );
        alike(&one, &micro_batches, tolerance)
            .map_err(|error| format!("{kind}, micro-batches: {error:?}"))?;
        if kind == "paper" {
            continue;
        }
        let two = run("two", &["train.batch=2"], &twice);
        alike(&one, &two, tolerance).map_err(|error| format!("{kind}, devices: {error:?}"))?;
        // Two devices of different kinds.
        let other = run("other", &["train.batch=2"], &["--device", "cpu"]);
        alike(&one, &other, tolerance)
            .map_err(|error| format!("{kind}, another device: {error:?}"))?;
        let four = run("four", &["train.batch=1", "train.accumulate=2"], &twice);
        alike(&one, &four, tolerance).map_err(|error| format!("{kind}, both: {error:?}"))?;
    }
    Ok(())
}

/// A run on several devices that stops and is resumed equals the run that never stopped. Another number of devices is refused.
fn devices_stop_and_resume(device: &str) -> Outcome {
    let text = Text::new(CONFIG, 300);
    let twice = ["--device", device];
    let sets = ["train.accumulate=2", "train.batch=2"];
    let in_parts = |precision: &str| {
        let set = format!("train.precision={precision}");
        let sets = [&sets[..], &[&*set]].concat();
        let run = |what: &str, more: &[&str]| {
            let name = format!("{what}-{precision}");
            text.run(&name, device, &sets, &[&twice[..], more].concat())
        };
        let whole = run("whole", &[]);
        run("parts", &["--steps", "7"]);
        let parts = run("parts", &["--steps", "12", "--resume"]);
        let (want, got) = (last(&whole), last(&parts));
        if want.tensors != got.tensors || losses(&whole) != losses(&parts) {
            return Err(format!("stopping changed a run on two devices in {precision}").into());
        }
        Ok::<_, libtest_mimic::Failed>(parts)
    };
    for precision in ["mixed", "f32x3"] {
        in_parts(precision)?;
    }
    let parts = in_parts("f32")?;
    let config = text.config.to_str().expect("a Unicode path");
    let out = parts.to_str().expect("a Unicode path");
    let mut arguments = vec![
        "train", config, "--out", out, "--device", device, "--resume",
    ];
    arguments.extend(["--steps", "20", "--set", sets[0], "--set", sets[1]]);
    let ended = wlstm(&arguments);
    match ended.code {
        Some(2) if ended.stderr.contains("8 streams") => Ok(()),
        code => Err(format!("{code:?}: {}", ended.stderr).into()),
    }
}

/// `train.validate_targets` validates on a subset of the targets, always the same.
fn validate_targets() -> Outcome {
    let text = Text::new(CONFIG, 300);
    let part = text.run(
        "part",
        "cpu",
        &["train.validate_targets=17", "train.ema=0"],
        &[],
    );
    let lines = lines_of(&part, "valid");
    if lines.len() != 3 || lines.iter().any(|line| number(line, "targets") != 17.0) {
        return Err(format!("{lines:?}").into());
    }
    let run = part.to_str().expect("a Unicode path");
    let file = text.folder.path("valid.txt");
    let file = file.to_str().expect("a Unicode path");
    let document = |targets: &str| -> Value {
        let line = ["eval", run, "--data", file, "--streams", "3", "--json"];
        let ended = wlstm(&[&line[..], &["--targets", targets]].concat());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    };
    // `eval` uses the best checkpoint, which was validated on the same targets.
    let best = lines.iter().map(|line| number(line, "perplexity"));
    let best = best.fold(f64::INFINITY, f64::min);
    let again = document("17");
    let all = document("0");
    let same = (number(&again, "perplexity") - best).abs() < 1e-9 * best;
    if !same || number(&again, "targets") != 17.0 || number(&all, "targets") < 40.0 {
        return Err(format!("{best}, {again}, {all}").into());
    }
    Ok(())
}
