//! Configurations and text of the tests, and the comparison of two runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::common::program::{
    Dice, Folder, Tensors, checkpoint, lines_of, losses, number, program, train, training,
};
use libtest_mimic::Failed;
use serde_json::Value;

pub type Outcome = Result<(), Failed>;

/// Everything that is random or has a state: shuffling, dropout, sampled candidates, averages, a schedule that depends on
/// validations. An epoch has about 8 steps.
pub const SAMPLED: &str = r#"
[model]
cell = ["glstm", "flstm"]
embedding = 8
hidden = 8
projection = 8
groups = 2
factor = 3
dropout = 0.3
residual = true
[softmax]
kind = "sampled"
samples = 6
[data]
order = "sentences"
train = ["train/*"]
valid = ["valid.txt"]
[train]
batch = 3
unroll = 5
learning_rate = 0.9
schedule = "plateau"
decay = 0.5
ema = 0.9
validate_every = 5
checkpoint_every = 4
keep = 1000
"#;

/// Streams of one contiguous text, an optimizer with two states for each parameter, no moving average.
pub const FULL: &str = r#"
[model]
cell = "lstmp"
layers = 1
embedding = 6
hidden = 7
projection = 0
dropout = 0.2
[softmax]
kind = "full"
[data]
order = "contiguous"
train = ["train/*"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 4
optimizer = "adam"
learning_rate = 0.2
schedule = "plateau"
decay = 0.5
recipe = "plain"
clip_norm = 0.5
ema = 0.0
validate_every = 3
checkpoint_every = 5
keep = 1000
"#;

/// [`SAMPLED`] with Adam, and Adagrad for the tables.
pub fn two_optimizers() -> String {
    let adam = "optimizer = \"adam\"\nlearning_rate = 0.09\ntable_learning_rate = 0.9\n";
    SAMPLED.replace("learning_rate = 0.9\n", adam)
}

/// [`SAMPLED`] in another precision.
pub fn in_precision(precision: &str) -> String {
    let line = format!("[train]\nprecision = {precision:?}\n");
    SAMPLED.replace("[train]\n", &line)
}

/// A folder with text and a configuration.
pub struct Text {
    pub folder: Folder,
    pub config: PathBuf,
}

impl Text {
    pub fn new(config: &str) -> Text {
        let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let folder = Folder::new();
        let mut dice = Dice(3);
        for name in ["train/1", "train/2"] {
            folder.write(name, dice.text(15, 6, &words));
        }
        folder.write("valid.txt", dice.text(6, 6, &words));
        let config = folder.write("config.toml", config);
        Text { folder, config }
    }

    /// Trains into a folder of this name.
    pub fn run(&self, name: &str, device: &str, more: &[&str]) -> PathBuf {
        let run = self.folder.path(name);
        train(&self.config, &run, device, more);
        run
    }

    /// Starts a training into a folder of this name.
    pub fn start(&self, name: &str, more: &[&str]) -> (PathBuf, Child) {
        let run = self.folder.path(name);
        let mut command = program();
        command.args(training(&self.config, &run, "cpu", more));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (run, child.spawn().expect("the program starts"))
    }
}

/// The bits of all losses.
pub fn loss_bits(run: &Path) -> BTreeMap<u64, u64> {
    let bits = losses(run)
        .into_iter()
        .map(|(step, loss)| (step, loss.to_bits()));
    bits.collect()
}

/// Checks that another run has the last checkpoint and the losses of an uninterrupted one, bit for bit.
pub fn same(whole: &Path, other: &Path, steps: u64) -> Outcome {
    let (want, got) = (
        Tensors::read(&checkpoint(whole, steps)),
        Tensors::read(&checkpoint(other, steps)),
    );
    if want.tensors.len() < 10 || !want.tensors.keys().eq(got.tensors.keys()) {
        return Err(format!("tensors {:?}", got.tensors.keys()).into());
    }
    for (name, tensor) in &want.tensors {
        if got.tensors[name] != *tensor {
            return Err(format!("`{name}` has different bits").into());
        }
    }
    let progress = |tensors: &Tensors| -> Value {
        serde_json::from_str(&tensors.texts["progress"]).expect("JSON")
    };
    let (want, got) = (progress(&want), progress(&got));
    // The position in the text, and the state of the schedule.
    for key in ["step", "epoch", "position", "stalls", "due_nll"] {
        if want[key] != got[key] {
            return Err(format!("{key} is {}, not {}", got[key], want[key]).into());
        }
    }
    let (want, got) = (loss_bits(whole), loss_bits(other));
    if want.len() as u64 != steps || want != got {
        return Err(format!("losses {got:?}, not {want:?}").into());
    }
    // The run that was stopped may have one more validation, at its stop.
    let valid = |run| -> BTreeMap<u64, u64> {
        let lines = lines_of(run, "valid");
        let pair = |line: &Value| (number(line, "step") as u64, number(line, "nll").to_bits());
        lines.iter().map(pair).collect()
    };
    let got = valid(other);
    for (step, nll) in valid(whole) {
        if got.get(&step) != Some(&nll) {
            return Err(format!("the validation at step {step} differs").into());
        }
    }
    Ok(())
}
