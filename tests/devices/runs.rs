//! Runs of small models, and their comparison.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, checkpoints, lines_of, losses, number,
};
use libtest_mimic::Failed;
use serde_json::Value;

pub type Outcome = Result<(), Failed>;

/// A folder with a text of 130 words and a configuration.
pub struct Text {
    pub folder: Folder,
    pub config: PathBuf,
}

impl Text {
    /// `lines` are the lines of the training text, besides one for each word.
    pub fn new(config: &str, lines: usize) -> Text {
        let words: Vec<String> = (0..128).map(|k| format!("w{k}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (folder, mut dice) = (Folder::new(), Dice(7));
        // Every word occurs, so that the size of the vocabulary is known.
        let all = words.join("\n");
        folder.write("train.txt", all + "\n" + &dice.text(lines, 9, &words));
        folder.write("valid.txt", dice.text(12, 9, &words));
        let config = folder.write("config.toml", config);
        Text { folder, config }
    }
}

/// The last checkpoint of a run.
pub fn last(run: &Path) -> Tensors {
    let step = *checkpoints(run).last().expect("a checkpoint");
    Tensors::read(&checkpoint(run, step))
}

fn validations(run: &Path) -> BTreeMap<u64, f64> {
    let pair = |line: &Value| (number(line, "step") as u64, number(line, "nll"));
    lines_of(run, "valid").iter().map(pair).collect()
}

/// Checks that two runs have the same losses and tensors within a relative tolerance. With 0, they must be bitwise
/// identical.
pub fn alike(one: &Path, other: &Path, tolerance: f64) -> Outcome {
    let near = |what: &str, x: f64, y: f64, scale: f64| {
        if (x - y).abs() <= tolerance * scale {
            Ok(())
        } else {
            Err(Failed::from(format!("{what}: {x} and {y}")))
        }
    };
    for values in [losses, validations] {
        let (one, other) = (values(one), values(other));
        if !one.keys().eq(other.keys()) {
            return Err(format!("steps {:?} and {:?}", one.keys(), other.keys()).into());
        }
        for ((step, x), y) in one.iter().zip(other.values()) {
            near(&format!("step {step}"), *x, *y, x.abs())?;
        }
    }
    if losses(one).is_empty() {
        return Err("no losses".into());
    }
    let (one, other) = (last(one), last(other));
    if one.tensors.len() < 10 || !one.tensors.keys().eq(other.tensors.keys()) {
        return Err(format!("tensors {:?}", other.tensors.keys()).into());
    }
    for name in one.tensors.keys().filter(|name| *name != "vocab") {
        let (one, other) = (one.values(name), other.values(name));
        let scale = one
            .iter()
            .fold(0.0_f64, |scale, x| scale.max(f64::from(x.abs())));
        for (k, (x, y)) in one.iter().zip(&other).enumerate() {
            near(&format!("{name}[{k}]"), f64::from(*x), f64::from(*y), scale)?;
        }
    }
    Ok(())
}
