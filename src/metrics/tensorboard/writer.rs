//! Writes event files.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use super::histogram::Histogram;
use super::messages::{
    Content, Data, Event, Metadata, PluginData, SessionLog, Summary, TensorProto, TensorShapeProto,
    Value,
};
use crate::error::Result;
use crate::files;
use crate::metrics::line::Line;

/// Writes a TensorBoard event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
    /// The time of the last event, since 1970.
    last: Duration,
}

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The masked CRC-32C: a checksum of bytes that may contain checksums.
fn masked(bytes: &[u8]) -> u32 {
    CHECKSUM
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

impl EventWriter {
    /// Creates a file in a folder, which is created if necessary. `step`: the steps done before, 0 for a new run.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be created.
    pub fn create(folder: &Path, step: u64) -> Result<EventWriter> {
        std::fs::create_dir_all(folder).map_err(|error| files::cannot_create(folder, error))?;
        let last = start(folder)?;
        let (path, file) = create_file(folder, last)?;
        let mut events = EventWriter { path, file, last };
        events.write(0, Content::FileVersion("brain.Event:2".to_owned()))?;
        // Later steps in older files are repeated.
        events.write(step + 1, Content::SessionLog(SessionLog { status: 1 }))?;
        Ok(events)
    }

    /// Writes the numbers of a line of metrics.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if they cannot be written, here and below.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        let scalar = |tag: &str, value: f64| Value {
            tag: tag.to_owned(),
            metadata: None,
            data: Some(Data::Scalar(value as f32)),
        };
        let (step, value) = match line {
            Line::Step(step) => (
                step.step,
                vec![
                    scalar("train/loss", step.loss),
                    scalar("train/words_per_second", step.words_per_second),
                    scalar("train/learning_rate", step.learning_rate),
                    scalar("train/grad_norm", step.grad_norm),
                    scalar("train/epoch", step.epoch as f64),
                ],
            ),
            Line::Valid(valid) => (
                valid.step,
                vec![
                    scalar("valid/perplexity", valid.perplexity),
                    scalar("valid/loss", valid.nll / valid.targets as f64),
                ],
            ),
            Line::Sample(sample) => return self.text("sample", sample.step, &sample.text),
            Line::Skipped(skipped) => (
                skipped.step,
                vec![scalar("train/skipped_loss_scale", skipped.loss_scale)],
            ),
            Line::Start(_) | Line::End(_) => return Ok(()),
        };
        self.write(step, Content::Summary(Summary { value }))
    }

    /// Writes a text. TensorBoard shows Markdown, so it is written as a code block.
    ///
    /// # Errors
    ///
    /// Same as [`EventWriter::line`].
    pub fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        let indented: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        let tensor = TensorProto {
            dtype: 7,
            tensor_shape: Some(TensorShapeProto {}),
            string_val: vec![indented.join("\n").into_bytes()],
        };
        let value = Value {
            tag: tag.to_owned(),
            metadata: Some(Metadata {
                plugin_data: Some(PluginData {
                    plugin_name: "text".to_owned(),
                }),
            }),
            data: Some(Data::Tensor(tensor)),
        };
        let value = vec![value];
        self.write(step, Content::Summary(Summary { value }))
    }

    /// Writes histograms with their names.
    ///
    /// # Errors
    ///
    /// Same as [`EventWriter::line`].
    pub fn histograms(&mut self, step: u64, histograms: &[(String, Histogram)]) -> Result<()> {
        let value = |(tag, histogram): &(String, Histogram)| Value {
            tag: tag.clone(),
            metadata: None,
            data: Some(Data::Histogram(histogram.proto())),
        };
        let value = histograms.iter().map(value).collect();
        self.write(step, Content::Summary(Summary { value }))
    }

    fn write(&mut self, step: u64, content: Content) -> Result<()> {
        // The clock may have been set back. TensorBoard expects ascending times.
        self.last = self.last.max(now());
        let event = Event {
            wall_time: self.last.as_secs_f64(),
            step: step as i64,
            content: Some(content),
        };
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(masked(&length).to_le_bytes());
        record.extend(&data);
        record.extend(masked(&data).to_le_bytes());
        self.file
            .write_all(&record)
            .map_err(|error| files::cannot_write(&self.path, error))
    }
}

/// The prefix of the names of event files. The time follows, in seconds since 1970.
const PREFIX: &str = "events.out.tfevents.";

/// The largest time of a name with ten digits.
const MAX_SECONDS: u64 = 9_999_999_999;

/// The time at which a new event file starts: now, or if the clock was set back, after all files in the folder.
fn start(folder: &Path) -> Result<Duration> {
    let mut start = now();
    for file in files::entries(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let seconds = rest.split('.').next().and_then(|text| text.parse().ok());
        let seconds = seconds.filter(|seconds| *seconds < MAX_SECONDS);
        start = start.max(Duration::from_secs(
            seconds.map_or(0, |seconds: u64| seconds + 1),
        ));
        // The time of its last event.
        let written = std::fs::metadata(&file).and_then(|metadata| metadata.modified());
        let written = written
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        start = start.max(
            written
                .unwrap_or_default()
                .min(Duration::from_secs(MAX_SECONDS)),
        );
    }
    Ok(start)
}

/// Creates a file with a new name. TensorBoard reads files in the order of their names.
fn create_file(folder: &Path, start: Duration) -> Result<(PathBuf, File)> {
    let seconds = start.as_secs();
    let mut number = 0;
    loop {
        let path = folder.join(format!("{PREFIX}{seconds:010}.wlstm.{number}"));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(files::cannot_write(&path, error)),
        }
    }
}

/// Time since 1970.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of the events in a file.
    fn times(path: &Path) -> Vec<f64> {
        let bytes = std::fs::read(path).unwrap();
        let (mut rest, mut times) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = Event::decode(&rest[12..12 + length]).unwrap();
            times.push(event.wall_time);
            rest = &rest[16 + length..];
        }
        times
    }

    #[test]
    fn files_follow_each_other_when_the_clock_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        // An event file with a time far in the future, and other files.
        let ahead = now().as_secs() + 100_000_000;
        let before = folder.path().join(format!("{PREFIX}{ahead:010}.wlstm.0"));
        std::fs::write(&before, b"").unwrap();
        let last = now() + Duration::from_secs(200_000_000);
        let file = File::options().write(true).open(&before).unwrap();
        file.set_modified(UNIX_EPOCH + last).unwrap();
        for other in ["notes.txt", "events.out.tfevents.99999999999999.x"] {
            std::fs::write(folder.path().join(other), b"").unwrap();
        }
        let mut names = vec![before];
        let mut all = vec![last.as_secs_f64()];
        for step in [7, 9] {
            let mut events = EventWriter::create(folder.path(), step).unwrap();
            events.text("sample", step, "text").unwrap();
            names.push(events.path.clone());
            all.extend(times(&events.path));
        }
        assert!(names.is_sorted() && names[1] < names[2], "{names:?}");
        assert!(all.is_sorted(), "{all:?}");
    }

    #[test]
    fn checksums_are_crc32c() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(CHECKSUM.checksum(&[0; 32]), 0x8a91_36aa);
    }
}
