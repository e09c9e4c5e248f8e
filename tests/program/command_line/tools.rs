//! Shared by these tests: the program, and tiny models that it has trained.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub fn wlstm() -> Command {
    let mut command = Command::cargo_bin("wlstm").unwrap();
    command.env_remove("RUST_LOG").env_remove("WGPU_BACKEND");
    // Tests do not write to the tuning cache of the user.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("WLSTM_CACHE");
    command
}

/// The standard output of a successful command.
pub fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

/// The standard output of a successful command as JSON: one document and nothing else.
pub fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout(command)).unwrap()
}

/// A folder with a text, a configuration and, once trained, a run.
pub struct Tiny {
    folder: TempDir,
}

impl Tiny {
    /// With text in `train.txt`, `valid.txt` and `test.txt`, and a configuration of this order.
    pub fn new(order: &str) -> Tiny {
        let folder = tempfile::tempdir().unwrap();
        let tiny = Tiny { folder };
        for (seed, name, lines) in [
            (1, "train.txt", 60),
            (2, "valid.txt", 9),
            (3, "test.txt", 5),
        ] {
            std::fs::write(tiny.path(name), text(seed, lines)).unwrap();
        }
        let config = format!(
            "[model]\ncell = \"glstm\"\ngroups = 2\nlayers = 2\nembedding = 8\nhidden = 8\nprojection = 4\ndropout = 0.0\n\
             [softmax]\nkind = \"full\"\n\
             [data]\norder = \"{order}\"\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\n\
             [train]\nbatch = 3\nunroll = 4\nsteps = 20\nvalidate_every = 0\ncheckpoint_every = 0\n"
        );
        std::fs::write(tiny.path("tiny.toml"), config).unwrap();
        tiny
    }

    /// Same as [`Tiny::new`], and trained into `run`.
    pub fn trained(order: &str, options: &[&str]) -> Tiny {
        let tiny = Tiny::new(order);
        let line = ["train", "tiny.toml", "--out", "run", "--device", "cpu"];
        tiny.wlstm().args(line).args(options).assert().success();
        tiny
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program in the folder.
    pub fn wlstm(&self) -> Command {
        let mut command = wlstm();
        command.current_dir(self.folder.path());
        command
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The newest checkpoint of the run.
    pub fn checkpoint(&self) -> PathBuf {
        let record = std::fs::read_to_string(self.path("run/run.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let name = record["last"]["checkpoint"].as_str().unwrap();
        self.path("run").join(name)
    }
}

/// Sentences of random words.
pub fn text(seed: u64, lines: usize) -> String {
    const WORDS: [&str; 12] = [
        "the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", ",", ".",
    ];
    let mut state = seed;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::new();
    for _ in 0..lines {
        let words: Vec<&str> = (0..3 + next(6)).map(|_| WORDS[next(12) as usize]).collect();
        text += &words.join(" ");
        text.push('\n');
    }
    text
}

/// The lines of `metrics.jsonl` of a kind.
pub fn metrics(run: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == kind)
        .collect()
}
