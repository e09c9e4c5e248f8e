//! A plan: a flat list of steps with the place of every buffer decided. Data only; executors run it.
//!
//! Whatever a run needs is here: no executor knows what a layer or a loss is. A plan prints as text, one step a line.

use std::fmt;

use crate::kernel::{Access, Halves, Kernel, MAX_GRID};
use crate::kernels;
use crate::tensor::{Dtype, Shape};

/// A tensor of one plan: an index into [`Plan::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// What a persistent tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A parameter.
    Parameter,
    /// The moving average of a parameter.
    MovingAverage,
    /// A state of the optimizer, or the loss scale.
    OptimizerState,
    /// A recurrent state.
    RecurrentState,
    /// A gradient that another plan, or the host, reads.
    Gradient,
    /// Rows or values on their way between the host and the device, or between plans.
    Transfer,
}

/// Where the elements of a tensor are stored, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Its own memory under its name, kept between runs and shared with the other plans of the executor that name it:
    /// parameters, optimizer state, recurrent state. Zero when first made.
    Persistent(Role),
    /// Written by the host before a run, under its name; read-only for the steps.
    Input,
    /// Read by the host after a run: losses, norms, logits.
    Output,
    /// In an arena from this element on, valid from its first step to its last. Other tensors may use the memory before and
    /// after.
    Arena {
        /// Index into [`Plan::arenas`].
        arena: usize,
        /// The first word of four bytes, a multiple of 64 (256 bytes).
        offset: usize,
    },
}

/// What a plan knows of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique within the plan. For persistent tensors, the name in the executor and in files.
    pub name: String,
    /// The extents.
    pub shape: Shape,
    /// What the elements are.
    pub dtype: Dtype,
    /// Where the elements are stored.
    pub storage: Storage,
    /// The elements of a buffer: all, but of a tensor that is larger than a device can bind, which lies in several.
    pub piece: usize,
}

/// `len` elements of a tensor from element `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The tensor.
    pub tensor: TensorId,
    /// The first element.
    pub offset: usize,
    /// The number of elements.
    pub len: usize,
}

impl Slice {
    /// Elements `start .. start + len` of this slice.
    pub fn part(self, start: usize, len: usize) -> Slice {
        assert!(
            start + len <= self.len,
            "part {start}+{len} of a slice of {}",
            self.len
        );
        Slice {
            offset: self.offset + start,
            len,
            ..self
        }
    }

    /// Part `k` of `count` equal parts, as time steps of a time-major tensor.
    pub fn chunk(self, k: usize, count: usize) -> Slice {
        let len = self.len / count;
        self.part(k * len, len)
    }
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is for, as `layers.0 forward t=3`.
    pub label: String,
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its params.
    pub params: Box<[u32]>,
    /// One slice a binding.
    pub slices: Vec<Slice>,
    /// Workgroups.
    pub grid: [u32; 3],
}

impl Step {
    /// The same step by another kernel of the same interface.
    pub fn by(&self, kernel: &'static Kernel) -> Step {
        Step {
            kernel,
            grid: (kernel.grid)(&self.params),
            ..self.clone()
        }
    }
}

/// A flat list of steps with the place of every buffer decided.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What it computes, as `train` or `evaluate`.
    pub name: String,
    /// The tensors.
    pub tensors: Vec<TensorInfo>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The length of each arena in words of four bytes (eight in the reference executor).
    pub arenas: Vec<usize>,
    /// Whether products round every multiply-add once on devices too that have to emulate it.
    pub fused: bool,
    /// Whether arenas hold two elements of [`Dtype::Half`] in a word, as devices do: see [`Limits::packed`].
    ///
    /// [`Limits::packed`]: super::memory::Limits::packed
    pub packed: bool,
}

impl TensorInfo {
    /// Whether it outlives a run.
    pub fn is_persistent(&self) -> bool {
        matches!(self.storage, Storage::Persistent(_))
    }

    /// Whether it lies in several buffers.
    pub fn is_in_pieces(&self) -> bool {
        self.piece < self.shape.len()
    }

    /// The elements of each of its buffers, in order.
    pub fn pieces(&self) -> impl Iterator<Item = usize> {
        let (len, piece) = (self.shape.len(), self.piece.max(1));
        let starts = (0..len.max(1)).step_by(piece);
        starts.map(move |start| piece.min(len - start))
    }
}

impl Plan {
    /// A tensor's description.
    pub fn tensor(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }

    /// The words of four bytes that a tensor takes in an arena.
    pub fn words(&self, info: &TensorInfo) -> usize {
        self.words_of(info.dtype, info.shape.len())
    }

    /// The words of four bytes that so many elements take.
    pub fn words_of(&self, dtype: Dtype, len: usize) -> usize {
        match dtype {
            Dtype::Half if self.packed => len.div_ceil(2),
            _ => len,
        }
    }

    /// The kernel of each step.
    pub fn kernels(&self) -> Vec<&'static Kernel> {
        self.steps.iter().map(|step| step.kernel).collect()
    }

    /// The bindings of a step that are of [`Dtype::Half`].
    pub fn halves(&self, step: &Step) -> Halves {
        Halves::of(
            step.slices
                .iter()
                .map(|slice| self.tensor(slice.tensor).dtype),
        )
    }

    /// The kernel of a step, then its other forms that give the same bits and can do this step.
    pub fn forms(&self, step: &Step) -> impl Iterator<Item = &'static Kernel> {
        let (first, params) = (step.kernel, step.params.clone());
        // Where each slice begins in its buffer, and its length.
        let places = step.slices.iter().map(|slice| {
            let piece = self.tensor(slice.tensor).piece;
            (slice.offset % piece, slice.len)
        });
        let places: Vec<(usize, usize)> = places.collect();
        kernels::forms(first, self.halves(step)).filter(move |&form| {
            let mut bindings = form.bindings.iter().zip(&places);
            let whole = |lanes: usize, (start, len): (usize, usize)| {
                start.is_multiple_of(lanes) && len.is_multiple_of(lanes)
            };
            form == first
                || (form.supports(&params)
                    && bindings.all(|(binding, place)| whole(binding.lanes, *place)))
        })
    }

    /// All ids with their descriptions.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorId, &TensorInfo)> {
        self.tensors
            .iter()
            .enumerate()
            .map(|(k, info)| (TensorId(k as u32), info))
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.tensors()
            .find(|(_, info)| info.name == name)
            .map(|(id, _)| id)
    }

    /// Checks what executors rely on; every plan that leaves this crate has passed.
    ///
    /// # Panics
    ///
    /// With kernel, buffer and both sizes, if a slice leaves its tensor, has another type than its binding, is empty or
    /// misaligned for vectors, if a written slice overlaps another of the same step, or if a grid is empty or too large:
    /// these are bugs of a builder, never of a user.
    pub fn check(&self) {
        for info in &self.tensors {
            if let Storage::Arena { arena, offset } = info.storage {
                let (len, room) = (self.words(info), self.arenas[arena]);
                assert!(
                    offset.checked_add(len).is_some_and(|end| end <= room),
                    "`{}` is {offset}+{len} of arena {arena} of {room}",
                    info.name
                );
            }
        }
        for (number, step) in self.steps.iter().enumerate() {
            let kernel = step.kernel;
            let place = format!("step {number} ({}, {})", kernel.name, step.label);
            assert_eq!(
                step.slices.len(),
                kernel.bindings.len(),
                "{place}: wrong number of slices"
            );
            assert_eq!(
                step.params.len(),
                kernel.fields.len(),
                "{place}: wrong number of params"
            );
            assert!(
                step.grid.iter().all(|side| (1..=MAX_GRID).contains(side)),
                "{place}: grid {:?} is empty or too large",
                step.grid
            );
            for (binding, slice) in kernel.bindings.iter().zip(&step.slices) {
                let info = self.tensor(slice.tensor);
                assert!(
                    slice.len > 0 && slice.offset + slice.len <= info.shape.len(),
                    "{place}: {} is {}..{} of `{}` {}",
                    binding.name,
                    slice.offset,
                    slice.offset + slice.len,
                    info.name,
                    info.shape
                );
                assert!(
                    slice.offset % info.piece + slice.len <= info.piece,
                    "{place}: {} is {}..{} of `{}`, whose buffers hold {} each",
                    binding.name,
                    slice.offset,
                    slice.offset + slice.len,
                    info.name,
                    info.piece
                );
                assert!(
                    binding.takes(info.dtype),
                    "{place}: {} of `{}` is {:?}",
                    binding.name,
                    info.name,
                    info.dtype
                );
                assert!(
                    slice.offset % binding.lanes == 0 && slice.len % binding.lanes == 0,
                    "{place}: {} is not aligned to {} elements",
                    binding.name,
                    binding.lanes
                );
                assert!(
                    binding.access == Access::Read || info.storage != Storage::Input,
                    "{place}: writes the input `{}`",
                    info.name
                );
            }
            for (i, x) in step.slices.iter().enumerate() {
                for (j, y) in step.slices.iter().enumerate().skip(i + 1) {
                    let written = kernel.bindings[i].access != Access::Read
                        || kernel.bindings[j].access != Access::Read;
                    assert!(
                        !written || !self.overlap(*x, *y),
                        "{place}: {} and {} overlap",
                        kernel.bindings[i].name,
                        kernel.bindings[j].name
                    );
                }
            }
        }
    }

    fn overlap(&self, x: Slice, y: Slice) -> bool {
        // In halves of words.
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

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {}: {} steps, arenas {:?}",
            self.name,
            self.steps.len(),
            self.arenas
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            write!(f, "{number:4} {} [{}]", step.kernel.name, step.label)?;
            for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
                let info = self.tensor(slice.tensor);
                let arrow = if binding.access == Access::Read {
                    "<"
                } else {
                    ">"
                };
                write!(f, " {}{arrow}{}", binding.name, info.name)?;
                if info.dtype == Dtype::Half {
                    f.write_str(":f16")?;
                }
                if slice.len != info.shape.len() {
                    write!(f, "[{}..{}]", slice.offset, slice.offset + slice.len)?;
                }
            }
            for ((name, kind), word) in step.kernel.fields.iter().zip(&step.params) {
                match *kind {
                    "f32" => write!(f, " {name}={}", f32::from_bits(*word))?,
                    _ => write!(f, " {name}={word}")?,
                }
            }
            writeln!(f, " grid={:?}", step.grid)?;
        }
        Ok(())
    }
}
