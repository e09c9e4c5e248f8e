//! Whatever a user gives that cannot be used ends in one error chain, the right exit code, and nothing changed.

use std::path::PathBuf;

use crate::common::program::{
    Dice, Ended, Folder, Snapshot, checkpoint, checkpoints, lines_of, losses, metrics, snapshot,
    train, training, wlstm, write_tensors,
};

const USAGE: i32 = 2;
const DATA: i32 = 3;
const DEVICE: i32 = 4;
const DIVERGED: i32 = 5;

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

/// The names and shapes of the parameters of [`CONFIG`] with six words.
const PARAMETERS: [(&str, &[usize]); 6] = [
    ("embedding.weight", &[6, 4]),
    ("layers.0.gates.bias", &[32]),
    ("layers.0.gates.weight", &[2, 4, 16]),
    ("layers.0.projection.weight", &[8, 4]),
    ("softmax.bias", &[6]),
    ("softmax.weight", &[6, 4]),
];

/// A folder in which `wlstm train config.toml --out run` works, until a test spoils something.
struct Case {
    folder: Folder,
    config: PathBuf,
    run: PathBuf,
}

impl Case {
    fn new() -> Case {
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

    fn write(self, name: &str, contents: impl AsRef<[u8]>) -> Case {
        self.folder.write(name, contents);
        self
    }

    /// Replaces a line of the configuration.
    fn with(self, line: &str, by: &str) -> Case {
        let text = std::fs::read_to_string(&self.config).expect("a configuration");
        let changed = text.replace(&format!("\n{line}\n"), &format!("\n{by}\n"));
        assert_ne!(text, changed, "no line `{line}`");
        self.write("config.toml", changed)
    }

    /// Trains, and expects a refusal with this exit code and these words that leaves everything as it was.
    #[track_caller]
    fn refused(&self, more: &[&str], code: i32, says: &[&str]) {
        let before = self.folder.snapshot();
        let ended = wlstm(&training(&self.config, &self.run, "cpu", more));
        explained(&ended, code, says);
        unchanged(&before, &self.folder.snapshot());
    }
}

/// One error chain that says these words and ends in what to do, this exit code, nothing on standard output, no panic.
#[track_caller]
fn explained(ended: &Ended, code: i32, says: &[&str]) {
    let Ended { stderr, stdout, .. } = ended;
    assert_eq!(ended.code, Some(code), "{stderr}");
    assert_eq!(stdout, "", "{stderr}");
    for bad in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(bad), "{stderr}");
    }
    let lines: Vec<&str> = stderr.lines().collect();
    // Vulkan loaders say errors of their own on some machines.
    let is_error = |line: &&str| line.starts_with("error:") && !line.contains("XDG_RUNTIME_DIR");
    assert_eq!(
        lines.iter().copied().filter(|line| is_error(line)).count(),
        1,
        "{stderr}"
    );
    let start = lines.iter().position(is_error).expect("one error");
    let last = lines[lines.len() - 1];
    assert!(last.starts_with("  help: "), "no help at the end: {stderr}");
    let chain = lines[start..].join("\n");
    for words in says {
        assert!(chain.contains(words), "`{words}` is not said: {stderr}");
    }
}

#[track_caller]
fn unchanged(before: &Snapshot, after: &Snapshot) {
    let names = |snapshot: &Snapshot| snapshot.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "files came or went");
    assert!(before == after, "a file was changed");
}

/// Without a spoiled input it works: the refusals below are not for some other reason.
#[test]
fn what_is_spoiled_below_works_whole() {
    let case = Case::new();
    let init = write_parameters(&case, |_| {});
    train(&case.config, &case.run, "cpu", &["--init", &init]);
    assert_eq!(losses(&case.run).len(), 6);
}

#[test]
fn configurations() {
    let with = |line, by| Case::new().with(line, by);
    with("hidden = 8", "hiden = 8").refused(&[], USAGE, &["config.toml:6", "hiden", "hidden"]);
    with("[train]", "[trian]").refused(&[], USAGE, &["trian", "train"]);
    with("kind = \"full\"", "kind = \"ful\"").refused(&[], USAGE, &["kind", "ful", "full"]);
    with("cell = \"glstm\"", "cell = \"gru\"").refused(&[], USAGE, &["gru", "lstmp"]);
    with("batch = 2", "batch = 0").refused(&[], USAGE, &["batch"]);
    with("batch = 2", "batch = \"two\"").refused(&[], USAGE, &["batch"]);
    with("dropout = 0.0", "dropout = 1.0").refused(&[], USAGE, &["dropout"]);
    with("groups = 2", "groups = [2, 2]").refused(&[], USAGE, &["groups"]);
    with("steps = 6", "seed = 6").refused(&[], USAGE, &["--steps"]);
    with("batch = 2", "batch = ").refused(&[], USAGE, &["config.toml:"]);
    for (line, by) in [
        ("hidden = 8", "hidden = 9"),
        ("embedding = 4", "embedding = 5"),
        ("projection = 4", "projection = 3"),
    ] {
        let key = by.split(' ').next().expect("a key");
        with(line, by).refused(&[], USAGE, &["2 groups", key]);
    }
    let case = Case::new();
    case.refused(&["--set", "model.hiden=4"], USAGE, &["hiden", "hidden"]);
    case.refused(&["--set", "model.hidden"], USAGE, &["--set"]);
    case.write("config.toml", b"[model]\n# \xff\n")
        .refused(&[], USAGE, &["UTF-8"]);
    let mut case = Case::new();
    case.config = case.folder.path("missing.toml");
    case.refused(&[], USAGE, &["missing.toml"]);
}

#[test]
fn corpora() {
    let with = |contents: &[u8]| Case::new().write("train.txt", contents);
    with(b"").refused(&[], DATA, &["train.txt"]);
    with(b"\n\n  \n").refused(&[], DATA, &["train.txt"]);
    with(b"a b\na \xff\xfe b\n").refused(&[], DATA, &["train.txt:2", "UTF-8"]);
    with(b"a b\n").refused(&[], DATA, &["shorter than a batch", "train.batch"]);
    Case::new()
        .with("train = [\"train.txt\"]", "train = [\"missing.txt\"]")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new()
        .with("train = [\"train.txt\"]", "train = [\"shards/*\"]")
        .refused(&[], DATA, &["shards/*"]);
    let folders = Case::new().with("train = [\"train.txt\"]", "train = [\"parts\"]");
    std::fs::create_dir_all(folders.folder.path("parts/first")).expect("a folder");
    folders.refused(&[], DATA, &["parts", "first`, or files by a pattern"]);
    Case::new()
        .with("valid = [\"valid.txt\"]", "valid = [\"missing.txt\"]")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new()
        .write("valid.txt", "")
        .refused(&[], DATA, &["valid.txt"]);
    // Without a vocabulary file, and in the other order.
    for order in ["sentences", "contiguous"] {
        let with = |contents: &[u8]| {
            let order = format!("order = \"{order}\"");
            with(contents)
                .with("order = \"sentences\"", &format!("{order} "))
                .with("vocab = \"words.txt\"", "vocab_size = 0")
        };
        with(b"").refused(&[], DATA, &["train.txt"]);
        with(b"a \xff b\n").refused(&[], DATA, &["train.txt:1", "UTF-8"]);
        with(b"a\n").refused(&[], DATA, &["shorter than a batch"]);
    }
}

/// A validation text without a target is refused before the first step.
#[test]
fn validation_text() {
    for text in ["\n", " \n\n"] {
        Case::new()
            .write("valid.txt", text)
            .refused(&[], DATA, &["valid.txt"]);
    }
}

/// A text that is bad only beyond the first batches is refused where it is met; what was trained before is kept.
#[test]
fn bad_text_that_is_met_late() {
    let case = Case::new();
    let mut text = std::fs::read(case.folder.path("train.txt")).expect("the text");
    text.extend(b"\xff\n");
    let case = case
        .write("train.txt", &text)
        .with("steps = 6", "steps = 60")
        .with("checkpoint_every = 2", "checkpoint_every = 0");
    let ended = wlstm(&training(
        &case.config,
        &case.run,
        "cpu",
        &["--set", "data.shuffle=false"],
    ));
    explained(&ended, DATA, &["train.txt:21", "UTF-8"]);
    let done = lines_of(&case.run, "step").len() as u64;
    assert!(done > 0);
    assert_eq!(checkpoints(&case.run), [done]);
}

#[test]
fn vocabularies() {
    let with = |contents: &[u8]| Case::new().write("words.txt", contents);
    with(b"").refused(&[], DATA, &["words.txt", "empty"]);
    with(b"<S> 3\na 2\n").refused(&[], DATA, &["words.txt", "<UNK>"]);
    with(b"<UNK> 3\na 2\n").refused(&[], DATA, &["words.txt", "<S>"]);
    with(b"<UNK> 3\n<S> 2\na\n").refused(&[], DATA, &["words.txt:3"]);
    with(b"<UNK> 3\n<S> 2\na 1\na 1\n").refused(&[], DATA, &["words.txt:4", "`a`"]);
    with(b"<UNK> 3\n<S> 2\n\xff 1\n").refused(&[], DATA, &["words.txt:3", "UTF-8"]);
    Case::new()
        .with("vocab = \"words.txt\"", "vocab = \"missing.txt\"")
        .refused(&[], DATA, &["missing.txt"]);
    Case::new().with("kind = \"full\"", "samples = 7").refused(
        &[],
        USAGE,
        &["7", "softmax.samples"],
    );
}

/// Writes parameters of the right shapes, changed by `spoil`.
fn write_parameters(
    case: &Case,
    spoil: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>),
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
    spoil(&mut tensors);
    let path = case.folder.path("start.safetensors");
    write_tensors(&path, &tensors);
    path.to_str().expect("a Unicode path").to_owned()
}

#[test]
fn parameters_to_start_from() {
    let case = Case::new();
    for (k, (name, _)) in PARAMETERS.iter().enumerate() {
        let init = write_parameters(&case, |tensors| {
            tensors.remove(k);
        });
        case.refused(&["--init", &init], DATA, &[name, "missing"]);
        let init = write_parameters(&case, |tensors| tensors[k].1.insert(0, 1));
        case.refused(&["--init", &init], DATA, &[name, "shape"]);
    }
    let init = write_parameters(&case, |tensors| {
        tensors.push(("layers.1.gates.bias".into(), vec![1], vec![0.0]));
    });
    case.refused(
        &["--init", &init],
        DATA,
        &["layers.1.gates.bias", "unknown"],
    );
    case.refused(
        &["--init", "missing.safetensors"],
        DATA,
        &["missing.safetensors"],
    );
    let init = write_parameters(&case, |_| {});
    let bytes = std::fs::read(&init).expect("the file");
    for cut in [0, 5, 40, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&init, &bytes[..cut]).expect("a file");
        case.refused(&["--init", &init], DATA, &["start.safetensors"]);
    }
    case.refused(&["--init", "/"], DATA, &["`/`"]);
}

#[test]
fn checkpoints_that_cannot_be_resumed() {
    let spoil = |contents: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let case = Case::new();
        train(&case.config, &case.run, "cpu", &[]);
        let newest = checkpoint(&case.run, 6);
        let bytes = std::fs::read(&newest).expect("a checkpoint");
        std::fs::write(&newest, contents(bytes)).expect("a file");
        case
    };
    let more = ["--resume", "--steps", "9"];
    let name = "step-00000006.safetensors";
    for part in [0.0, 0.01, 0.3, 0.9, 0.9999] {
        let cut = |bytes: Vec<u8>| bytes[..(bytes.len() as f64 * part) as usize].to_vec();
        spoil(&cut).refused(&more, DATA, &[name]);
    }
    spoil(&|_| b"Not a checkpoint, but some other text.".to_vec()).refused(&more, DATA, &[name]);
    // Parameters without a run.
    let foreign = Case::new();
    let file = std::fs::read(write_parameters(&foreign, |_| {})).expect("the file");
    spoil(&|_| file.clone()).refused(&more, DATA, &[name]);
    // A folder without a run, and none.
    let case = Case::new();
    case.refused(&more, DATA, &["run"]);
    std::fs::create_dir(&case.run).expect("a folder");
    case.refused(&more, DATA, &["run"]);
    // A run that has lost its checkpoints: it does not begin again over its metrics.
    let case = spoil(&|bytes| bytes);
    for step in checkpoints(&case.run) {
        std::fs::remove_file(checkpoint(&case.run, step)).expect("a file that can be removed");
    }
    case.refused(&more, DATA, &["no checkpoint"]);
    // Other words, or another number of them.
    let case = spoil(&|bytes| bytes).write("words.txt", "<S> 9\nb 8\na 7\nc 6\nd 5\n<UNK> 4\n");
    case.refused(&more, DATA, &["words.txt", "words of the run"]);
    let case = spoil(&|bytes| bytes);
    let fewer = [&more[..], &["--set", "data.vocab_size=6"]].concat();
    case.refused(&fewer, USAGE, &["`data.vocab_size` was 0 and is 6"]);
    // Keys that come and go are told by name, and no other key is named.
    let case = spoil(&|bytes| bytes);
    let other = [&more[..], &["--set", "model.cell=lstmp"]].concat();
    let ended = wlstm(&training(&case.config, &case.run, "cpu", &other));
    let run = case.run.to_str().expect("a Unicode path");
    explained(
        &ended,
        USAGE,
        &[
            run,
            "`model.cell` was \"glstm\" and is \"lstmp\"; `model.groups` was 2\n",
        ],
    );
    // A run that was killed before its first checkpoint is no other run either.
    let case = Case::new();
    train(&case.config, &case.run, "cpu", &[]);
    std::fs::remove_dir_all(case.run.join("checkpoints")).expect("a folder that can be removed");
    let record = std::fs::read_to_string(case.run.join("run.json")).expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    record["last"] = serde_json::Value::Null;
    std::fs::write(case.run.join("run.json"), record.to_string()).expect("a file");
    let other = [&more[..], &["--seed", "9"]].concat();
    let ended = wlstm(&training(&case.config, &case.run, "cpu", &other));
    explained(&ended, USAGE, &["`train.seed` was 1 and is 9"]);
    // Another text than that of the run: longer, and of the same length.
    let text = std::fs::read(case.folder.path("train.txt")).expect("the training text");
    let mut other = text.clone();
    other.reverse();
    for (text, says) in [(text.repeat(2), "bytes"), (other, "not the same text")] {
        let case = spoil(&|bytes| bytes).write("train.txt", text);
        let before = snapshot(&case.run.join("checkpoints"));
        explained(
            &wlstm(&training(&case.config, &case.run, "cpu", &more)),
            DATA,
            &[says, "put it back as it was", "--init"],
        );
        unchanged(&before, &snapshot(&case.run.join("checkpoints")));
    }
}

#[test]
fn devices() {
    let case = Case::new();
    let before = case.folder.snapshot();
    for (device, code) in [
        ("gpu:99", DEVICE),
        ("gpu:no-such-adapter", DEVICE),
        ("cuda", USAGE),
    ] {
        let ended = wlstm(&training(&case.config, &case.run, device, &[]));
        explained(&ended, code, &[device]);
        unchanged(&before, &case.folder.snapshot());
    }
    // The second of two.
    case.refused(&["--device", "cuda"], USAGE, &["cuda"]);
}

/// Four terabytes of weights, no tensor of which is larger than indices can count.
const NO_MACHINE_HAS_ROOM: [&str; 14] = [
    "--set",
    "model.cell=lstmp",
    "--set",
    "model.layers=100",
    "--set",
    "model.hidden=16384",
    "--set",
    "model.projection=0",
    "--set",
    "train.batch=1",
    "--set",
    "train.unroll=1",
    "--set",
    "train.ema=0.5",
];

#[test]
fn out_of_memory() {
    let gpus = crate::common::gpus()
        .iter()
        .map(|gpu| format!("gpu:{}", gpu.adapter.summary.index));
    for device in gpus.chain(["cpu".to_owned()]) {
        let case = Case::new();
        let before = case.folder.snapshot();
        let arguments = training(&case.config, &case.run, &device, &NO_MACHINE_HAS_ROOM);
        explained(
            &wlstm(&arguments),
            DEVICE,
            if device == "cpu" { &["memory"] } else { &[] },
        );
        unchanged(&before, &case.folder.snapshot());
    }
    // Tensors that can be bound, but too many of them for this machine, in whose memory software adapters live.
    let software = crate::common::gpus()
        .iter()
        .filter(|gpu| !gpu.adapter.summary.is_real());
    for gpu in software {
        let case = Case::new();
        let before = case.folder.snapshot();
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let sets = [
            "model.cell=lstmp",
            "model.layers=100",
            "model.hidden=2000",
            "model.embedding=2000",
            "model.projection=0",
            "train.batch=1",
            "train.unroll=1",
            "train.optimizer=adam",
        ];
        let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        let ended = wlstm(&training(&case.config, &case.run, &device, &more));
        explained(
            &ended,
            DEVICE,
            &["memory", "parameters with their optimizer"],
        );
        unchanged(&before, &case.folder.snapshot());
    }
}

/// A reader of standard error that is gone stops nothing.
#[test]
#[cfg(target_os = "linux")]
fn standard_error_that_cannot_be_written() {
    let case = Case::new();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let status = crate::common::program::program()
        .args(training(&case.config, &case.run, "cpu", &[]))
        .env("RUST_LOG", "wlstm=trace")
        .stdout(std::process::Stdio::null())
        .stderr(full.expect("a device that is always full"))
        .status();
    assert_eq!(status.expect("the program starts").code(), Some(0));
    assert_eq!(checkpoints(&case.run).last(), Some(&6));
}

/// Sizes that the numbers of kernels cannot count.
#[test]
fn too_large_to_index() {
    for (sets, says) in [
        (&["model.hidden=4194304"][..], "model.hidden is 4194304"),
        (&["model.embedding=16777216"], "model.embedding is 16777216"),
        (&["train.batch=268435456"], "train.batch is 268435456"),
        (
            &["train.batch=524287", "train.unroll=1"],
            "train.batch is 524287",
        ),
        (
            &[
                "model.cell=glstm",
                "model.groups=131072",
                "model.hidden=131072",
                "model.embedding=131072",
                "model.projection=0",
                "train.batch=1",
            ],
            "model.groups is 131072",
        ),
        (
            &["model.cell=flstm", "model.factor=8388608"],
            "model.factor is 8388608",
        ),
        (
            &["train.batch=65536", "train.unroll=16", "model.hidden=65536"],
            "2^32",
        ),
    ] {
        let case = Case::new().write("train.txt", "a b c d e\n".repeat(1000));
        let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        case.refused(&more, USAGE, &[says]);
    }
}

#[test]
fn run_folders() {
    let refused_at = |run: PathBuf, says: &[&str]| {
        let mut case = Case::new();
        case.run = run;
        case.refused(&[], DATA, says);
    };
    // Nobody can write here, not even the superuser.
    refused_at("/proc/run".into(), &["/proc/run"]);
    let mut case = Case::new();
    case.run = case.folder.path("train.txt");
    case.refused(&[], DATA, &["train.txt"]);
    case.run = case.folder.path("train.txt/run");
    case.refused(&[], DATA, &["train.txt/run"]);
    // A run, and a folder with something else in it.
    case.run = case.folder.path("run");
    train(&case.config, &case.run, "cpu", &[]);
    case.refused(&[], DATA, &["holds a run", "--resume"]);
    // Its best checkpoint is gone: another one is not taken in silence.
    let best = case.run.join("run.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&best).expect("a record")).expect("JSON");
    record["best"] =
        serde_json::json!({"checkpoint": "checkpoints/gone", "step": 3, "perplexity": 2.0});
    std::fs::write(&best, record.to_string()).expect("a file");
    let run = case.run.to_str().expect("a Unicode path");
    let ended = wlstm(&["eval", run, "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for says in ["checkpoints/gone", "is gone", "step-00000006"] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    let case = Case::new().write("run/notes.txt", "keep me");
    case.refused(&[], DATA, &["not empty"]);
}

/// A run that diverges keeps what was good, and says so.
#[test]
fn divergence() {
    let case = Case::new()
        .with("steps = 6", "steps = 40")
        .with("checkpoint_every = 2", "checkpoint_every = 3");
    let calm = ["--steps", "3"];
    train(&case.config, &case.run, "cpu", &calm);
    let good = std::fs::read(checkpoint(&case.run, 3)).expect("a checkpoint");
    // The same run with a rate that no weight survives.
    let wild = Case::new()
        .with("steps = 6", "steps = 40\nlearning_rate = 1e30")
        .with("checkpoint_every = 2", "checkpoint_every = 1");
    let ended = wlstm(&training(&wild.config, &wild.run, "cpu", &[]));
    explained(&ended, DIVERGED, &["diverged", "learning_rate"]);
    let lines = metrics(&wild.run);
    let last = lines.last().expect("metrics");
    assert_eq!(
        (&last["kind"], &last["reason"]),
        (&"end".into(), &"diverged".into())
    );
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(wild.run.join("run.json")).expect("a record"))
            .expect("JSON");
    assert_eq!(record["status"], "diverged");
    let kept = checkpoints(&wild.run);
    for step in &kept {
        let tensors = crate::common::program::Tensors::read(&checkpoint(&wild.run, *step));
        for name in tensors.tensors.keys().filter(|name| *name != "vocab") {
            let finite = tensors.values(name).iter().all(|value| value.is_finite());
            assert!(finite, "`{name}` of step {step}");
        }
    }
    // Without clipping the outputs saturate: the loss stays a number, but no loss of a model that learns.
    let saturated = case.folder.path("saturated");
    let set = |value| ["--set", value];
    let more = [
        set("train.learning_rate=1e20"),
        set("train.optimizer=sgd"),
        set("train.clip_norm=0"),
    ];
    let ended = wlstm(&training(&case.config, &saturated, "cpu", &more.concat()));
    explained(&ended, DIVERGED, &["diverged", "learning_rate"]);
    // The rate rises until the model is no good: what is kept is a model.
    let rising = case.folder.path("rising");
    let more = [
        set("train.learning_rate=40"),
        set("train.schedule=cosine"),
        set("train.warmup_steps=50"),
        set("train.optimizer=sgd"),
        set("train.clip_norm=0"),
        set("train.ema=0"),
        set("train.checkpoint_every=1"),
        set("train.keep=1"),
    ];
    let ended = wlstm(&training(&case.config, &rising, "cpu", &more.concat()));
    let kept = checkpoints(&rising);
    let step = *kept.last().expect("a good checkpoint");
    let losses = losses(&rising);
    assert!(losses.len() as u64 > step + 1, "{step} of {}", losses.len());
    let last = checkpoint(&rising, step);
    let last = last.to_str().expect("a Unicode path");
    explained(&ended, DIVERGED, &["last good checkpoint", last, "--init"]);
    let ended = wlstm(&["eval", last, "--device", "cpu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // A good checkpoint starts a calmer run.
    let start = case.folder.path("good.safetensors");
    std::fs::write(&start, good).expect("a file");
    let init = start.to_str().expect("a Unicode path");
    let calmer = case.folder.path("calmer");
    train(
        &case.config,
        &calmer,
        "cpu",
        &["--steps", "2", "--init", init],
    );
    assert_eq!(lines_of(&calmer, "step").len(), 2);
}

/// Of unknown words in a validation where training had none it is told, once.
#[test]
fn unknown_words_that_no_training_has() {
    let says = "no word that was trained on so far is unknown";
    let told = |case: &Case, more: &[&str]| -> usize {
        let more = [&["--steps", "6"], more].concat();
        let ended = wlstm(&training(&case.config, &case.run, "cpu", &more));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stderr.matches(says).count()
    };
    let every_step = ["--set", "train.validate_every=1", "--set", "data.vocab="];
    let strange = || Case::new().write("valid.txt", "a b strange words c\n".repeat(9));
    assert_eq!(told(&strange(), &every_step), 1);
    // Cut, so that some words are unknown in training; words that are all known.
    let cut = [&every_step[..], &["--set", "data.vocab_size=5"]].concat();
    assert_eq!(told(&strange(), &cut), 0);
    assert_eq!(told(&Case::new(), &every_step), 0);
}
