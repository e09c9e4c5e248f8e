//! Executors with the options of the command line.

use std::sync::{Arc, Mutex, PoisonError};

use super::args::Invocation;
use super::messages::note;
use super::progress::Live;
use crate::device::{Executor, ExecutorOptions, Workload, choose};
use crate::error::Result;

/// The options of the command line. Shows the progress of tuning, unless `quiet`.
pub(super) fn executor_options(invocation: &Invocation, quiet: bool) -> ExecutorOptions {
    let live: Mutex<Option<Live>> = Mutex::new(None);
    ExecutorOptions {
        tune: !invocation.global.no_tune,
        checked: invocation.global.checked,
        on_tuning: Some(Arc::new(move |done, all| {
            let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
            if done == 0 {
                note(
                    quiet,
                    "Measuring which form of each kernel is fastest on this GPU (only once) ...",
                );
            }
            let shown = live.get_or_insert_with(|| Live::new("measuring kernels", quiet));
            shown.show(done, all);
            if done == all {
                shown.end();
                *live = None;
            }
        })),
        ..ExecutorOptions::default()
    }
}

/// The executor of a device for single kernels. Prints which device it is, and why.
pub(super) fn kernel_executor(
    selector: &str,
    invocation: &Invocation,
) -> Result<Box<dyn Executor>> {
    let quiet = invocation.quiet();
    let choice = choose(&[selector])?;
    note(quiet, &choice.reason);
    let options = executor_options(invocation, quiet);
    choice.device.open(Workload::Kernels, &options)
}
