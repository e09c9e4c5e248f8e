//! Shared by the test binaries: adapters with one executor each, trials, runs of the program.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses only parts of it"
)]

pub mod dice;
pub mod folder;
pub mod hostile;
#[cfg(feature = "cli")]
pub mod program;
mod trial;

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use libtest_mimic::{Completion, Failed};
use wlstm::corpus::{Batch, Position};
use wlstm::device::{Adapter, GpuExecutor, adapters};

pub use trial::Trial;

/// The seed of every random number in the tests.
pub const SEED: u64 = 1;

/// An adapter with executors that its trials share, because drivers compile pipelines slowly. Trials that run at the same time
/// have an executor each, because software adapters compile a pipeline on one thread.
pub struct Gpu {
    /// For trial names: the number and the first word of the adapter's name, for example `gpu0-llvmpipe`.
    pub slug: String,
    /// The adapter.
    pub adapter: Adapter,
    /// Those that are free.
    executors: Mutex<Vec<GpuExecutor>>,
}

impl Gpu {
    /// Runs `work` on an executor that is free, or on a new one.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut GpuExecutor) -> wlstm::error::Result<T>,
    ) -> Result<T, Failed> {
        let executors = || {
            let executors = self.executors.lock();
            executors.unwrap_or_else(PoisonError::into_inner)
        };
        let free = executors().pop();
        let opened = match (free, self.adapter.summary.unit()) {
            (Some(executor), _) => Ok(executor),
            (None, Some(_)) => GpuExecutor::with_explicit_units(&self.adapter),
            (None, None) => GpuExecutor::new(&self.adapter),
        };
        let result = opened.and_then(|mut executor| {
            let result = work(&mut executor);
            executors().push(executor);
            result
        });
        result.map_err(|error| error.chain().to_string().into())
    }
}

/// The adapters of this machine.
pub fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let found = adapters().into_iter();
        found
            .map(|adapter| {
                let first = adapter.summary.name.split_whitespace().next();
                let word = first.unwrap_or("unnamed").to_lowercase();
                Gpu {
                    slug: format!("gpu{}-{word}", adapter.summary.index),
                    adapter,
                    executors: Mutex::new(Vec::new()),
                }
            })
            .collect()
    })
}

/// One trial for each adapter. Without adapters, one trial that is ignored, or that fails with `REQUIRE_GPU=1`.
pub fn on_every_gpu(
    name: &str,
    check: impl Fn(&Gpu) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    on_gpus_that(|_| true, name, check)
}

/// One trial for each adapter that `takes` accepts. Without adapters, as [`on_every_gpu`].
pub fn on_gpus_that(
    takes: impl Fn(&Gpu) -> bool,
    name: &str,
    check: impl Fn(&Gpu) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    if gpus().is_empty() {
        return vec![left_out(format!("{name}::gpu"), "no GPU adapter found")];
    }
    gpus()
        .iter()
        .filter(|gpu| takes(gpu))
        .map(|gpu| {
            let check = check.clone();
            Trial::test(format!("{name}::{}", gpu.slug), move || check(gpu))
        })
        .collect()
}

/// A trial that cannot run on this machine: ignored with this reason, or a failure with `REQUIRE_GPU=1`.
pub fn left_out(name: String, reason: &'static str) -> Trial {
    left_out_unless("REQUIRE_GPU", name, reason)
}

/// A trial that needs matrix units, which no adapter of this machine has: ignored, or a failure with `REQUIRE_UNITS=1`.
pub fn without_units(name: String) -> Trial {
    let reason = "no GPU here has matrix units that multiply f16 and add in f32";
    left_out_unless("REQUIRE_UNITS", name, reason)
}

/// The Python in `WLSTM_PYTHON`, with libraries that read the files of wlstm.
pub fn python() -> Option<PathBuf> {
    std::env::var_os("WLSTM_PYTHON").map(PathBuf::from)
}

/// A trial that needs [`python`]: ignored, or a failure with `REQUIRE_PYTHON=1`.
pub fn left_out_without_python(name: String) -> Trial {
    let reason = "WLSTM_PYTHON names no Python with onnxruntime and tensorboard";
    left_out_unless("REQUIRE_PYTHON", name, reason)
}

fn left_out_unless(variable: &'static str, name: String, reason: &'static str) -> Trial {
    Trial::ignorable_test(name, move || {
        if std::env::var_os(variable).is_some_and(|value| value == "1") {
            return Err(format!("{reason}, but {variable}=1").into());
        }
        Ok(Completion::ignored_with(reason))
    })
}

/// A batch of `streams` rows of equal length, at step `step` of the first epoch. It comes from no text.
pub fn batch(step: u64, streams: usize, inputs: Vec<u32>, targets: Vec<u32>) -> Batch {
    let words = inputs.len();
    Batch {
        inputs,
        targets,
        epoch: 1,
        reset: false,
        bytes: Vec::new(),
        words,
        unknown: 0,
        position: Position {
            epoch: 1,
            step,
            batch: streams,
            unroll: words / streams,
            bytes: 0,
            digest: 0,
            files: 0,
            lines: 0,
            rows: Vec::new(),
        },
    }
}
