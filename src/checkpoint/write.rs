//! Writes safetensors files as a stream: 8 bytes with the length of the header, the header (JSON, padded to a multiple of 8
//! bytes), then the tensors without gaps.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::files::{self, Output};

/// Type of the numbers of a tensor in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floating-point numbers.
    F32,
    /// Bytes.
    U8,
}

impl Dtype {
    /// Size of one number in bytes.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::U8 => 1,
        }
    }

    /// Name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::U8 => "U8",
        }
    }
}

/// Name, type and shape of a tensor to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, unique in a file.
    pub name: String,
    /// Type of the numbers.
    pub dtype: Dtype,
    /// Shape. Empty for a single number.
    pub shape: Vec<usize>,
}

impl Entry {
    /// A tensor with this name, type and shape.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: impl Into<Vec<usize>>) -> Entry {
        Entry {
            name: name.into(),
            dtype,
            shape: shape.into(),
        }
    }

    /// Size of all numbers in bytes, unless it overflows.
    fn bytes(&self) -> Option<u64> {
        let numbers = self
            .shape
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
        numbers.checked_mul(self.dtype.size() as u64)
    }
}

/// Receives the numbers of one tensor, row-major, in any number of calls.
pub struct Sink<'a> {
    writer: &'a mut dyn Write,
    path: &'a Path,
    entry: &'a Entry,
    left: u64,
}

impl Sink<'_> {
    /// Appends `f32` numbers.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the tensor has another type or is full, or the disk is full.
    pub fn write_f32(&mut self, values: &[f32]) -> Result<()> {
        self.expect(Dtype::F32)?;
        if cfg!(target_endian = "little") {
            self.bytes(bytemuck::cast_slice(values))
        } else {
            values
                .iter()
                .try_for_each(|value| self.bytes(&value.to_le_bytes()))
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Same as [`Sink::write_f32`].
    pub fn write_u8(&mut self, values: &[u8]) -> Result<()> {
        self.expect(Dtype::U8)?;
        self.bytes(values)
    }

    fn expect(&self, dtype: Dtype) -> Result<()> {
        if self.entry.dtype == dtype {
            return Ok(());
        }
        let Entry {
            name,
            dtype: expected,
            ..
        } = self.entry;
        Err(Error::data(format!(
            "tensor `{name}` has type {} but was given {}",
            expected.name(),
            dtype.name()
        )))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let count = bytes.len() as u64;
        if count > self.left {
            return Err(self.wrong_size("more"));
        }
        self.left -= count;
        self.writer
            .write_all(bytes)
            .map_err(|error| files::cannot_write(self.path, error))
    }

    fn wrong_size(&self, how: &str) -> Error {
        let Entry { name, shape, .. } = self.entry;
        Error::data(format!(
            "tensor `{name}` was given {how} numbers than its shape {shape:?} has"
        ))
    }
}

/// Writes a safetensors file with these tensors and this metadata, atomically. `fill` is called once for each tensor, with its
/// name: tensors of wide numbers first, so that all are aligned, otherwise in the given order.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file cannot be written, a tensor is given the wrong number of
/// numbers, or a name occurs twice; and any error of `fill`. An existing file at `path` is then unchanged.
pub fn write(
    path: &Path,
    entries: &[Entry],
    metadata: &BTreeMap<String, String>,
    fill: impl FnMut(&str, &mut Sink<'_>) -> Result<()>,
) -> Result<()> {
    let begin = Instant::now();
    let content = Content::new(path, entries, metadata)?;
    files::write_large_atomically(path, |writer| content.write(writer, fill))?;
    let seconds = begin.elapsed().as_secs_f64();
    tracing::debug!(path = %path.display(), bytes = content.bytes, seconds, "checkpoint written");
    Ok(())
}

/// Same as [`write()`], to an [`Output`].
///
/// # Errors
///
/// Same as [`write()`].
pub fn write_output(
    output: &Output,
    entries: &[Entry],
    metadata: &BTreeMap<String, String>,
    fill: impl FnMut(&str, &mut Sink<'_>) -> Result<()>,
) -> Result<()> {
    let content = Content::new(output.path(), entries, metadata)?;
    output.write_large(|writer| content.write(writer, fill))
}

/// A file that is ready to be written: its header, and the tensors that follow.
struct Content<'a> {
    path: &'a Path,
    header: Vec<u8>,
    /// In the order of the file.
    entries: Vec<&'a Entry>,
    /// Bytes of all tensors.
    bytes: u64,
}

impl<'a> Content<'a> {
    fn new(
        path: &'a Path,
        entries: &'a [Entry],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Content<'a>> {
        let mut entries: Vec<&Entry> = entries.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.dtype.size()));
        Ok(Content {
            path,
            header: header(path, &entries, metadata)?,
            bytes: entries.iter().filter_map(|entry| entry.bytes()).sum(),
            entries,
        })
    }

    fn write(
        &self,
        writer: &mut dyn Write,
        mut fill: impl FnMut(&str, &mut Sink<'_>) -> Result<()>,
    ) -> Result<()> {
        let Content {
            path,
            header,
            entries,
            ..
        } = self;
        let failed = |error| files::cannot_write(path, error);
        writer
            .write_all(&(header.len() as u64).to_le_bytes())
            .map_err(failed)?;
        writer.write_all(header).map_err(failed)?;
        for entry in entries {
            let left = entry.bytes().unwrap_or_default();
            let mut sink = Sink {
                writer,
                path,
                entry,
                left,
            };
            fill(&entry.name, &mut sink)?;
            if sink.left > 0 {
                return Err(sink.wrong_size("fewer"));
            }
        }
        Ok(())
    }
}

fn header(path: &Path, entries: &[&Entry], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let refuse = |what: String| Error::data(format!("cannot write `{}`: {what}", path.display()));
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!(metadata));
    let mut start = 0u64;
    for entry in entries {
        let end = entry.bytes().and_then(|bytes| start.checked_add(bytes));
        let Some(end) = end else {
            return Err(refuse(format!(
                "tensor `{}` of shape {:?} is too large",
                entry.name, entry.shape
            )));
        };
        let value = serde_json::json!({
            "dtype": entry.dtype.name(),
            "shape": entry.shape,
            "data_offsets": [start, end],
        });
        if header.insert(entry.name.clone(), value).is_some() {
            return Err(refuse(format!("the name `{}` occurs twice", entry.name)));
        }
        start = end;
    }
    let mut bytes = serde_json::Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}
