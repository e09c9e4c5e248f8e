//! Writes `metrics.jsonl` line by line.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::gaps::{FIRST, Steps, ranges};
use super::line::{End, Line, Sample, Skipped, Start, Step, Valid};
use super::read::scan;
use super::tensorboard::EventWriter;
use crate::error::Result;
use crate::files;

/// Writes the metrics of one run. Each line is in the file when the call returns.
///
/// Of the steps, the first 10, every `log_every`-th and the last one are written. The last step is only known at the end, so the
/// newest step that was not written is kept until then.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    log_every: u64,
    pending: Option<Step>,
    tensorboard: Option<EventWriter>,
}

impl Writer {
    /// Creates a new file.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file exists or cannot be created.
    pub fn create(path: &Path, log_every: u64) -> Result<Writer> {
        let file = File::options().write(true).create_new(true).open(path);
        Writer::new(path, file, log_every)
    }

    /// Continues the file of a run that resumes from its checkpoint at `step`. Later lines and an incomplete
    /// last line are removed. A missing file is created. `validated`: whether the checkpoint was saved after
    /// the validation of its step.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read or written, or a line is invalid.
    pub fn resume(path: &Path, log_every: u64, step: u64, validated: bool) -> Result<Writer> {
        let (mut kept, mut steps) = (0, Steps::default());
        files::check_own(path)
            .map_err(|error| files::cannot_write(path, error).help("remove it"))?;
        if path.exists() {
            // A validation of this step is repeated unless the checkpoint contains its result.
            let is_repeated = |line: &Line| matches!(line, Line::Valid(valid) if valid.step == step && !validated);
            scan(path, |line, end| {
                let keep = line.step().is_none_or(|at| at <= step) && !is_repeated(&line);
                if keep {
                    kept = end;
                    steps.add(&line);
                }
                keep
            })?;
        }
        let missing = steps.missing(step, log_every);
        if !missing.is_empty() {
            tracing::warn!(
                "`{}` has no lines for steps {}: they will be missing in curves and tables",
                path.display(),
                ranges(&missing)
            );
        }
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .and_then(|mut file| {
                // Truncation is atomic.
                file.set_len(kept)?;
                file.seek(SeekFrom::End(0))?;
                file.sync_all()?;
                Ok(file)
            });
        Writer::new(path, file, log_every)
    }

    fn new(path: &Path, file: std::io::Result<File>, log_every: u64) -> Result<Writer> {
        let file = file.map_err(|error| files::cannot_write(path, error))?;
        Ok(Writer {
            path: path.to_path_buf(),
            file,
            log_every: log_every.max(1),
            pending: None,
            tensorboard: None,
        })
    }

    /// Writes everything from now on to TensorBoard too.
    pub fn attach_tensorboard(&mut self, events: EventWriter) {
        self.tensorboard = Some(events);
    }

    /// The TensorBoard event file, if one is attached.
    pub fn tensorboard(&mut self) -> Option<&mut EventWriter> {
        self.tensorboard.as_mut()
    }

    /// Writes the start of training.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written, here and below.
    pub fn start(&mut self, start: Start) -> Result<()> {
        self.write(&Line::Start(start))
    }

    /// Writes a step now, or at the end if it turns out to be the last one.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn step(&mut self, step: Step) -> Result<()> {
        if step.step <= FIRST || step.step.is_multiple_of(self.log_every) {
            self.pending = None;
            self.write(&Line::Step(step))
        } else {
            self.pending = Some(step);
            Ok(())
        }
    }

    /// Writes that a step was skipped.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn skipped(&mut self, skipped: Skipped) -> Result<()> {
        self.write(&Line::Skipped(skipped))
    }

    /// Writes a validation.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn valid(&mut self, valid: Valid) -> Result<()> {
        self.write(&Line::Valid(valid))
    }

    /// Writes the final validation on all targets. It is not a point of the validation curve, so it is not written for
    /// TensorBoard.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn valid_on_all(&mut self, valid: Valid) -> Result<()> {
        self.write_line(&Line::Valid(valid))
    }

    /// Writes a text that the model generated.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn sample(&mut self, sample: Sample) -> Result<()> {
        self.write(&Line::Sample(sample))
    }

    /// Waits until all lines are on the disk.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn sync(&mut self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|error| files::cannot_write(&self.path, error))
    }

    /// Writes the last step, unless it was written already, and the end.
    ///
    /// # Errors
    ///
    /// Same as [`Writer::start`].
    pub fn end(mut self, reason: impl Into<String>) -> Result<()> {
        if let Some(step) = self.pending.take() {
            self.write(&Line::Step(step))?;
        }
        self.write(&Line::End(End {
            reason: reason.into(),
        }))?;
        self.file
            .sync_all()
            .map_err(|error| files::cannot_write(&self.path, error))
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        self.write_line(line)?;
        match &mut self.tensorboard {
            Some(events) => events.line(line),
            None => Ok(()),
        }
    }

    fn write_line(&mut self, line: &Line) -> Result<()> {
        let written = serde_json::to_vec(line)
            .map_err(std::io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)
            });
        written.map_err(|error| files::cannot_write(&self.path, error))
    }
}
