//! An open wgpu device with its queue, whose failures are errors: refused calls, failed allocations, a lost device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::kernel::Kernel;

/// An open device and its queue.
pub(super) struct Handle {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// The first failure that no call returned.
    failure: Arc<Mutex<Option<String>>>,
}

/// Reports when a buffer has been mapped.
pub(super) type Mapping = Receiver<Result<(), wgpu::BufferAsyncError>>;

impl Handle {
    /// Takes over a device and records its failures from now on.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Handle {
        let failure = Arc::new(Mutex::new(None));
        let record = |failure: &Mutex<Option<String>>, message: String| {
            failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(message);
        };
        let uncaptured = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error| {
            record(&uncaptured, one_line(&error.to_string()));
        }));
        let lost = Arc::clone(&failure);
        device.set_device_lost_callback(move |_, message| {
            record(&lost, format!("the device is lost: {}", one_line(&message)));
        });
        Handle {
            device,
            queue,
            failure,
        }
    }

    /// Returns the first recorded failure as an error.
    pub fn check(&self) -> Result<()> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(message) => Err(Error::device(format!("the GPU failed: {message}")).help(
                "see the driver's log; resume from the last checkpoint, or use `--device cpu`",
            )),
        }
    }

    /// Calls `make`, which creates something on the device. If the device refuses, returns an error. `what`
    /// names the thing for messages.
    pub fn guarded<T>(&self, what: impl FnOnce() -> String, make: impl FnOnce() -> T) -> Result<T> {
        self.scoped(make).map_err(|error| refused(&what(), &error))
    }

    /// Calls `make`, which compiles the shader of a kernel. A shader that is not valid, or does not match the bindings that its
    /// kernel declares, is refused before the driver sees it.
    pub fn compiled<T>(
        &self,
        kernel: &Kernel,
        what: impl FnOnce() -> String,
        make: impl FnOnce() -> T,
    ) -> Result<T> {
        self.scoped(make).map_err(|error| match error {
            wgpu::Error::Validation { .. } => Error::new(
                Kind::Other,
                format!(
                    "the shader of the kernel {} does not compile: {}",
                    kernel.name,
                    one_line(&error.to_string())
                ),
            )
            .help(format!(
                "correct `shaders/{}.wgsl`, or the bindings of its `Kernel`; if you have not changed them, report this \
                 as a bug in wlstm, and use `--device cpu` until it is fixed",
                kernel.stem()
            )),
            error => refused(&what(), &error),
        })
    }

    /// Calls `make`. Returns its result, or the error that the device reports during the call.
    fn scoped<T>(&self, make: impl FnOnce() -> T) -> std::result::Result<T, wgpu::Error> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let made = make();
        // On native backends these futures are ready at once.
        let internal = pollster::block_on(internal.pop());
        let validation = pollster::block_on(validation.pop());
        let memory = pollster::block_on(memory.pop());
        match memory.or(validation).or(internal) {
            None => Ok(made),
            Some(error) => Err(error),
        }
    }

    /// Creates a buffer of `size` bytes.
    pub fn buffer(
        &self,
        what: impl FnOnce() -> String,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        self.guarded(what, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        })
    }

    /// Starts a command encoder.
    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    /// Submits the commands of an encoder.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.queue.submit([encoder.finish()])
    }

    /// Blocks until `submission` has completed.
    pub fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let poll = wgpu::PollType::Wait {
            submission_index: Some(submission),
            timeout: None,
        };
        // wgpu panics here if the driver reports a lost device. A training program must end cleanly instead.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(poll))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::device("waiting for the GPU failed").because(error)),
            Err(_) => Err(Error::device("the GPU was lost while computing").help(
                "see the driver's log; resume from the last checkpoint, or use `--device cpu`",
            )),
        }
    }

    /// Passes the `u32`s of a mapped buffer to `read`, then unmaps it. The submission before `mapping` must have completed.
    pub fn read_mapped<T>(
        &self,
        buffer: &wgpu::Buffer,
        range: std::ops::RangeTo<u64>,
        mapping: &Mapping,
        read: impl FnOnce(&[u32]) -> T,
    ) -> Result<T> {
        self.check()?;
        let failed = || Error::device("the GPU did not return its results");
        match mapping.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed().because(error)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Err(failed()),
        }
        let view = buffer
            .slice(range)
            .get_mapped_range()
            .map_err(|error| Error::device("cannot read the GPU's results").because(error))?;
        let result = read(bytemuck::cast_slice(&view));
        drop(view);
        buffer.unmap();
        Ok(result)
    }
}

/// Requests that the first bytes of a buffer are mapped once all submitted work is done.
pub(super) fn map(buffer: &wgpu::Buffer, range: std::ops::RangeTo<u64>) -> Mapping {
    let (sender, receiver) = channel();
    buffer
        .slice(range)
        .map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone if the executor was dropped with runs in flight.
            let _ = sender.send(result);
        });
    receiver
}

/// The error of an allocation that failed because memory ran out.
pub(super) fn out_of_memory(what: &str) -> Error {
    Error::device(format!("the GPU is out of memory: no room for {what}"))
        .help("use a smaller batch or model, or another device; other programs may use its memory")
}

/// Joins the lines of a wgpu error.
/// The error for an object that the device cannot create.
fn refused(what: &str, error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => out_of_memory(what),
        error => Error::device(format!(
            "the GPU cannot create {what}: {}",
            one_line(&error.to_string())
        ))
        .help("update the driver, or use `--device cpu`"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
