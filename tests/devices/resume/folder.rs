//! The folder of a resumed run.

use crate::common::folder::snapshot;
use crate::common::program::{Ended, lines_of, program, train, training, wlstm};
use serde_json::Value;

use super::tools::{FULL, Outcome, SAMPLED, Text, loss_bits};

pub fn partial_files_are_removed() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let partial = [".wlstm-partial-a", "checkpoints/.wlstm-partial-b"];
    for name in partial {
        std::fs::write(run.join(name), "half a file")?;
    }
    text.run("run", "cpu", &["--steps", "6", "--resume"]);
    for name in partial {
        if run.join(name).exists() {
            return Err(format!("`{name}` is still there").into());
        }
    }
    Ok(())
}

pub fn a_finished_run_is_not_changed() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "11"]);
    let (before, losses_before) = (snapshot(&run.join("checkpoints")), loss_bits(&run));
    text.run("run", "cpu", &["--steps", "11", "--resume"]);
    // A limit below the steps that are done changes nothing either.
    text.run("run", "cpu", &["--steps", "4", "--resume"]);
    if snapshot(&run.join("checkpoints")) != before || loss_bits(&run) != losses_before {
        return Err("a finished run was changed".into());
    }
    Ok(())
}

/// The best checkpoint is chosen by one validation text and one number of its targets. The record has the perplexity of the last
/// checkpoint too.
pub fn the_best_checkpoint_has_one_criterion() -> Outcome {
    let text = Text::new(FULL);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let record = || -> Value {
        let text = std::fs::read_to_string(run.join("run.json")).expect("a record");
        serde_json::from_str(&text).expect("JSON")
    };
    let before = record();
    let valid = std::fs::read_to_string(text.folder.path("valid.txt")).expect("a text");
    let other = text.folder.write("other.txt", valid.repeat(2));
    let other = format!("data.valid={}", other.display());
    let resume = |set: &str| {
        let more = ["--resume", "--steps", "15", "--set", set];
        wlstm(&training(&text.config, &run, "cpu", &more))
    };
    for (set, says) in [
        (other.as_str(), "the text of `data.valid` has changed"),
        (
            "train.validate_targets=7",
            "`train.validate_targets` was 0 and is 7",
        ),
    ] {
        let ended = resume(set);
        if ended.code != Some(2) || !ended.stderr.contains(says) || record() != before {
            return Err(format!("{set}: {:?}, {}", ended.code, ended.stderr).into());
        }
    }
    // Resumed by the configuration in its folder, a run keeps its name.
    let config = run.join("config.toml");
    let ended = wlstm(&training(
        &config,
        &run,
        "cpu",
        &["--resume", "--steps", "9"],
    ));
    let after = record();
    if ended.code != Some(0) || after["config"] != before["config"] || after["last"]["step"] != 9 {
        return Err(format!("{:?}, {after}, {}", ended.code, ended.stderr).into());
    }
    // A copy of the text under another name is the same text.
    let copy = text.folder.write("copy.txt", valid);
    let ended = resume(&format!("data.valid={}", copy.display()));
    if ended.code != Some(0) {
        return Err(format!("{:?}, {}", ended.code, ended.stderr).into());
    }
    let valid = lines_of(&run, "valid").pop().expect("a validation");
    let last = &record()["last"];
    if last["step"] != 15 || last["perplexity"] != valid["perplexity"] {
        return Err(format!("{last}, {valid}").into());
    }
    Ok(())
}

/// `train RUN/config.toml --resume` resumes that run; without `--resume` it starts a new run of the same name.
pub fn the_configuration_of_a_run_is_enough() -> Outcome {
    let text = Text::new(SAMPLED);
    let (whole, run) = (
        text.folder.path("whole"),
        text.run("run", "cpu", &["--steps", "5"]),
    );
    train(&text.config, &whole, "cpu", &["--steps", "9"]);
    let config = run.join("config.toml");
    let go = |more: &[&str]| -> Ended {
        let mut command = program();
        command
            .arg("train")
            .arg(&config)
            .args(["--device", "cpu", "--steps", "9"]);
        let done = command
            .args(more)
            .current_dir(text.folder.path(""))
            .output();
        done.expect("the program runs").into()
    };
    let ended = go(&["--resume"]);
    if ended.code != Some(0) || loss_bits(&run) != loss_bits(&whole) {
        return Err(format!("{:?}: {}", ended.code, ended.stderr).into());
    }
    let ended = go(&[]);
    let new = text.folder.path("runs/run");
    if ended.code != Some(0) || loss_bits(&new) != loss_bits(&whole) {
        return Err(format!("{:?}: {}", ended.code, ended.stderr).into());
    }
    Ok(())
}

pub fn another_configuration_is_refused() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let before = snapshot(&run);
    for set in [
        "model.hidden=16",
        "train.learning_rate=0.1",
        "softmax.samples=3",
        "train.seed=2",
        "data.shuffle=false",
        "train.recompute=true",
        "train.table_optimizer=sgd",
        "train.table_learning_rate=0.1",
    ] {
        let more = ["--resume", "--steps", "9", "--set", set];
        let ended = wlstm(&training(&text.config, &run, "cpu", &more));
        let key = set.split(['.', '=']).nth(1).unwrap_or_default();
        if ended.code != Some(2) || !ended.stderr.contains(key) {
            return Err(format!("{set}: {:?}, {}", ended.code, ended.stderr).into());
        }
        if snapshot(&run) != before {
            return Err(format!("{set}: the run was changed").into());
        }
    }
    Ok(())
}
