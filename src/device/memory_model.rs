//! How tensors are stored in the buffers of a device: sizes, alignment, limits, and which buffers are reused.
//!
//! Executors and [`Footprint`](super::Footprint) both follow these rules, so an estimate equals the allocated bytes.

use crate::graph::plan::{Plan, Storage};
use crate::tensor::Dtype;

/// The bytes of a `u32`, in which plans count arenas, inputs and outputs.
pub(super) const U32_BYTES: u64 = 4;

/// Bindings begin at multiples of this many `u32`s: 256 bytes, which every device accepts.
pub(super) const ALIGNMENT: usize = 64;

/// The largest number of elements that one copy between host and device moves. Larger tensors are copied in several parts, to
/// bound the staging memory on the host.
pub(super) const CHUNK: usize = 1 << 23;

/// Runs of one plan whose outputs may wait to be fetched. One more run waits for the oldest.
pub(super) const RUNS_IN_FLIGHT: usize = 3;

/// How an executor allocates memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryModel {
    /// As the CPU does: each input and output separately, arenas that grow.
    Host,
    /// As devices do: buffers of limited size, packed inputs and outputs, staging buffers for outputs.
    Device,
}

/// The memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// How the executor allocates it.
    pub model: MemoryModel,
    /// Whether it is host memory, as for the CPU and software adapters.
    pub is_host: bool,
    /// The bytes of the device, if known; for host memory, the bytes available.
    pub bytes: Option<u64>,
    /// The bytes available in host memory, if known.
    pub host: Option<u64>,
    /// The index of the adapter; `None` for the CPU.
    pub adapter: Option<usize>,
}

/// The limits of a device in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// The largest buffer: an arena or a piece of a persistent tensor.
    pub buffer_bytes: u64,
    /// The largest binding, counted from the multiple of 256 bytes at or before the slice. An arena may be larger.
    pub binding_bytes: u64,
}

/// The bytes of an element on a device.
pub(super) fn width(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Real | Dtype::Index => U32_BYTES,
        Dtype::Half => U32_BYTES / 2,
    }
}

/// The bytes of `len` elements, rounded up to whole `u32`s.
pub(super) fn byte_size(len: usize, dtype: Dtype) -> u64 {
    (len as u64 * width(dtype)).next_multiple_of(U32_BYTES)
}

/// The byte range that is bound for a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BindingRange {
    /// The first byte, a multiple of 256.
    pub offset: u64,
    /// The number of bytes, a multiple of 4, up to the end of the slice.
    pub size: u64,
    /// The number of elements in the range before the slice.
    pub skip: usize,
}

impl BindingRange {
    /// The range for a slice of `len` elements that begins at byte `first` of its buffer.
    pub fn of(first: u64, len: usize, dtype: Dtype) -> BindingRange {
        let before = first % (ALIGNMENT as u64 * U32_BYTES);
        BindingRange {
            offset: first - before,
            size: (before + len as u64 * width(dtype)).next_multiple_of(U32_BYTES),
            skip: (before / width(dtype)) as usize,
        }
    }
}

/// The lengths of the buffers of an arena, in `u32`s: one buffer, or one for each piece of a tensor in pieces.
pub(super) fn arena_u32s(plan: &Plan, number: usize) -> Vec<usize> {
    // A tensor in pieces has its own arena.
    let alone = plan.tensors.iter().find(|info| {
        let is_here = matches!(info.storage, Storage::Arena { arena, .. } if arena == number);
        is_here && info.is_in_pieces()
    });
    match alone {
        Some(info) => {
            let pieces = info.pieces();
            pieces.map(|len| plan.u32s_of(info.dtype, len)).collect()
        }
        None => vec![plan.arenas[number].max(1)],
    }
}

/// The index of the smallest buffer of at least `need` bytes. A plan that is loaded again thereby finds its own buffers.
pub(super) fn best_fit(sizes: impl Iterator<Item = u64>, need: u64) -> Option<usize> {
    let fits = sizes.enumerate().filter(|(_, bytes)| *bytes >= need);
    fits.min_by_key(|(_, bytes)| *bytes).map(|(at, _)| at)
}

/// The start of the next tensor in a packed buffer of inputs or outputs, in `u32`s, after one of length `len` at `start`.
pub(super) fn packed(start: usize, len: usize) -> usize {
    (start + len).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_fit_is_the_smallest_buffer_that_is_large_enough() {
        let fit = |sizes: &[u64], need| best_fit(sizes.iter().copied(), need);
        assert_eq!(fit(&[10, 8, 9], 8), Some(1));
        assert_eq!(fit(&[10, 8, 9], 9), Some(2));
        assert_eq!(fit(&[10, 8, 9], 11), None);
    }

    #[test]
    fn bindings_begin_at_256_bytes() {
        let range = BindingRange::of(300, 5, Dtype::Real);
        assert_eq!((range.offset, range.size, range.skip), (256, 64, 11));
        let range = BindingRange::of(512, 3, Dtype::Half);
        assert_eq!((range.offset, range.size, range.skip), (512, 8, 0));
    }
}
