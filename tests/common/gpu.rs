//! What the tests on GPUs share: one executor an adapter, and one trial an adapter.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::common::left_out;
use libtest_mimic::{Failed, Trial};
use wlstm::device::{Adapter, GpuExecutor, adapters};

/// An adapter with the executor that all its trials share: drivers take long to make pipelines. Trials take turns.
pub struct Gpu {
    /// For trial names: the number and the first word of the adapter's name, as `gpu0-llvmpipe`.
    pub slug: String,
    adapter: Adapter,
    executor: Mutex<Option<GpuExecutor>>,
}

impl Gpu {
    /// Runs `work` on the executor.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut GpuExecutor) -> wlstm::error::Result<T>,
    ) -> Result<T, Failed> {
        let mut slot = self.executor.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match &mut *slot {
            Some(executor) => work(executor),
            empty => {
                GpuExecutor::new(&self.adapter).and_then(|executor| work(empty.insert(executor)))
            }
        };
        result.map_err(|error| error.chain().to_string().into())
    }
}

/// Every adapter of this machine.
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
                    executor: Mutex::new(None),
                }
            })
            .collect()
    })
}

/// One trial for each adapter; without adapters one that is ignored, or that fails with `REQUIRE_GPU=1`.
pub fn on_every_gpu(
    name: &str,
    check: impl Fn(&Gpu) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    if gpus().is_empty() {
        return vec![left_out(format!("{name}::gpu"), "no GPU adapter found")];
    }
    gpus()
        .iter()
        .map(|gpu| {
            let check = check.clone();
            Trial::test(format!("{name}::{}", gpu.slug), move || check(gpu))
        })
        .collect()
}
