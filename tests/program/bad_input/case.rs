//! A folder in which `wlstm train` succeeds, and the checks that all refusals share.

use std::path::PathBuf;

use crate::common::folder::Snapshot;
use crate::common::program::{Dice, Ended, Folder, training, wlstm, write_tensors};

pub const USAGE: i32 = 2;

pub const DATA: i32 = 3;

pub const DEVICE: i32 = 4;

pub const DIVERGED: i32 = 5;

const CONFIG: &str = r#"
[model]
cell = "glstm"
layers = 1
embedding = 4
hidden = 8
projection = 4
groups = 2
dropout = 0.0
[softmax]
kind = "full"
[data]
order = "sentences"
train = ["train.txt"]
valid = ["valid.txt"]
vocab = "words.txt"
[train]
batch = 2
unroll = 3
steps = 6
checkpoint_every = 2
"#;

/// Names and shapes of the parameters of [`CONFIG`] for a vocabulary of six words.
pub const PARAMETERS: [(&str, &[usize]); 6] = [
    ("embedding.weight", &[6, 4]),
    ("layers.0.gates.bias", &[32]),
    ("layers.0.gates.weight", &[2, 4, 16]),
    ("layers.0.projection.weight", &[8, 4]),
    ("softmax.bias", &[6]),
    ("softmax.weight", &[6, 4]),
];

/// A folder in which `wlstm train config.toml --out run` succeeds until a test changes an input.
pub struct Case {
    pub folder: Folder,
    pub config: PathBuf,
    pub run: PathBuf,
}

impl Case {
    pub fn new() -> Case {
        let folder = Folder::new();
        let mut dice = Dice(1);
        let words = ["a", "b", "c", "d", "e"];
        folder.write("train.txt", dice.text(20, 6, &words));
        folder.write("valid.txt", dice.text(5, 6, &words));
        folder.write("words.txt", "<S> 9\na 8\nb 7\nc 6\nd 5\n<UNK> 4\n");
        let (config, run) = (folder.write("config.toml", CONFIG), folder.path("run"));
        Case {
            folder,
            config,
            run,
        }
    }

    pub fn write(self, name: &str, contents: impl AsRef<[u8]>) -> Case {
        self.folder.write(name, contents);
        self
    }

    /// Replaces a line of the configuration.
    pub fn with(self, line: &str, by: &str) -> Case {
        let text = std::fs::read_to_string(&self.config).expect("a configuration");
        let changed = text.replace(&format!("\n{line}\n"), &format!("\n{by}\n"));
        assert_ne!(text, changed, "no line `{line}`");
        self.write("config.toml", changed)
    }

    /// Trains and expects an error with this exit code and these words. No file may change.
    #[track_caller]
    pub fn refused(&self, more: &[&str], code: i32, says: &[&str]) {
        let before = self.folder.snapshot();
        let ended = wlstm(&training(&self.config, &self.run, "cpu", more));
        explained(&ended, code, says);
        unchanged(&before, &self.folder.snapshot());
    }
}

/// Checks the exit code, one error chain that contains `says` and ends with a help line, empty standard output, and no panic.
#[track_caller]
pub fn explained(ended: &Ended, code: i32, says: &[&str]) {
    let Ended { stderr, stdout, .. } = ended;
    assert_eq!(ended.code, Some(code), "{stderr}");
    assert_eq!(stdout, "", "{stderr}");
    for bad in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(bad), "{stderr}");
    }
    let lines: Vec<&str> = stderr.lines().collect();
    // On some machines the Vulkan loader itself prints errors.
    let is_error = |line: &&str| line.starts_with("error:") && !line.contains("XDG_RUNTIME_DIR");
    assert_eq!(
        lines.iter().copied().filter(|line| is_error(line)).count(),
        1,
        "{stderr}"
    );
    let start = lines.iter().position(is_error).expect("one error");
    // Commands follow on lines of their own.
    let help = lines.iter().rposition(|line| line.starts_with("  help: "));
    let is_last = |at: usize| lines[at..].iter().all(|line| line.starts_with("  "));
    assert!(
        help.is_some_and(is_last),
        "no help line at the end: {stderr}"
    );
    let chain = lines[start..].join("\n");
    for words in says {
        assert!(chain.contains(words), "`{words}` is missing: {stderr}");
    }
}

#[track_caller]
pub fn unchanged(before: &Snapshot, after: &Snapshot) {
    let names = |snapshot: &Snapshot| snapshot.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "files were added or removed");
    assert!(before == after, "a file was changed");
}

/// Writes parameters of the right shapes after `change` has changed them.
pub fn write_parameters(
    case: &Case,
    change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>),
) -> String {
    let mut dice = Dice(2);
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = PARAMETERS
        .iter()
        .map(|(name, shape)| {
            let len = shape.iter().product();
            let values = (0..len).map(|_| dice.within(0.1) as f32).collect();
            (name.to_string(), shape.to_vec(), values)
        })
        .collect();
    change(&mut tensors);
    let path = case.folder.path("start.safetensors");
    write_tensors(&path, &tensors);
    path.to_str().expect("a Unicode path").to_owned()
}
