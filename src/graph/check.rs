//! The properties of plans that executors rely on.

use super::plan::{Plan, Slice, Step, Storage};
use crate::kernel::{Access, Binding, MAX_GRID};
use crate::tensor::Dtype;

impl Plan {
    /// Checks the properties that executors rely on. Every plan passes this check before it runs.
    ///
    /// # Panics
    ///
    /// If a slice leaves its tensor, has another type than its binding, is empty or misaligned for vectors, if a written slice
    /// overlaps another of the same step, if a grid is empty or too large, or if a condition is not an index input. The message
    /// names the kernel, the tensor and both sizes. Such a plan is a bug of its builder, not an error of the user.
    pub fn check(&self) {
        self.check_arenas();
        for (number, step) in self.steps.iter().enumerate() {
            let kernel = step.kernel;
            let at = format!("step {number} ({}, {})", kernel.name, step.label);
            assert_eq!(
                step.slices.len(),
                kernel.bindings.len(),
                "{at}: wrong number of slices"
            );
            assert_eq!(
                step.params.len(),
                kernel.fields.len(),
                "{at}: wrong number of params"
            );
            assert!(
                step.grid.iter().all(|side| (1..=MAX_GRID).contains(side)),
                "{at}: grid {:?} is empty or too large",
                step.grid
            );
            for (binding, slice) in kernel.bindings.iter().zip(&step.slices) {
                self.check_slice(&at, binding, *slice);
            }
            if let Some(condition) = step.condition {
                self.check_condition(&at, condition);
            }
            self.check_overlaps(&at, step);
        }
    }

    /// Checks that every tensor of an arena lies in it.
    fn check_arenas(&self) {
        for info in &self.tensors {
            if let Storage::Arena { arena, offset } = info.storage {
                let (len, room) = (self.u32s(info), self.arenas[arena]);
                assert!(
                    offset.checked_add(len).is_some_and(|end| end <= room),
                    "`{}` is {offset}+{len} of arena {arena} of {room}",
                    info.name
                );
            }
        }
    }

    /// Checks that a slice lies in one buffer of its tensor, and suits its binding.
    fn check_slice(&self, at: &str, binding: &Binding, slice: Slice) {
        let info = self.tensor(slice.tensor);
        assert!(
            slice.len > 0 && slice.offset + slice.len <= info.shape.len(),
            "{at}: {} is {}..{} of `{}` {}",
            binding.name,
            slice.offset,
            slice.offset + slice.len,
            info.name,
            info.shape
        );
        assert!(
            slice.offset % info.piece + slice.len <= info.piece,
            "{at}: {} is {}..{} of `{}`, whose buffers hold {} each",
            binding.name,
            slice.offset,
            slice.offset + slice.len,
            info.name,
            info.piece
        );
        assert!(
            binding.takes(info.dtype),
            "{at}: {} of `{}` is {:?}",
            binding.name,
            info.name,
            info.dtype
        );
        assert!(
            slice.offset.is_multiple_of(binding.lanes) && slice.len.is_multiple_of(binding.lanes),
            "{at}: {} is not aligned to {} elements",
            binding.name,
            binding.lanes
        );
        assert!(
            binding.access == Access::Read || info.storage != Storage::Input,
            "{at}: writes the input `{}`",
            info.name
        );
    }

    /// Checks that the condition of a step is an index that the host writes.
    fn check_condition(&self, at: &str, condition: Slice) {
        let info = self.tensor(condition.tensor);
        assert!(
            (info.storage, info.dtype) == (Storage::Input, Dtype::Index)
                && condition.offset < info.shape.len(),
            "{at}: condition `{}` is not an index input",
            info.name
        );
    }

    /// Checks that a slice that a step writes overlaps no other slice of the step.
    fn check_overlaps(&self, at: &str, step: &Step) {
        let kernel = step.kernel;
        for (i, x) in step.slices.iter().enumerate() {
            for (j, y) in step.slices.iter().enumerate().skip(i + 1) {
                let written = kernel.bindings[i].access != Access::Read
                    || kernel.bindings[j].access != Access::Read;
                assert!(
                    !written || !self.overlap(*x, *y),
                    "{at}: {} and {} overlap",
                    kernel.bindings[i].name,
                    kernel.bindings[j].name
                );
            }
        }
    }

    /// Whether two slices share memory.
    fn overlap(&self, x: Slice, y: Slice) -> bool {
        // In units of 16 bits.
        let range = |slice: Slice| {
            let info = self.tensor(slice.tensor);
            let width = match info.dtype {
                Dtype::Half if self.packed => 1,
                _ => 2,
            };
            let (arena, start) = match info.storage {
                Storage::Arena { arena, offset } => (Some(arena), 2 * offset),
                _ => (None, 0),
            };
            let start = start + width * slice.offset;
            (arena, start, start + width * slice.len)
        };
        let ((arena_x, start_x, end_x), (arena_y, start_y, end_y)) = (range(x), range(y));
        let same = match (arena_x, arena_y) {
            (Some(p), Some(q)) => p == q,
            (None, None) => x.tensor == y.tensor,
            _ => false,
        };
        same && start_x < end_y && start_y < end_x
    }
}
