//! Every key that must stay by what files contain, or by what validations measure, is checked when a run is resumed.

use wlstm::config::{Config, Content, Key, Measured, Resume, keys};
use wlstm::job::Job;

use crate::common::folder::{Folder, snapshot};

const CONFIG: &str = r#"
[model]
cell = "lstmp"
layers = 1
embedding = 4
hidden = 4
projection = 0
[softmax]
kind = "full"
[data]
train = "train.txt"
valid = "valid.txt"
vocab = "vocab.txt"
[train]
batch = 2
unroll = 3
steps = 2
"#;

const TRAIN: &str = "a b c\nb a\nc a b a\n";
const VALID: &str = "a b\nb c\n";
const VOCABULARY: &str = "<S> 9\na 5\nb 4\nc 3\n<UNK> 0\n";

/// A value that names the same as before, if there is one, and a value that names something else.
fn values(key: &Key, folder: &Folder) -> Option<(Option<String>, String)> {
    let written = |same: &str, other: &str| {
        let set = |name: String, text: &str| {
            let file = folder.write(&name, text);
            format!("{}={}", key.path(), file.display())
        };
        let name = key.name;
        let same = set(format!("same-{name}.txt"), same);
        Some((Some(same), set(format!("other-{name}.txt"), other)))
    };
    match key.resume {
        Resume::MayChange | Resume::MustStay => None,
        Resume::SameContent(Content::TrainingText) => written(TRAIN, "b a\nc b a\n"),
        Resume::SameContent(Content::Words) => written(VOCABULARY, &VOCABULARY.replace('c', "d")),
        Resume::SameMeasure(Measured::Text) => written(VALID, "c b a\n"),
        Resume::SameMeasure(Measured::Targets) => Some((None, format!("{}=2", key.path()))),
        // By default as many as `train.batch`.
        Resume::SameMeasure(Measured::Streams) => {
            let set = |streams| format!("{}={streams}", key.path());
            Some((Some(set(2)), set(1)))
        }
    }
}

fn job(folder: &Folder, set: Option<&str>) -> Job {
    let sets: Vec<String> = set.into_iter().map(str::to_owned).collect();
    let config = Config::parse(CONFIG, "test", &folder.path(""), &sets).expect("a configuration");
    Job::new(config).expect("a job").device("cpu")
}

#[test]
fn another_content_or_measure_is_refused() {
    let folder = Folder::new();
    for (name, text) in [
        ("train.txt", TRAIN),
        ("valid.txt", VALID),
        ("vocab.txt", VOCABULARY),
    ] {
        folder.write(name, text);
    }
    let run = folder.path("run");
    job(&folder, None).out(&run).run(|_| {}).expect("a run");
    let mut checked = Vec::new();
    for key in keys() {
        let Some((same, other)) = values(key, &folder) else {
            continue;
        };
        let before = snapshot(&run);
        let resumed = job(&folder, Some(&other)).resume(&run).run(|_| {});
        let error = resumed.expect_err(&other).to_string();
        let (name, value) = other.split_once('=').expect("a value");
        assert!(error.contains(name) || error.contains(value), "{error}");
        assert_eq!(snapshot(&run), before, "{other}");
        if let Some(same) = same {
            let resumed = job(&folder, Some(&same)).resume(&run).run(|_| {});
            assert!(resumed.is_ok(), "{same}: {:?}", resumed.err());
        }
        checked.push(key.path());
    }
    assert!(checked.len() >= 4, "{checked:?}");
}
