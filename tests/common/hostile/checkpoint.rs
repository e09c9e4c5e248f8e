//! Opens a checkpoint in every way that the library offers.

use std::path::PathBuf;
use std::sync::LazyLock;

use wlstm::error::{Error, Kind};
use wlstm::job::factorize::Method;
use wlstm::job::{ExportFormat, GenerationOptions, Job, Parameters, Trained};

use super::{explained, file, scratch};

/// The kinds of errors that a hostile checkpoint may cause. The model can also be too large for memory, or diverge.
const KINDS: [Kind; 4] = [Kind::Data, Kind::Usage, Kind::Device, Kind::Diverged];

/// The checkpoint of a run.
const CHECKPOINT: &str = "checkpoints/step-00000002.safetensors";

/// The models of valid checkpoints.
const MODELS: [&str; 3] = [
    "[model]\ncell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 8\nprojection = 4\ndropout = 0.0\n\
     [softmax]\nkind = \"full\"\n",
    "[model]\ncell = [\"glstm\", \"flstm\"]\nlayers = 2\nembedding = 4\nhidden = 8\nprojection = 4\ngroups = 2\nfactor = 3\n\
     residual = true\n[softmax]\nkind = \"sampled\"\nsamples = 3\n",
    "[model]\ncell = \"lstmp\"\nlayers = 2\nembedding = 4\nhidden = 4\nprojection = 0\ntied = true\n\
     [softmax]\nkind = \"full\"\n",
];

/// The run folders of valid checkpoints, after two steps of training.
pub fn runs() -> &'static [PathBuf] {
    static RUNS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
        let train = |k: usize| {
            let run = scratch().join(format!("valid-{k}"));
            let job = Job::load::<&str>(config(k, 2), &[])?
                .device("cpu")
                .token_cache(None);
            job.out(&run).run(|_| {}).map(|_| run)
        };
        let runs = (0..MODELS.len()).map(train);
        runs.map(|run: Result<PathBuf, Error>| run.unwrap_or_else(|e| panic!("{}", e.chain())))
            .collect()
    });
    &RUNS
}

/// Valid checkpoints.
pub fn valid() -> &'static [Vec<u8>] {
    static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let read = |run: &PathBuf| std::fs::read(run.join(CHECKPOINT)).expect("a checkpoint");
        runs().iter().map(read).collect()
    });
    &VALID
}

/// The configuration of model `k`, for some steps.
fn config(k: usize, steps: u64) -> PathBuf {
    let text = file(
        "train.txt",
        "the cat sat on the mat\n".repeat(20).as_bytes(),
    );
    let text = text.to_str().expect("a Unicode path");
    let (model, optimizer) = (MODELS[k], ["adagrad", "adam", "momentum"][k]);
    let toml = format!(
        "{model}[data]\ntrain = [{text:?}]\nvalid = [{text:?}]\n[train]\nbatch = 2\nunroll = 3\nsteps = {steps}\n\
         validate_every = 1\noptimizer = \"{optimizer}\"\n"
    );
    file(&format!("train-{k}.toml"), toml.as_bytes())
}

/// The bytes are a checkpoint. Every use of it must end in a result or an error.
pub fn read(bytes: &[u8]) {
    let path = file("hostile.safetensors", bytes);
    match Trained::open(&path) {
        Ok(trained) => use_all(&trained.device("cpu").token_cache(None)),
        Err(error) => explained(&error, &KINDS),
    }
    // Every third file is also used to resume a run, which takes longer.
    let sum = bytes
        .iter()
        .fold(0, |sum: usize, byte| sum.wrapping_add((*byte).into()));
    if sum % (3 * MODELS.len()) < MODELS.len() {
        train_with(sum % MODELS.len(), bytes);
    }
}

/// The bytes are a checkpoint that can be opened, scored with and exported.
pub fn read_valid(bytes: &[u8]) {
    let opened = Trained::open(file("valid.safetensors", bytes));
    let trained = opened
        .unwrap_or_else(|error| panic!("{}", error.chain()))
        .device("cpu");
    let scores = trained.score(&["the cat"]).expect("a score");
    assert_eq!(scores.len(), 1);
    let exported = trained.export(ExportFormat::Onnx, scratch().join("valid.onnx"));
    assert!(exported.is_ok_and(|files| files[0].is_file()));
    read(bytes);
}

fn check(result: Result<(), Error>) {
    if let Err(error) = result {
        explained(&error, &KINDS);
    }
}

/// Uses a model in every way that does not take long.
fn use_all(trained: &Trained) {
    check(trained.score(&["the cat", "", "dog"]).map(drop));
    let options = GenerationOptions {
        tokens: 3,
        ..GenerationOptions::default()
    };
    check(trained.generate("the", &options).map(drop));
    for (format, name) in [
        (ExportFormat::Pytorch, "export.pt.safetensors"),
        (ExportFormat::Native, "export.safetensors"),
        (ExportFormat::Onnx, "export.onnx"),
    ] {
        let out = scratch().join(name);
        check(trained.export(format, &out).map(drop));
        let last = trained.clone().parameters(Parameters::Last);
        check(last.and_then(|last| last.export(format, &out)).map(drop));
    }
    for method in [
        Method::Factors(vec![2]),
        Method::Groups {
            groups: vec![2],
            seed: 1,
        },
    ] {
        let out = scratch().join("factorized");
        let _ = std::fs::remove_dir_all(&out);
        check(
            trained
                .factorization(method, &out)
                .and_then(|factorization| factorization.make(&out))
                .map(drop),
        );
    }
}

/// Resumes a run of model `k` whose last checkpoint consists of these bytes, and starts a new one from its parameters.
fn train_with(k: usize, bytes: &[u8]) {
    let run = scratch().join("resumed");
    let _ = std::fs::remove_dir_all(&run);
    let original = &runs()[k];
    for name in ["config.toml", "run.json", "metrics.jsonl"] {
        let bytes = std::fs::read(original.join(name)).expect("a file of a run");
        file(&format!("resumed/{name}"), &bytes);
    }
    let hostile = file(&format!("resumed/{CHECKPOINT}"), bytes);
    let job = |steps| {
        Job::load::<&str>(config(k, steps), &[]).map(|job| job.device("cpu").token_cache(None))
    };
    let resumed = job(3).and_then(|job| job.resume(&run).run(|_| {}));
    check(resumed.map(drop));
    let begun = scratch().join("begun");
    let _ = std::fs::remove_dir_all(&begun);
    let begun = job(1).and_then(|job| job.init(hostile).out(begun).run(|_| {}));
    check(begun.map(drop));
}
