//! Appends to `metrics.jsonl`, line by line.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::tensorboard::Board;
use super::{End, Line, Sample, Skipped, Start, Step, Valid, scan};
use crate::error::Result;
use crate::files;

/// The first steps are always written, however seldom steps are.
const FIRST: u64 = 10;

/// Writes the metrics of one run. A line is in the file when the call that wrote it returns.
///
/// Of the steps it writes the first 10, every `log_every`-th and the last; the last is known only at the end, so the
/// newest step that was not written waits for it.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    log_every: u64,
    pending: Option<Step>,
    board: Option<Board>,
}

impl Writer {
    /// Starts a new file; there must be none.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is one or it cannot be made.
    pub fn create(path: &Path, log_every: u64) -> Result<Writer> {
        let file = File::options().write(true).create_new(true).open(path);
        Writer::new(path, file, log_every)
    }

    /// Continues the file of a run that is resumed from its checkpoint at `step`: what came after it is cut off, and
    /// a half-written line too. A file that is missing is started.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be read or written, or a line of it is broken.
    pub fn resume(path: &Path, log_every: u64, step: u64, validated: bool) -> Result<Writer> {
        let mut kept = 0;
        if path.exists() {
            // A validation of this step comes again unless the checkpoint knows of it.
            let again = |line: &Line| matches!(line, Line::Valid(valid) if valid.step == step && !validated);
            scan(path, |line, end| {
                let keep = line.step().is_none_or(|at| at <= step) && !again(&line);
                if keep {
                    kept = end;
                }
                keep
            })?;
        }
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .and_then(|mut file| {
                // Cutting the end off is one operation: there is no state between.
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
            board: None,
        })
    }

    /// Has all that is written from now on go to TensorBoard too.
    pub fn show_on(&mut self, board: Board) {
        self.board = Some(board);
    }

    /// Where TensorBoard reads, if that was said.
    pub fn board(&mut self) -> Option<&mut Board> {
        self.board.as_mut()
    }

    /// Writes the start of training.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written, here and below.
    pub fn start(&mut self, start: Start) -> Result<()> {
        self.write(&Line::Start(start))
    }

    /// Takes a step: writes it now, or at the end if it is the last.
    ///
    /// # Errors
    ///
    /// As [`Writer::start`].
    pub fn step(&mut self, step: Step) -> Result<()> {
        if step.step <= FIRST || step.step.is_multiple_of(self.log_every) {
            self.pending = None;
            self.write(&Line::Step(step))
        } else {
            self.pending = Some(step);
            Ok(())
        }
    }

    /// Writes that a step changed nothing.
    ///
    /// # Errors
    ///
    /// As [`Writer::start`].
    pub fn skipped(&mut self, skipped: Skipped) -> Result<()> {
        self.write(&Line::Skipped(skipped))
    }

    /// Writes a validation.
    ///
    /// # Errors
    ///
    /// As [`Writer::start`].
    pub fn valid(&mut self, valid: Valid) -> Result<()> {
        self.write(&Line::Valid(valid))
    }

    /// Writes what the model made up.
    ///
    /// # Errors
    ///
    /// As [`Writer::start`].
    pub fn sample(&mut self, sample: Sample) -> Result<()> {
        self.write(&Line::Sample(sample))
    }

    /// Writes the last step, if it was not written, and the end.
    ///
    /// # Errors
    ///
    /// As [`Writer::start`].
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
        let written = serde_json::to_vec(line)
            .map_err(std::io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)
            });
        written.map_err(|error| files::cannot_write(&self.path, error))?;
        match &mut self.board {
            Some(board) => board.line(line),
            None => Ok(()),
        }
    }
}
