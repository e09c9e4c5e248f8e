//! What a resumed run does with its folder.

use crate::common::program::{Ended, lines_of, program, snapshot, train, training, wlstm};
use serde_json::Value;

use super::tools::{FULL, Outcome, SAMPLED, Text, loss_bits};

pub fn leftovers_are_swept() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "5"]);
    let leftovers = [".wlstm-partial-a", "checkpoints/.wlstm-partial-b"];
    for name in leftovers {
        std::fs::write(run.join(name), "half a file")?;
    }
    text.run("run", "cpu", &["--steps", "6", "--resume"]);
    for name in leftovers {
        if run.join(name).exists() {
            return Err(format!("`{name}` is still there").into());
        }
    }
    Ok(())
}

pub fn a_finished_run_stays() -> Outcome {
    let text = Text::new(SAMPLED);
    let run = text.run("run", "cpu", &["--steps", "11"]);
    let (before, losses_before) = (snapshot(&run.join("checkpoints")), loss_bits(&run));
    text.run("run", "cpu", &["--steps", "11", "--resume"]);
    // Fewer steps than are done change nothing either.
    text.run("run", "cpu", &["--steps", "4", "--resume"]);
    if snapshot(&run.join("checkpoints")) != before || loss_bits(&run) != losses_before {
        return Err("a finished run was changed".into());
    }
    Ok(())
}

/// What is best is so by one text and as many of its targets; the record has the perplexity of the last checkpoint too.
pub fn best_by_one_measure() -> Outcome {
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
        (other.as_str(), "`data.valid` is not the text that it was"),
        (
            "train.validate_targets=7",
            "`train.validate_targets` was 0, and is 7",
        ),
    ] {
        let ended = resume(set);
        if ended.code != Some(2) || !ended.stderr.contains(says) || record() != before {
            return Err(format!("{set}: {:?}, {}", ended.code, ended.stderr).into());
        }
    }
    // By the configuration in its folder a run goes on as it was called.
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
    // The same text under another name is the same.
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

/// The configuration in the folder of a run stands for that run; without `--resume` for a new one of its name.
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
