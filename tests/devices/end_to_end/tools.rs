//! Generated text, and a folder with a configuration for it.

use std::path::{Path, PathBuf};

use crate::common::program::{Dice, Folder, lines_of, number, train};
use libtest_mimic::Failed;

pub type Outcome = Result<(), Failed>;

/// One of eight equally likely sentences. There are four subjects, each with its own verb, and two places: a perfect model has
/// learned just that.
pub fn sentence(k: usize) -> String {
    let who = ["cats", "dogs", "birds", "fish"][k % 4];
    let does = ["sleep", "run", "fly", "swim"][k % 4];
    let place = ["here", "there"][k / 4];
    format!("{who} {does} {place}\n")
}

pub fn grammar_text(sentences: usize, seed: u64) -> String {
    let mut dice = Dice(seed);
    (0..sentences).map(|_| sentence(dice.below(8))).collect()
}

/// Every sentence `often` times in random order, so that no model can beat the optimum by luck.
pub fn balanced(often: usize) -> String {
    let mut sentences: Vec<usize> = (0..8 * often).map(|k| k % 8).collect();
    let mut dice = Dice(77);
    for k in (1..sentences.len()).rev() {
        sentences.swap(k, dice.below(k + 1));
    }
    sentences.into_iter().map(sentence).collect()
}

/// A folder with texts.
pub struct Setup {
    pub folder: Folder,
    pub order: &'static str,
}

impl Setup {
    pub fn new(order: &'static str, train: &str, valid: &str) -> Setup {
        let folder = Folder::new();
        folder.write("train.txt", train);
        folder.write("valid.txt", valid);
        Setup { folder, order }
    }

    /// Writes a configuration; `more` continues its last section, `[train]`.
    pub fn config(&self, cell: &str, softmax: &str, more: &str) -> PathBuf {
        let order = self.order;
        let text = format!(
            r#"
[model]
cell = "{cell}"
layers = 2
embedding = 16
hidden = 32
projection = 16
factor = 8
groups = [2, 4]
dropout = 0.0
[softmax]
kind = "{softmax}"
samples = 6
[data]
order = "{order}"
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 8
unroll = 8
learning_rate = 0.2
ema = 0.9
{more}
"#
        );
        self.folder.write("config.toml", text)
    }
    /// Trains on the CPU.
    pub fn train(&self, config: &Path, more: &[&str]) -> PathBuf {
        let run = self.folder.path("run");
        train(config, &run, "cpu", more);
        run
    }
}
pub fn last_perplexity(run: &Path) -> f64 {
    let lines = lines_of(run, "valid");
    number(lines.last().expect("a validation"), "perplexity")
}

pub fn near(got: f64, want: f64, tolerance: f64) -> Outcome {
    if (got - want).abs() <= tolerance * want {
        return Ok(());
    }
    Err(format!("{got} is not near {want}").into())
}
