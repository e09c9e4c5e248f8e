//! Training on two devices: what they exchange, and the loss of one.
//!
//! When one device is lost at any moment of a run, the other one saves its model as of the end of a step.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wlstm::checkpoint::{Checkpoint, RunFolder};
use wlstm::config::Config;
use wlstm::corpus::{Corpus, Text, VocabularyBuilder};
use wlstm::device::{CpuExecutor, Executor, Inputs, MemoryInfo, Outputs, PlanId, Profile};
use wlstm::error::{Error, Kind, Result};
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Plan;
use wlstm::kernel::{Halves, Kernel};
use wlstm::train::collective::SingleProcess;
use wlstm::train::estimate::{CommunicationCost, RunSpec, Topology};
use wlstm::train::progress::Progress;
use wlstm::train::run::{Run, train};
use wlstm::train::session::TrainingSession;
use wlstm::train::watch::Stop;

/// A device that is lost after `last` calls.
struct Mortal {
    inner: CpuExecutor<f32>,
    calls: AtomicUsize,
    last: usize,
    /// The number of elements read from the device, and of those sent to it.
    moved: Arc<[AtomicUsize; 2]>,
}

impl Mortal {
    fn call(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.check()
    }
}

impl Executor for Mortal {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn memory_info(&self) -> MemoryInfo {
        self.inner.memory_info()
    }
    fn allocated_bytes(&self) -> u64 {
        self.inner.allocated_bytes()
    }
    fn check(&self) -> Result<()> {
        if self.calls.load(Ordering::Relaxed) > self.last {
            Err(Error::device("the device is lost"))
        } else {
            Ok(())
        }
    }
    fn limits(&self) -> Limits {
        self.inner.limits()
    }
    fn runs(&self, kernel: &Kernel, halves: Halves) -> bool {
        self.inner.runs(kernel, halves)
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
    fn load(&mut self, plan: Arc<Plan>) -> Result<PlanId> {
        self.inner.load(plan)
    }
    fn len(&self, name: &str) -> usize {
        self.inner.len(name)
    }
    fn write_part(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        self.check()?;
        self.inner.write_part(name, start, values)
    }
    fn send(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.call()?;
        self.moved[1].fetch_add(values.len(), Ordering::Relaxed);
        self.inner.send(name, values)
    }
    fn start_read(&mut self, name: &str, len: usize) -> Result<()> {
        self.call()?;
        self.inner.start_read(name, len)
    }
    fn forget_reads(&mut self) {
        self.inner.forget_reads();
    }
    fn finish_read(&mut self, values: &mut Vec<f32>) -> Result<()> {
        self.call()?;
        let before = values.len();
        self.inner.finish_read(values)?;
        self.moved[0].fetch_add(values.len() - before, Ordering::Relaxed);
        Ok(())
    }
    fn read_part(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        self.check()?;
        self.inner.read_part(name, start, values)
    }
    fn run(&mut self, plan: PlanId, inputs: &Inputs) -> Result<()> {
        self.call()?;
        self.inner.run(plan, inputs)
    }
    fn profile(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Profile> {
        self.inner.profile(plan, inputs)
    }
    fn fetch(&mut self) -> Result<Outputs> {
        self.call()?;
        self.inner.fetch()
    }
}

const CONFIG: &str = r#"
[model]
cell = "glstm"
groups = 2
layers = 1
embedding = 8
hidden = 8
projection = 8
dropout = 0.2
[softmax]
samples = 6
[data]
train = ["train.txt"]
[train]
batch = 2
unroll = 3
learning_rate = 0.5
ema = 0.9
steps = 12
checkpoint_every = 0
keep = 1000
"#;

/// Which device is lost, and when.
struct Loss {
    device: usize,
    /// The number of calls that succeed.
    after: usize,
}

/// Trains into a folder on two devices, one of which is lost. Counts the elements that move to and from the first one.
fn run_counted(
    base: &Path,
    name: &str,
    sets: &[&str],
    loss: Loss,
    moved: &Arc<[AtomicUsize; 2]>,
) -> Result<()> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    let config = Config::parse(CONFIG, "test.toml", base, &sets)?;
    let corpus = Arc::new(Corpus::open(&config.data.train)?);
    let words = VocabularyBuilder::new(config.data.order, config.data.tokens).build(&corpus)?;
    let text = Text::new(corpus, Arc::new(words), config.data.tokens);
    let executors = (0..2).map(|k| -> Box<dyn Executor> {
        Box::new(Mortal {
            inner: CpuExecutor::new(),
            calls: AtomicUsize::new(0),
            last: if k == loss.device {
                loss.after
            } else {
                usize::MAX
            },
            moved: if k == 0 {
                moved.clone()
            } else {
                Arc::default()
            },
        })
    });
    let vocabulary = text.vocabulary().len();
    let mut session = TrainingSession::new(
        executors.collect(),
        Box::new(SingleProcess),
        &config,
        vocabulary,
    )?;
    session.initialise()?;
    let folder = RunFolder::create(&base.join(name))?;
    let run = Run {
        shared_targets: None,
        config: &config,
        name: "test".to_owned(),
        session: &mut session,
        train: text,
        valid: None,
        folder: Some(&folder),
        progress: Progress::start(),
        stop: &Stop::default(),
        turns: None,
        watch: &mut |_| {},
    };
    train(run).map(drop)
}

fn run(base: &Path, name: &str, sets: &[&str], loss: Loss) -> Result<()> {
    run_counted(base, name, sets, loss, &Arc::default())
}

/// The checkpoint of a run at a step.
fn checkpoint(base: &Path, name: &str, step: u64) -> Checkpoint {
    let path = base
        .join(name)
        .join(format!("checkpoints/step-{step:08}.safetensors"));
    Checkpoint::open(&path).unwrap_or_else(|error| panic!("{name}: {}", error.chain()))
}

/// Writes the training text.
fn write_text(base: &Path) {
    let mut text = String::new();
    for k in 0..200 {
        text += &format!("w{} w{} w{}\n", k % 17, k * 7 % 23, k * k % 13);
    }
    std::fs::write(base.join("train.txt"), text).unwrap();
}

/// The bytes exchanged between devices are those that `wlstm plan` predicts.
#[test]
fn devices_exchange_what_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    write_text(base);
    for (k, sets) in [
        vec![],
        vec!["train.recipe=plain", "train.accumulate=3"],
        vec!["model.tied=true"],
        vec!["softmax.kind=full"],
    ]
    .into_iter()
    .enumerate()
    {
        let moved: Arc<[AtomicUsize; 2]> = Arc::default();
        let never = Loss {
            device: 0,
            after: usize::MAX,
        };
        run_counted(base, &format!("run-{k}"), &sets, never, &moved).unwrap();
        let [sent, received] = [0, 1].map(|way| 4 * moved[way].load(Ordering::Relaxed) as u64);
        let all: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        let config = Config::parse(CONFIG, "test.toml", base, &all).unwrap();
        // The words of the text plus two special words.
        let vocabulary = 23 + 2;
        let spec = RunSpec {
            config: &config,
            vocabulary,
            topology: Topology {
                devices: 2,
                ..Topology::SINGLE
            },
        };
        let plans = spec.plans(&Limits::HOST);
        let planned = CommunicationCost::of(plans.reduced_gradients(), &config, 2);
        assert!(planned.dense > 0 && planned.rows > 0, "{sets:?}");
        assert_eq!(
            (sent, received),
            (12 * planned.sent, 12 * planned.received),
            "{sets:?}"
        );
    }
}

#[test]
fn the_remaining_device_saves_whole_steps() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    write_text(base);
    for (kind, sets) in [
        ("device", vec![]),
        ("host", vec!["model.tables=host", "device.table_rows=1"]),
        (
            "micro-batches",
            vec!["train.accumulate=2", "train.recipe=plain"],
        ),
    ] {
        // Saves every step.
        let every = [sets.as_slice(), &["train.checkpoint_every=1"]].concat();
        let whole = format!("whole-{kind}");
        let never = Loss {
            device: 0,
            after: usize::MAX,
        };
        run(base, &whole, &every, never).unwrap();
        let (mut saved, mut whole_states) = (Vec::new(), 0);
        for mortal in [0, 1] {
            for calls in 0..90 {
                let name = format!("{kind}-{mortal}-{calls}");
                let loss = Loss {
                    device: mortal,
                    after: calls,
                };
                let error = run(base, &name, &sets, loss).expect_err("a device is lost");
                assert_eq!(error.kind(), Kind::Device, "{}", error.chain());
                let progress = std::fs::read_dir(base.join(&name).join("checkpoints"));
                let files: Vec<_> = progress.unwrap().map(|file| file.unwrap().path()).collect();
                // Before the end of the first step nothing can be saved.
                let [file] = files.as_slice() else {
                    assert!(files.is_empty() && calls < 40, "{name}: {files:?}");
                    continue;
                };
                let step = Progress::read(&Checkpoint::open(file).unwrap())
                    .unwrap()
                    .step;
                saved.push(step);
                let (got, want) = (
                    checkpoint(base, &name, step),
                    checkpoint(base, &whole, step),
                );
                for tensor in want.names() {
                    if tensor == "vocab" || tensor.starts_with("state.") {
                        continue;
                    }
                    assert_eq!(
                        got.tensor_f32(&tensor).unwrap().1,
                        want.tensor_f32(&tensor).unwrap().1,
                        "{name}: {tensor} after step {step}"
                    );
                }
                // The states of the lost device are zero; so are those of the other one, if it was within a step.
                let of =
                    |file: &Checkpoint| file.tensor_f32("state.layers.0.h").unwrap().1.into_owned();
                let (got, want) = (of(&got), of(&want));
                let half = got.len() / 2;
                let halves = [0..half, half..2 * half];
                assert!(
                    got[halves[mortal].clone()].iter().all(|&x| x == 0.0),
                    "{name}"
                );
                let there = halves[1 - mortal].clone();
                let torn = got.iter().all(|&x| x == 0.0);
                assert!(torn || got[there.clone()] == want[there], "{name}");
                whole_states += usize::from(!torn);
                let record = std::fs::read_to_string(base.join(&name).join("run.json")).unwrap();
                assert!(record.contains("failed"), "{record}");
            }
        }
        saved.sort_unstable();
        saved.dedup();
        assert!(saved.len() > 1, "{kind}: after steps {saved:?}");
        assert!(whole_states > 0, "{kind}: no states");
    }
}
