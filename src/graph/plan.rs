//! A plan: a flat list of steps with memory assigned to every tensor. It is data; executors run it.
//!
//! A plan contains everything that a run needs: executors do not depend on layers or losses. A plan can be printed as text,
//! with one line for each step.

use std::fmt;

use crate::kernel::{Access, Halves, Kernel};
use crate::kernels;
use crate::kernels::softmax::IGNORE;
use crate::tensor::{Dtype, Shape};

/// The number of a tensor in a plan: an index into [`Plan::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// The purpose of a persistent tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A parameter.
    Parameter,
    /// The copy of a parameter in `f16`, which products read.
    Rounded,
    /// The moving average of a parameter.
    MovingAverage,
    /// A state of the optimizer, or the loss scale.
    OptimizerState,
    /// A recurrent state.
    RecurrentState,
    /// A gradient that another plan, or the host, reads.
    Gradient,
    /// Rows or values in transfer between the host and the device, or between plans.
    Transfer,
}

/// Where the elements of a tensor are stored, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// In separate memory under its name, kept between runs and shared with other plans of the executor that use the name:
    /// parameters, optimizer state, recurrent state. Zero at first.
    Persistent(Role),
    /// The host writes it before a run, under its name; steps only read it.
    Input,
    /// The host reads it after a run: losses, norms, logits.
    Output,
    /// In an arena from this element on, valid from its first step to its last. Other tensors may use the memory before and
    /// after.
    Arena {
        /// Index into [`Plan::arenas`].
        arena: usize,
        /// The first `u32`, a multiple of 64 (256 bytes).
        offset: usize,
    },
}

/// A tensor of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique within the plan. For persistent tensors, the name in the executor and in files.
    pub name: String,
    /// The extents.
    pub shape: Shape,
    /// The type of the elements.
    pub dtype: Dtype,
    /// Where the elements are stored.
    pub storage: Storage,
    /// The elements of a buffer: all of them, unless the tensor is larger than a device can bind and is stored in pieces.
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

    /// Part `k` of `count` equal parts, for example one time step of a time-major tensor.
    pub fn chunk(self, k: usize, count: usize) -> Slice {
        let len = self.len / count;
        self.part(k * len, len)
    }
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its purpose, `layers.0 cell t=3` for example.
    pub label: String,
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The kernel's params.
    pub params: Box<[u32]>,
    /// A slice for each binding.
    pub slices: Vec<Slice>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// The step is skipped if the first index of this input slice is [`IGNORE`], for example because a batch has no work for it.
    /// None: the step always runs.
    pub condition: Option<Slice>,
}

impl Step {
    /// Whether a step is skipped if this is the first index of its condition.
    pub fn is_skipped(index: u32) -> bool {
        index == IGNORE
    }

    /// The same step with another kernel of the same interface.
    pub fn by(&self, kernel: &'static Kernel) -> Step {
        Step {
            kernel,
            grid: (kernel.grid)(&self.params),
            ..self.clone()
        }
    }
}

/// A flat list of steps with memory assigned to every tensor.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The name of the computation, `train` or `evaluate` for example.
    pub name: String,
    /// The tensors.
    pub tensors: Vec<TensorInfo>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The length of each arena in `u32`s (in `f64`s in the reference executor).
    pub arenas: Vec<usize>,
    /// Whether products use fused multiply-add (one rounding) even on devices that have to emulate it.
    pub fused: bool,
    /// Whether two elements of [`Dtype::Half`] share a `u32`, as on devices: see [`Limits::packed`].
    ///
    /// [`Limits::packed`]: super::memory::Limits::packed
    pub packed: bool,
}

impl TensorInfo {
    /// Whether the tensor is kept between runs.
    pub fn is_persistent(&self) -> bool {
        matches!(self.storage, Storage::Persistent(_))
    }

    /// Whether the tensor is stored in several buffers.
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
    /// A tensor.
    pub fn tensor(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }

    /// The length of a tensor in an arena, in `u32`s.
    pub fn u32s(&self, info: &TensorInfo) -> usize {
        self.u32s_of(info.dtype, info.shape.len())
    }

    /// The length of `len` elements, in `u32`s.
    pub fn u32s_of(&self, dtype: Dtype, len: usize) -> usize {
        match dtype {
            Dtype::Half if self.packed => len.div_ceil(2),
            _ => len,
        }
    }

    /// The steps without a condition.
    pub fn unconditional(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.condition.is_none())
    }

    /// The kernel of each step.
    pub fn kernels(&self) -> Vec<&'static Kernel> {
        self.steps.iter().map(|step| step.kernel).collect()
    }

    /// The bindings of a step whose tensors are of [`Dtype::Half`].
    pub fn halves(&self, step: &Step) -> Halves {
        Halves::of(
            step.slices
                .iter()
                .map(|slice| self.tensor(slice.tensor).dtype),
        )
    }

    /// The kernel of a step, then its other forms that compute the same bits and support this step.
    pub fn forms(&self, step: &Step) -> impl Iterator<Item = &'static Kernel> {
        let (first, params) = (step.kernel, step.params.clone());
        // Where each slice begins in its buffer, and its length.
        let positions = step.slices.iter().map(|slice| {
            let piece = self.tensor(slice.tensor).piece;
            (slice.offset % piece, slice.len)
        });
        let positions: Vec<(usize, usize)> = positions.collect();
        kernels::forms(first, self.halves(step)).filter(move |&form| {
            let mut bindings = form.bindings.iter().zip(&positions);
            let whole = |lanes: usize, (start, len): (usize, usize)| {
                start.is_multiple_of(lanes) && len.is_multiple_of(lanes)
            };
            form == first
                || (form.supports(&params)
                    && bindings.all(|(binding, position)| whole(binding.lanes, *position)))
        })
    }

    /// All tensors with their numbers.
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
            write!(f, " grid={:?}", step.grid)?;
            if let Some(Slice { tensor, offset, .. }) = step.condition {
                write!(f, " if {}[{offset}]", self.tensor(tensor).name)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
