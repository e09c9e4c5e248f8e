//! Reads safetensors files without copying them: checkpoints, parameters to start from, exports.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;

/// A safetensors file, mapped into memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    map: Mmap,
    header: Metadata,
    metadata: BTreeMap<String, String>,
    /// Where the tensors begin.
    start: usize,
}

/// Shape and values of a tensor. The values are borrowed from the file where they are aligned in it.
pub type Tensor<'a> = (&'a [usize], Cow<'a, [f32]>);

impl Checkpoint {
    /// Maps the file at `path` and checks its header.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read, is not a safetensors file, or is cut short.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let unreadable = |error| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("name a safetensors file that may be read")
        };
        let file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(Error::data(format!("`{}` is not a file", path.display()))
                .help("name a safetensors file"));
        }
        // SAFETY: the map is read only. Checkpoints are replaced by renaming, never changed in place; a file that some
        // other program cuts off meanwhile ends this process by a signal, as it would any program that maps files.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let (length, header) =
            SafeTensors::read_metadata(&map).map_err(|error| refusal(path, &map, error))?;
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

    /// Tells this file from others by its header and some of its bytes: not all, as these are gigabytes.
    pub fn fingerprint(&self) -> u64 {
        const SAMPLES: usize = 1024;
        const BYTES: usize = 64;
        let (header, rest) = self.map.split_at(self.start);
        let step = (rest.len() / SAMPLES).max(BYTES);
        let samples = rest
            .chunks(step)
            .flat_map(|part| &part[..part.len().min(BYTES)]);
        Digest::of(header.iter().chain(samples).copied()).value()
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The texts beside the tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// Whether there is a tensor of this name.
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

    /// A tensor of 32-bit floating-point numbers.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no such tensor or it has another type.
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

    /// Reads a tensor of 32-bit floating-point numbers from number `start` on, as many as there is room for. What is read so
    /// takes no other memory.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::tensor_f32`], and if the file cannot be read.
    ///
    /// # Panics
    ///
    /// If the tensor has not so many numbers.
    pub fn read_f32(&self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        let tensor = self.bytes(name, Dtype::F32)?.len() / 4;
        assert!(
            start + values.len() <= tensor,
            "numbers {start}+{} of `{name}`, which has {tensor}",
            values.len()
        );
        // The header has them: the tensor was found.
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
    /// As [`Checkpoint::tensor_f32`].
    pub fn tensor_u8(&self, name: &str) -> Result<&[u8]> {
        self.bytes(name, Dtype::U8)
    }

    /// Checks that the file has exactly these parameters, as 32-bit floating point, and nothing else but tensors
    /// whose names begin with one of `other`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) naming every tensor that is missing, unknown, or has another shape or
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
        for name in self.names() {
            let known = expected.iter().any(|(expected, _)| *expected == name)
                || other.iter().any(|prefix| name.starts_with(prefix));
            if !known {
                wrong.push(format!("`{name}` is unknown"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::data(format!(
            "`{}` does not hold the parameters of this model: {}",
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
        // The header was checked against the length of the file.
        let (from, to) = info.data_offsets;
        Ok(&self.map[self.start + from..self.start + to])
    }
}

/// Says what is wrong with a file that has no valid header.
fn refusal(path: &Path, bytes: &[u8], error: SafeTensorError) -> Error {
    let path = path.display();
    // A header begins with a brace; a file that has none there was never a safetensors file.
    let foreign = bytes.get(8).is_some_and(|&first| first != b'{');
    let message = match &error {
        SafeTensorError::HeaderTooSmall if bytes.is_empty() => format!("`{path}` is empty"),
        _ if foreign => format!("`{path}` is not a safetensors file"),
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer => {
            format!(
                "`{path}` is cut short, or more was appended: it has {} bytes",
                bytes.len()
            )
        }
        _ => format!("`{path}` is not a valid safetensors file"),
    };
    Error::data(message)
        .because(error)
        .help("use another checkpoint, or copy the file again")
}
