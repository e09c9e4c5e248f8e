//! The commands that are killed.

use std::path::{Path, PathBuf};

use super::job::{Job, Result};
use crate::common::program::{Dice, Folder, Tensors, checkpoint, checkpoints, losses, text, wlstm};

/// A configuration with everything that is random or has state. A run takes about half a second.
const CONFIG: &str = r#"
[model]
cell = "lstmp"
embedding = 8
hidden = 16
projection = 8
dropout = 0.2
[softmax]
kind = "sampled"
samples = 5
[data]
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 5
optimizer = "adam"
learning_rate = 0.01
ema = 0.9
steps = 400
validate_every = 100
checkpoint_every = 50
keep = 2
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
    folder.write("train.txt", Dice(3).text(900, 9, &words));
    folder.write("valid.txt", Dice(4).text(40, 9, &words));
    folder.write("tiny.toml", CONFIG);
    folder
}

/// A folder with a trained model in `run`.
fn trained() -> Folder {
    let folder = folder();
    let (config, run) = (folder.path("tiny.toml"), folder.path("run"));
    let (config, run) = (text(&config), text(&run));
    let line = [
        "train", config, "--out", run, "--device", "cpu", "--steps", "20",
    ];
    let ended = wlstm(&line);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    folder
}

/// The tensors of the checkpoints of a run, and the losses of its steps.
fn run_of(run: &Path) -> Result {
    let mut found = Result::new();
    for step in checkpoints(run) {
        for (name, (_, bytes)) in Tensors::read(&checkpoint(run, step)).tensors {
            found.insert(format!("{step} {name}"), bytes);
        }
    }
    for (step, loss) in losses(run) {
        found.insert(
            format!("loss {step}"),
            loss.to_bits().to_le_bytes().to_vec(),
        );
    }
    found
}

fn file(path: &Path) -> Result {
    let bytes = std::fs::read(path).expect("the result");
    Result::from([("the file".to_owned(), bytes)])
}

pub fn train() -> Job {
    let line = ["train", "tiny.toml", "--out", "OUT", "--device", "cpu"];
    let again = [&line[..], &["--resume"]].concat();
    Job::new(folder(), &line, Some(&again), run_of)
}

pub fn compare() -> Job {
    let line = [
        "compare",
        "tiny.toml",
        "--variants",
        "lstmp,glstm:groups=2",
        "--steps",
        "150",
    ];
    let line = [&line[..], &["--out", "OUT", "--device", "cpu"]].concat();
    let again = ["compare", "--resume", "--out", "OUT"];
    Job::new(folder(), &line, Some(&again), |folder| {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let runs: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.join("run.json").is_file())
            .collect();
        let mut found = Result::new();
        for run in &runs {
            let name = run
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let named = |(key, bytes)| (format!("{name} {key}"), bytes);
            found.extend(run_of(run).into_iter().map(named));
        }
        found.insert("models".to_owned(), vec![runs.len() as u8]);
        found
    })
}

pub fn vocab() -> Job {
    let folder = folder();
    let words: Vec<String> = (0..20_000).map(|k| format!("word{k}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    folder.write("large.txt", Dice(5).text(100_000, 9, &words));
    let line = ["vocab", "large.txt", "--out", "OUT"];
    Job::new(folder, &line, None, file)
}

/// Evaluation on a text that is large enough for the token cache. The result is the score of the model.
pub fn token_cache() -> Job {
    let folder = trained();
    let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
    folder.write("large.txt", Dice(6).text(500_000, 9, &words));
    let line = [
        "train",
        "tiny.toml",
        "--set",
        "data.train=large.txt",
        "--set",
        "train.steps=3",
        "--out",
        "OUT",
        "--device",
        "cpu",
    ];
    let again = [&line[..], &["--resume"]].concat();
    Job::new(folder, &line, Some(&again), run_of)
}

pub fn factorize() -> Job {
    let line = ["factorize", "run", "--factor", "4", "--out", "OUT"];
    Job::new(trained(), &line, None, run_of)
}

pub fn export(format: &str) -> Job {
    let line = ["export", "run", "--format", format, "--out", "OUT"];
    Job::new(trained(), &line, None, file)
}

pub fn report() -> Job {
    let line = ["report", "run", "--out", "OUT"];
    Job::new(trained(), &line, None, file)
}
