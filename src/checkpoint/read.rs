//! Reads safetensors files without copying them: checkpoints, initial parameters, exports.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::digest::Fnv1a;
use crate::error::{Error, Result};
use crate::files;
use crate::printable::shortened;

/// The maximum number of tensors that an error names.
const MAX_NAMED: usize = 20;

/// A safetensors file, mapped into memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    map: Mmap,
    header: Metadata,
    metadata: BTreeMap<String, String>,
    /// Offset of the first tensor.
    start: usize,
}

/// Shape and values of a tensor. The values are borrowed from the file if they are aligned in it.
pub type Tensor<'a> = (&'a [usize], Cow<'a, [f32]>);

impl Checkpoint {
    /// Memory-maps a file and checks its header.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read, is not a safetensors file, or is truncated.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let unreadable = |error| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("give a safetensors file, and check its permissions")
        };
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(Error::data(format!("`{}` is not a file", path.display()))
                .help("give a safetensors file"));
        }
        let file = files::open_regular(path).map_err(unreadable)?;
        // SAFETY: the map is only read. This program replaces checkpoints by renaming and never changes one in place. If
        // another program truncates the file, this process ends with SIGBUS.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let (length, header) =
            SafeTensors::read_metadata(&map).map_err(|error| refusal(path, &map, error))?;
        check_names(path, &map[8..8 + length])?;
        let metadata = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        Ok(Checkpoint {
            path: path.to_path_buf(),
            file,
            map,
            header,
            metadata,
            start: 8 + length,
        })
    }

    /// Identifies this file by its header and a sample of its bytes, as reading gigabytes would take too long.
    pub fn fingerprint(&self) -> u64 {
        const SAMPLES: usize = 1024;
        const BYTES: usize = 64;
        let (header, rest) = self.map.split_at(self.start);
        let step = (rest.len() / SAMPLES).max(BYTES);
        let samples = rest
            .chunks(step)
            .flat_map(|part| &part[..part.len().min(BYTES)]);
        Fnv1a::of(header.iter().chain(samples).copied()).value()
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata of the file: texts by name.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// Whether there is a tensor with this name.
    pub fn contains(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.info(name)?.shape)
    }

    /// A tensor of `f32`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no such tensor, or its type is not F32.
    pub fn tensor_f32(&self, name: &str) -> Result<Tensor<'_>> {
        let bytes = self.bytes(name, Dtype::F32)?;
        let values = match bytemuck::try_cast_slice(bytes) {
            Ok(values) if cfg!(target_endian = "little") => Cow::Borrowed(values),
            _ => {
                let (numbers, _) = bytes.as_chunks();
                Cow::Owned(numbers.iter().copied().map(f32::from_le_bytes).collect())
            }
        };
        Ok((self.shape(name)?, values))
    }

    /// Fills `values` with the numbers of an `f32` tensor from index `start` on. The bytes do not stay in the page cache.
    ///
    /// # Errors
    ///
    /// Same as [`Checkpoint::tensor_f32`], and if the file cannot be read.
    ///
    /// # Panics
    ///
    /// If the tensor is shorter than that.
    pub fn read_f32(&self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        let tensor = self.bytes(name, Dtype::F32)?.len() / 4;
        assert!(
            start + values.len() <= tensor,
            "numbers {start}+{} of `{name}`, which has {tensor}",
            values.len()
        );
        let (from, _) = self.info(name)?.data_offsets;
        let offset = (self.start + from + 4 * start) as u64;
        files::read_once(&self.file, offset, bytemuck::cast_slice_mut(values)).map_err(
            |error| {
                Error::data(format!("cannot read `{name}` in `{}`", self.path.display()))
                    .because(error)
                    .help("copy the file again, or use another checkpoint")
            },
        )?;
        if cfg!(target_endian = "big") {
            for value in values {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(())
    }

    /// A tensor of bytes.
    ///
    /// # Errors
    ///
    /// Same as [`Checkpoint::tensor_f32`].
    pub fn tensor_u8(&self, name: &str) -> Result<&[u8]> {
        self.bytes(name, Dtype::U8)
    }

    /// Checks that the file contains exactly these `f32` parameters by name and shape. Tensors whose names start with one of
    /// `other` are ignored.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) that names every tensor that is missing, unknown, or has another shape or
    /// type.
    pub fn check_parameters(
        &self,
        expected: &[(String, Vec<usize>)],
        other: &[&str],
    ) -> Result<()> {
        let mut wrong = Vec::new();
        for (name, shape) in expected {
            match self.header.info(name) {
                None => wrong.push(format!("`{name}` {shape:?} is missing")),
                Some(info) if info.shape != *shape => {
                    wrong.push(format!(
                        "`{name}` has shape {:?} and should have {shape:?}",
                        info.shape
                    ));
                }
                Some(info) if info.dtype != Dtype::F32 => {
                    wrong.push(format!("`{name}` is {:?} and should be F32", info.dtype));
                }
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        for name in self.names() {
            let is_known = known.contains(name.as_str())
                || other.iter().any(|prefix| name.starts_with(prefix));
            if !is_known {
                wrong.push(format!("`{}` is unknown", shortened(&name, 100)));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let more = wrong.len().saturating_sub(MAX_NAMED);
        wrong.truncate(MAX_NAMED);
        if more > 0 {
            wrong.push(format!("and {more} more"));
        }
        Err(Error::data(format!(
            "`{}` does not contain the parameters of this model: {}",
            self.path.display(),
            wrong.join("; ")
        ))
        .help(
            "compare with `wlstm plan CONFIG`, which lists the name and shape of every parameter",
        ))
    }

    fn info(&self, name: &str) -> Result<&safetensors::tensor::TensorInfo> {
        self.header.info(name).ok_or_else(|| {
            Error::data(format!(
                "there is no tensor `{name}` in `{}`",
                self.path.display()
            ))
            .help("use a checkpoint that wlstm has written")
        })
    }

    fn bytes(&self, name: &str, dtype: Dtype) -> Result<&[u8]> {
        let info = self.info(name)?;
        if info.dtype != dtype {
            return Err(Error::data(format!(
                "tensor `{name}` in `{}` is {:?} and should be {dtype:?}",
                self.path.display(),
                info.dtype
            ))
            .help("use a checkpoint that wlstm has written"));
        }
        // `open` has checked the header against the length of the file.
        let (from, to) = info.data_offsets;
        Ok(&self.map[self.start + from..self.start + to])
    }
}

/// Refuses a header with a name that occurs twice. The library keeps the last of them, and other readers may keep the first.
fn check_names(path: &Path, header: &[u8]) -> Result<()> {
    serde_json::from_slice::<UniqueNames>(header).map_err(|error| {
        let cause = shortened(&error.to_string(), 200).into_owned();
        Error::data(format!(
            "`{}` is not a valid safetensors file",
            path.display()
        ))
        .because(cause)
        .help("use another checkpoint, or copy the file again")
    })?;
    Ok(())
}

/// A JSON object whose names are distinct.
struct UniqueNames;

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNames)
    }
}

impl<'de> Visitor<'de> for UniqueNames {
    type Value = UniqueNames;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some((name, IgnoredAny)) = entries.next_entry::<String, IgnoredAny>()? {
            if let Some(name) = seen.replace(name) {
                return Err(serde::de::Error::custom(format!(
                    "two tensors are named `{name}`"
                )));
            }
        }
        Ok(self)
    }
}

/// The error for a file without a valid header.
fn refusal(path: &Path, bytes: &[u8], error: SafeTensorError) -> Error {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let path = path.display();
    // The header of a safetensors file starts with a brace after 8 bytes.
    let foreign = bytes.get(8).is_some_and(|&first| first != b'{');
    let message = match &error {
        SafeTensorError::HeaderTooSmall if bytes.is_empty() => format!("`{path}` is empty"),
        _ if foreign => format!("`{path}` is not a safetensors file"),
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer => {
            format!(
                "`{path}` is truncated or has extra bytes: it has {} bytes",
                bytes.len()
            )
        }
        _ => format!("`{path}` is not a valid safetensors file"),
    };
    let help = match extension {
        Some("toml") => "this is a configuration; give the folder of a run",
        Some("onnx") => {
            "use a file of `wlstm export --format pytorch`; ONNX files cannot be imported"
        }
        _ if foreign => {
            "give the folder of a run, or a checkpoint in it; a text comes after it (`wlstm score RUN FILE`, \
             `wlstm eval RUN --data FILE`)"
        }
        _ => "use another checkpoint, or copy the file again",
    };
    // An error of the parser can quote any part of the header.
    let cause = shortened(&error.to_string(), 200).into_owned();
    Error::data(message).because(cause).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("twice.safetensors");
        // An empty tensor leaves no gap in the data, so that the library accepts the header.
        let empty = r#""dtype":"U8","shape":[0],"data_offsets":[0,0]"#;
        let full = r#""dtype":"U8","shape":[2],"data_offsets":[0,2]"#;
        for (second, accepted) in [("y", true), ("x", false)] {
            let header = format!("{{\"x\":{{{empty}}},\"{second}\":{{{full}}}}}  ");
            let length = (header.len() as u64).to_le_bytes();
            std::fs::write(&path, [&length[..], header.as_bytes(), b"ab"].concat())
                .expect("a file");
            let opened = Checkpoint::open(&path);
            assert_eq!(opened.is_ok(), accepted, "{second}");
            if let Err(error) = opened {
                assert!(
                    error
                        .chain()
                        .to_string()
                        .contains("two tensors are named `x`"),
                    "{error}"
                );
            }
        }
    }
}
