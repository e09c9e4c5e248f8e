//! Every way to open a file.

use std::path::{Path, PathBuf};

use wlstm::checkpoint::Which;
use wlstm::config::Config;
use wlstm::job::factorize::Method;
use wlstm::job::import::import;
use wlstm::job::{ExportFormat, GenerationOptions, Job, Parameters, Trained};
use wlstm::model::language_model::Extent;
use wlstm::report::RunData;

use super::file::HostileFile;
use crate::common::folder::{Folder, snapshot};

/// The models: every cell; optimizers with zero, one and two states; tied and untied tables; tables on the host; mixed
/// precision.
const SAMPLES: [&[&str]; 4] = [
    &[
        "model.cell=lstmp",
        "train.optimizer=adam",
        "softmax.kind=full",
    ],
    &[
        "model.cell=flstm",
        "model.factor=3",
        "train.ema=0.0",
        "train.optimizer=sgd",
        "softmax.kind=full",
        "model.tied=true",
    ],
    &[
        "model.cell=glstm",
        "model.groups=2",
        "softmax.samples=4",
        "data.order=sentences",
    ],
    &[
        "model.cell=['lstmp', 'glstm']",
        "model.groups=2",
        "model.layers=2",
        "softmax.samples=4",
        "model.tables=host",
        "train.precision=mixed",
    ],
];

/// Sizes of all models.
const SIZES: [&str; 14] = [
    "model.layers=1",
    "model.embedding=4",
    "model.hidden=8",
    "model.projection=4",
    "model.dropout=0.0",
    "data.train=text.txt",
    "data.valid=text.txt",
    "train.batch=2",
    "train.unroll=3",
    "train.steps=2",
    "train.ema=0.9",
    "train.validate_every=2",
    "data.order=contiguous",
    "train.keep=1",
];

/// One file in this many is used to train, because training takes long.
const TRAININGS: u64 = 16;

/// One model in this many is loaded on a device.
const DEVICES: u64 = 4;

/// What is needed to open files.
pub struct Bench {
    folder: Folder,
    samples: Vec<(Config, PathBuf, HostileFile)>,
}

/// Which ways succeeded.
pub struct Opened {
    /// As a trained model.
    pub as_model: bool,
}

impl Bench {
    /// Trains the samples.
    pub fn new() -> Bench {
        let folder = Folder::in_memory();
        let line = |k: usize| format!("the cat {k} sat on mat {} with dog\n", k % 3);
        let text = folder.write("text.txt", (0..9).map(line).collect::<String>());
        let base = text.parent().expect("a folder").to_owned();
        let mut samples = Vec::new();
        for (k, own) in SAMPLES.iter().enumerate() {
            let sets: Vec<String> = SIZES
                .iter()
                .chain(*own)
                .map(|set| (*set).to_owned())
                .collect();
            let config = Config::parse("", "sample", &base, &sets).expect("a configuration");
            let run = folder.path(&format!("run{k}"));
            job(&config).out(&run).run(|_| {}).expect("a run");
            let bytes = std::fs::read(checkpoint(&run)).expect("a checkpoint");
            samples.push((config, run, HostileFile::parse(&bytes)));
        }
        Bench { folder, samples }
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// A valid file.
    pub fn sample(&self, k: usize) -> &HostileFile {
        &self.samples[k].2
    }

    /// Opens a file in every way. Ways that take long are tried for some files, chosen by the seed.
    pub fn try_all(&self, file: &HostileFile, which: usize, seed: u64) -> Opened {
        let bytes = file.to_bytes();
        let path = self.folder.write("hostile.safetensors", &bytes);
        let (config, run, _) = &self.samples[which];
        let trained = Trained::open(&path);
        let as_model = trained.is_ok();
        if let Ok(trained) = trained {
            self.use_model(&trained.device("cpu").token_cache(None), seed);
        }
        let imported = self.folder.path("imported");
        let _ = import(&path, config, "imported", &imported, |_| {});
        let _ = std::fs::remove_dir_all(&imported);
        if seed.is_multiple_of(TRAININGS) {
            self.train_from(&path, config);
            self.resume(run, config, &bytes);
        }
        Opened { as_model }
    }

    /// Starts a training from the parameters of a file.
    fn train_from(&self, path: &Path, config: &Config) {
        let started = self.folder.path("started");
        drop(job(config).init(path).out(&started).prepare(|_| {}));
        let _ = std::fs::remove_dir_all(started);
    }

    /// Resumes a run with these bytes as its checkpoint for one more step, and reads it for a report without metrics.
    fn resume(&self, run: &Path, config: &Config, bytes: &[u8]) {
        let copy = self.folder.path("resumed");
        for (path, contents) in snapshot(run) {
            let to = copy.join(path.strip_prefix(run).expect("a path in the run"));
            match contents {
                Some(contents) => {
                    std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
                    std::fs::write(to, contents).expect("a file");
                }
                None => std::fs::create_dir_all(to).expect("a folder"),
            }
        }
        std::fs::write(checkpoint(&copy), bytes).expect("a checkpoint");
        let mut longer = config.clone();
        longer.train.steps += 1;
        let _ = job(&longer).resume(&copy).run(|_| {});
        let _ = std::fs::remove_file(copy.join("metrics.jsonl"));
        let _ = RunData::read(&copy);
        std::fs::remove_dir_all(copy).expect("a folder");
    }

    /// Uses a model in every way.
    fn use_model(&self, trained: &Trained, seed: u64) {
        let out = self.folder.path("out");
        for format in [
            ExportFormat::Native,
            ExportFormat::Pytorch,
            ExportFormat::Onnx,
        ] {
            for set in [Parameters::ByRule, Parameters::Last, Parameters::Average] {
                let with = trained.clone().parameters(set);
                let _ = with.and_then(|trained| trained.export(format, &out));
            }
        }
        let methods = [
            Method::Factors(vec![2]),
            Method::Groups {
                groups: vec![2],
                seed: 1,
            },
        ];
        for method in methods {
            let made = self.folder.path("made");
            if let Ok(work) = trained.factorization(method, &made) {
                let _ = work.make(&self.folder.path("no run"));
            }
            let _ = std::fs::remove_dir_all(&made);
        }
        if !seed.is_multiple_of(DEVICES) {
            return;
        }
        let extent = Extent {
            batch: 1,
            unroll: 2,
        };
        let _ = trained.evaluation_session(extent);
        let _ = trained.score(&["the cat"]);
        let options = GenerationOptions {
            tokens: 2,
            ..GenerationOptions::default()
        };
        let _ = trained.generate("the", &options);
    }
}

/// A training on the CPU.
fn job(config: &Config) -> Job {
    let job = Job::new(config.clone()).expect("a job");
    job.device("cpu").token_cache(None)
}

/// The only checkpoint of a run.
fn checkpoint(run: &Path) -> PathBuf {
    wlstm::checkpoint::find(run, Which::Last).map_or_else(
        |_| run.join("checkpoints/step-00000002.safetensors"),
        |found| found.checkpoint,
    )
}
