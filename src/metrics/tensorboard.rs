//! TensorBoard event files: a sequence of records, each with a protocol buffer.
//!
//! A record is the length of its data (`u64`), the masked CRC-32C of these eight bytes, the data, and the masked CRC-32C of the data,
//! all little-endian. A resumed run starts a new file. Its first event makes TensorBoard drop the later steps of older files,
//! which are repeated.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use super::Line;
use crate::error::Result;
use crate::files;

// The messages of event.proto, summary.proto, histogram.proto and tensor.proto, with the fields that are used here.

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1: START.
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
    #[prost(oneof = "Of", tags = "2, 5, 8")]
    of: Option<Of>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Of {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "5")]
    Histogram(HistogramProto),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    plugin_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramProto {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    /// 7: DT_STRING.
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    tensor_shape: Option<TensorShapeProto>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
}

/// The shape of a scalar: no dimensions.
#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {}

/// A histogram of values. Bucket limits grow by 10 %, as in TensorBoard's own histograms.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Upper limits of the buckets, ascending: of negative values, of values near zero, of positive values.
    limits: Vec<f64>,
    counts: Vec<f64>,
    min: f64,
    max: f64,
    num: f64,
    sum: f64,
    sum_squares: f64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        const SMALLEST: f64 = 1e-12;
        const LARGEST: f64 = 1e20;
        let mut positive = vec![SMALLEST];
        while positive[positive.len() - 1] < LARGEST {
            positive.push(positive[positive.len() - 1] * 1.1);
        }
        let negative = positive.iter().rev().map(|limit| -limit);
        let mut limits: Vec<f64> = negative.chain(positive.iter().copied()).collect();
        limits.push(f64::MAX);
        Histogram {
            counts: vec![0.0; limits.len()],
            limits,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            num: 0.0,
            sum: 0.0,
            sum_squares: 0.0,
        }
    }
}

impl Histogram {
    /// Adds values. NaN is ignored.
    pub fn add(&mut self, values: &[f32]) {
        for value in values.iter().map(|value| f64::from(*value)) {
            if value.is_nan() {
                continue;
            }
            let bucket = self.limits.partition_point(|limit| *limit <= value);
            self.counts[bucket.min(self.limits.len() - 1)] += 1.0;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            self.num += 1.0;
            self.sum += value;
            self.sum_squares += value * value;
        }
    }

    /// The message. Empty buckets are left out, except one before each bucket with values.
    fn proto(&self) -> HistogramProto {
        let (mut bucket_limit, mut bucket) = (Vec::new(), Vec::new());
        for (k, (limit, count)) in self.limits.iter().zip(&self.counts).enumerate() {
            let next = self.counts.get(k + 1).copied().unwrap_or(0.0);
            if *count > 0.0 || next > 0.0 {
                bucket_limit.push(*limit);
                bucket.push(*count);
            }
        }
        let known = |value: f64| if value.is_finite() { value } else { 0.0 };
        HistogramProto {
            min: known(self.min),
            max: known(self.max),
            num: self.num,
            sum: self.sum,
            sum_squares: self.sum_squares,
            bucket_limit,
            bucket,
        }
    }
}

/// Writes a TensorBoard event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
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
        std::fs::create_dir_all(folder).map_err(|error| files::cannot_make(folder, error))?;
        let now = now().as_secs();
        // TensorBoard reads files in name order.
        let names = (0..).map(|k| folder.join(format!("events.out.tfevents.{now:010}.wlstm.{k}")));
        let path = names
            .into_iter()
            .find(|path| !path.exists())
            .expect("some name is free");
        let file = File::options().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| files::cannot_write(&path, error))?;
        let mut events = EventWriter { path, file };
        events.write(0, What::FileVersion("brain.Event:2".to_owned()))?;
        // Later steps in older files are repeated.
        events.write(step + 1, What::SessionLog(SessionLog { status: 1 }))?;
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
            of: Some(Of::Scalar(value as f32)),
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
        self.write(step, What::Summary(Summary { value }))
    }

    /// Writes a text. TensorBoard shows Markdown, so it is written as a code block.
    ///
    /// # Errors
    ///
    /// As [`EventWriter::line`].
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
            of: Some(Of::Tensor(tensor)),
        };
        let value = vec![value];
        self.write(step, What::Summary(Summary { value }))
    }

    /// Writes histograms with their names.
    ///
    /// # Errors
    ///
    /// As [`EventWriter::line`].
    pub fn histograms(&mut self, step: u64, histograms: &[(String, Histogram)]) -> Result<()> {
        let value = |(tag, histogram): &(String, Histogram)| Value {
            tag: tag.clone(),
            metadata: None,
            of: Some(Of::Histogram(histogram.proto())),
        };
        let value = histograms.iter().map(value).collect();
        self.write(step, What::Summary(Summary { value }))
    }

    fn write(&mut self, step: u64, what: What) -> Result<()> {
        let event = Event {
            wall_time: now().as_secs_f64(),
            step: step as i64,
            what: Some(what),
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

/// Time since 1970.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_crc32c() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(CHECKSUM.checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn each_value_is_in_the_bucket_whose_upper_limit_is_above_it() {
        let mut histogram = Histogram::default();
        let values = [-3.0, -1e-30, 0.0, 0.5, 0.5, 1e30, f32::NAN];
        histogram.add(&values);
        let proto = histogram.proto();
        assert_eq!(proto.num, 6.0);
        assert_eq!(proto.bucket.iter().sum::<f64>(), 6.0);
        assert_eq!((proto.min, proto.max), (-3.0, f64::from(1e30f32)));
        assert!(proto.bucket_limit.is_sorted());
        for value in [-3.0, 0.5] {
            let bucket = proto.bucket_limit.iter().position(|limit| *limit > value);
            let bucket = bucket.expect("a bucket");
            let count = values.iter().filter(|v| f64::from(**v) == value).count();
            assert_eq!(proto.bucket[bucket], count as f64, "{value}");
            assert!((proto.bucket_limit[bucket] / value).abs() < 1.11);
        }
    }
}
