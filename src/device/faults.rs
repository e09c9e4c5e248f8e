//! What can go wrong on a device, as errors: failed allocations, refused calls, a device that is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// Remembers the first failure that no call returned.
pub(super) struct Faults {
    first: Arc<Mutex<Option<String>>>,
}

impl Faults {
    /// Listens to `device`.
    pub fn watch(device: &wgpu::Device) -> Faults {
        let first = Arc::new(Mutex::new(None));
        let keep = |first: &Mutex<Option<String>>, what: String| {
            first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(what);
        };
        let uncaptured = Arc::clone(&first);
        device.on_uncaptured_error(Arc::new(move |error| {
            keep(&uncaptured, one_line(&error.to_string()));
        }));
        let lost = Arc::clone(&first);
        device.set_device_lost_callback(move |_, message| {
            keep(&lost, format!("the device is lost: {}", one_line(&message)));
        });
        Faults { first }
    }

    /// The first failure so far, if there was one.
    pub fn check(&self) -> Result<()> {
        match &*self.first.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(what) => Err(Error::device(format!("the GPU failed: {what}")).help(
                "see the driver's log; resume from the last checkpoint, or use `--device cpu`",
            )),
        }
    }
}

/// Runs `work`, which makes something on `device`, and returns what the device has against it; `what` names it.
pub(super) fn guarded<T>(
    device: &wgpu::Device,
    what: impl FnOnce() -> String,
    work: impl FnOnce() -> T,
) -> Result<T> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let made = work();
    // Natively these futures are ready at once.
    let internal = pollster::block_on(internal.pop());
    let validation = pollster::block_on(validation.pop());
    let memory = pollster::block_on(memory.pop());
    match memory.or(validation).or(internal) {
        None => Ok(made),
        Some(wgpu::Error::OutOfMemory { .. }) => Err(out_of_memory(&what())),
        Some(error) => Err(Error::device(format!(
            "the GPU refuses {}: {}",
            what(),
            one_line(&error.to_string())
        ))
        .help("update the driver, or use `--device cpu`")),
    }
}

/// There is no room for `what`.
pub(super) fn out_of_memory(what: &str) -> Error {
    Error::device(format!("the GPU is out of memory: no room for {what}"))
        .help("use a smaller batch or model, or another device; other programs may hold its memory")
}

/// Blocks until `submission` is done, or everything that was submitted.
pub(super) fn wait(device: &wgpu::Device, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
    let poll = wgpu::PollType::Wait {
        submission_index: submission,
        timeout: None,
    };
    // wgpu panics here when the driver reports a lost device, where a training program wants to end in order.
    match catch_unwind(AssertUnwindSafe(|| device.poll(poll))) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::device("waiting for the GPU failed").because(error)),
        Err(_) => Err(Error::device("the GPU was lost while computing")
            .help("see the driver's log; resume from the last checkpoint, or use `--device cpu`")),
    }
}

/// The many lines of an error of wgpu as one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
