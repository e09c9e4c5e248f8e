//! A GPU that fails during a training step, a validation or a comparison. The program reports a device error, and the run,
//! resumed from its last checkpoint, is bitwise identical to a run on a GPU that did not fail.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wlstm::device::ExecutorOptions;
use wlstm::error::{Error, Kind};
use wlstm::job::comparison::{BeginOptions, Budget, Comparison};
use wlstm::job::{Job, Stop};

use super::runs::{Outcome, Text, alike};
use crate::common::program::{checkpoints, lines_of};
use crate::common::{Gpu, Trial, on_every_gpu};

const CONFIG: &str = r#"
[model]
cell = "lstmp"
layers = 1
embedding = 8
hidden = 16
projection = 8
dropout = 0.2
[softmax]
kind = "sampled"
samples = 20
[data]
train = ["train.txt"]
valid = ["valid.txt"]
[train]
batch = 4
unroll = 5
steps = 12
validate_every = 5
checkpoint_every = 3
"#;

pub fn trials() -> Vec<Trial> {
    let mut trials = on_every_gpu("in_a_step", |gpu| in_a_run(gpu, "train", &[1, 4, 8, 12]));
    trials.extend(on_every_gpu("in_a_validation", |gpu| {
        in_a_run(gpu, "evaluate", &[1, 2, 4])
    }));
    trials.extend(on_every_gpu("in_a_comparison", in_a_comparison));
    trials
}

/// Destroys the device in the given run of the plan `plan`, counted from 1 over all executors with these options.
fn losing(plan: &'static str, number: u64) -> (ExecutorOptions, Arc<AtomicU64>) {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    let options = ExecutorOptions {
        loses_device: Some(Arc::new(move |name: &str| {
            name == plan && counted.fetch_add(1, Ordering::SeqCst) + 1 == number
        })),
        ..ExecutorOptions::default()
    };
    (options, runs)
}

fn selector(gpu: &Gpu) -> String {
    format!("gpu:{}", gpu.adapter.summary.index)
}

fn in_a_run(gpu: &Gpu, plan: &'static str, numbers: &[u64]) -> Outcome {
    let text = Text::new(CONFIG, 40);
    let job = |out: &Path| {
        let job = Job::load::<&str>(&text.config, &[])?.device(&selector(gpu));
        Ok::<Job, Error>(job.token_cache(None).out(out))
    };
    let whole = text.folder.path("whole");
    job(&whole)?.run(|_| {})?;
    for &number in numbers {
        let run = text.folder.path(&format!("lost-{number}"));
        let (options, runs) = losing(plan, number);
        let error = match job(&run)?.executor_options(options).run(|_| {}) {
            Ok(_) => {
                return Err(format!("`{plan}` ran {runs:?} times, the device was not lost").into());
            }
            Err(error) => error,
        };
        let chain = error.chain().to_string();
        if error.kind() != Kind::Device || error.kind().exit_code() != 4 {
            return Err(format!("{:?}: {chain}", error.kind()).into());
        }
        if !chain.contains("resume") {
            return Err(format!("does not say how to continue: {chain}").into());
        }
        let reason = lines_of(&run, "end").pop().ok_or("no end")?;
        if reason["reason"] == "interrupted" {
            return Err(format!("{reason}").into());
        }
        // The regular checkpoints are kept. No checkpoint is saved from a lost device.
        if plan == "train" && number > 3 && checkpoints(&run).is_empty() {
            return Err("no checkpoint is left".into());
        }
        job(&run)?.resume(&run).run(|_| {})?;
        alike(&whole, &run, 0.0)?;
    }
    Ok(())
}

fn in_a_comparison(gpu: &Gpu) -> Outcome {
    let text = Text::new(CONFIG, 40);
    let begin = || {
        Comparison::begin(BeginOptions {
            configs: vec![text.config.clone()],
            variants: vec!["lstmp".to_owned(), "glstm:groups=2".to_owned()],
            budget: Some(Budget::Steps(12)),
            device: selector(gpu),
            ..BeginOptions::default()
        })
    };
    let whole = text.folder.path("whole");
    let ready = begin()?.token_cache(None).prepare(Some(&whole), |_| {})?;
    ready.run(&Stop::default(), |_, _| {})?;
    for (plan, number) in [("train", 5), ("train", 17), ("evaluate", 2)] {
        let out = text.folder.path(&format!("{plan}-{number}"));
        let (options, _) = losing(plan, number);
        let begun = begin()?.executor_options(options).token_cache(None);
        let outcome = begun
            .prepare(Some(&out), |_| {})?
            .run(&Stop::default(), |_, _| {})?;
        match outcome.failures.as_slice() {
            [(_, error)] if error.kind() == Kind::Device => {}
            failures => return Err(format!("{plan} {number}: {failures:?}").into()),
        }
        let resumed = Comparison::resume(Some(&out), None, "auto")?.token_cache(None);
        let outcome = resumed
            .prepare(None, |_| {})?
            .run(&Stop::default(), |_, _| {})?;
        if !outcome.failures.is_empty() {
            return Err(format!("{plan} {number}: {:?}", outcome.failures).into());
        }
        for model in &outcome.models {
            alike(&whole.join(&model.folder), &out.join(&model.folder), 0.0)?;
        }
    }
    Ok(())
}
