//! Copies of persistent tensors from a device to the host.

use std::collections::VecDeque;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::handle::{Handle, Mapping, map};
use super::memory::Persistent;
use super::memory_model::{CHUNK, best_fit, byte_size};
use crate::error::Result;
use crate::tensor::Dtype;

/// Usage of buffers that the host reads.
const READABLE: wgpu::BufferUsages =
    wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);

/// The reads of an executor, and the buffers that they reuse.
#[derive(Default)]
pub(super) struct Readback {
    /// The staging buffer of [`Readback::read`], created by the first call.
    staging: Option<wgpu::Buffer>,
    /// Reads in flight, oldest first.
    started: VecDeque<Read>,
    /// Staging buffers of finished reads. Each step finds those of the step before.
    free: Vec<wgpu::Buffer>,
}

/// Encoded copies of one tensor: each target with its number of elements.
pub(super) struct Copies {
    targets: Vec<(wgpu::Buffer, usize)>,
    dtype: Dtype,
}

/// A read in flight: each target with its number of elements and its mapping.
struct Read {
    parts: Vec<(wgpu::Buffer, usize, Mapping)>,
    dtype: Dtype,
    submission: wgpu::SubmissionIndex,
}

impl Readback {
    /// Encodes copies of the first `len` elements of a tensor to staging buffers.
    pub fn encode(
        &mut self,
        handle: &Handle,
        encoder: &mut wgpu::CommandEncoder,
        tensor: &Persistent,
        len: usize,
    ) -> Result<Copies> {
        let dtype = tensor.dtype;
        let mut targets = Vec::new();
        for part in tensor.parts(0, len) {
            let size = byte_size(part.len, dtype);
            let target = match best_fit(self.free.iter().map(wgpu::Buffer::size), size) {
                Some(at) => self.free.swap_remove(at),
                None => staging(handle, size)?,
            };
            let offset = part.byte_offset(dtype);
            encoder.copy_buffer_to_buffer(part.buffer, offset, &target, 0, size);
            targets.push((target, part.len));
        }
        Ok(Copies { targets, dtype })
    }

    /// Records that encoded copies were submitted. [`Readback::finish`] returns the reads in this order.
    pub fn submitted(&mut self, copies: Copies, submission: wgpu::SubmissionIndex) {
        let Copies { targets, dtype } = copies;
        let parts = targets.into_iter().map(|(target, len)| {
            let mapping = map(&target, ..byte_size(len, dtype));
            (target, len, mapping)
        });
        self.started.push_back(Read {
            parts: parts.collect(),
            dtype,
            submission,
        });
    }

    /// Waits for the oldest read and appends its elements to `values`.
    ///
    /// # Panics
    ///
    /// If no read is in flight.
    pub fn finish(&mut self, handle: &Handle, values: &mut Vec<f32>) -> Result<()> {
        let read = self.started.pop_front().expect("a read in flight");
        handle.wait(read.submission)?;
        for (source, len, mapping) in read.parts {
            let first = values.len();
            values.resize(first + len, 0.0);
            let size = byte_size(len, read.dtype);
            handle.read_mapped(&source, ..size, &mapping, |data| {
                decode(data, read.dtype, &mut values[first..]);
            })?;
            self.free.push(source);
        }
        Ok(())
    }

    /// Drops the reads in flight.
    pub fn clear(&mut self) {
        self.started.clear();
    }

    /// Reads the elements of a tensor from element `start` on, after all submitted work.
    pub fn read(
        &mut self,
        handle: &Handle,
        tensor: &Persistent,
        start: usize,
        values: &mut [f32],
    ) -> Result<()> {
        let dtype = tensor.dtype;
        let largest = byte_size(values.len().min(CHUNK), dtype);
        let staging = match self.staging.take() {
            Some(buffer) if buffer.size() >= largest => buffer,
            _ => staging(handle, largest)?,
        };
        let mut rest = values;
        for part in tensor.parts(start, rest.len()) {
            let (here, others) = std::mem::take(&mut rest).split_at_mut(part.len);
            rest = others;
            for (k, values) in here.chunks_mut(CHUNK).enumerate() {
                let chunk = part.starting_at(k * CHUNK);
                let size = byte_size(values.len(), dtype);
                let mut encoder = handle.encoder();
                let offset = chunk.byte_offset(dtype);
                encoder.copy_buffer_to_buffer(chunk.buffer, offset, &staging, 0, size);
                let submission = handle.submit(encoder);
                let mapping = map(&staging, ..size);
                handle.wait(submission)?;
                handle.read_mapped(&staging, ..size, &mapping, |data| {
                    decode(data, dtype, values);
                })?;
            }
        }
        self.staging = Some(staging);
        Ok(())
    }
}

/// Creates a buffer that the host can read.
fn staging(handle: &Handle, size: u64) -> Result<wgpu::Buffer> {
    handle.buffer(
        || "a copy of a tensor for the host".to_owned(),
        size,
        READABLE,
    )
}

/// Converts the raw contents of a buffer to `f32`.
fn decode(data: &[u32], dtype: Dtype, values: &mut [f32]) {
    match dtype {
        Dtype::Half => {
            let halves: &[f16] = bytemuck::cast_slice(data);
            halves[..values.len()].convert_to_f32_slice(values);
        }
        Dtype::Real | Dtype::Index => values.copy_from_slice(bytemuck::cast_slice(data)),
    }
}
