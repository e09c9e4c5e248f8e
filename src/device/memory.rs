//! The buffers of a device: persistent tensors by name, arenas that plans share, and the packed inputs and outputs of each plan.

use std::cell::Cell;
use std::collections::HashMap;

use super::handle::{Handle, out_of_memory};
use super::memory_model::{
    BindingRange, BufferLimits, U32_BYTES, arena_u32s, best_fit, packed, width,
};
use crate::error::{Error, Result};
use crate::graph::plan::{Plan, Slice, Storage, TensorInfo};
use crate::numbers::bytes;
use crate::tensor::{Dtype, Shape};

/// A tensor that exists as long as the executor.
pub(super) struct Persistent {
    /// Its buffers, `piece` elements in each but the last.
    pub buffers: Vec<wgpu::Buffer>,
    /// Elements of a buffer.
    pub piece: usize,
    /// The extents.
    pub shape: Shape,
    /// The type of the elements.
    pub dtype: Dtype,
}

/// Consecutive elements of a tensor in one buffer.
#[derive(Clone, Copy)]
pub(super) struct BufferPart<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// The index of the first element in the buffer.
    pub first: usize,
    /// The number of elements.
    pub len: usize,
}

impl BufferPart<'_> {
    /// The byte at which the part begins.
    pub fn byte_offset(&self, dtype: Dtype) -> u64 {
        self.first as u64 * width(dtype)
    }

    /// The part without its first `skipped` elements.
    pub fn starting_at(&self, skipped: usize) -> Self {
        BufferPart {
            first: self.first + skipped,
            len: self.len - skipped,
            ..*self
        }
    }
}

impl Persistent {
    /// The `len` elements from `start` on, buffer by buffer.
    ///
    /// # Panics
    ///
    /// If the tensor has fewer elements.
    pub fn parts(&self, start: usize, len: usize) -> impl Iterator<Item = BufferPart<'_>> {
        let (end, piece) = (start + len, self.piece);
        assert!(
            end <= self.shape.len(),
            "elements {start}..{end} of {}",
            self.shape
        );
        let mut at = start;
        std::iter::from_fn(move || {
            let (number, first) = (at / piece, at % piece);
            let len = (piece - first).min(end - at);
            at += len;
            (len > 0).then(|| BufferPart {
                buffer: &self.buffers[number],
                first,
                len,
            })
        })
    }
}

/// All buffers that are kept between plans.
pub(super) struct Memory {
    limits: BufferLimits,
    /// The total number of bytes that may be allocated, for drivers that grant more memory than exists.
    budget: Option<u64>,
    /// The bytes allocated.
    used: u64,
    persistent: HashMap<String, Persistent>,
    /// Plans share arenas: their contents are valid within one run, and runs do not overlap.
    arenas: Vec<wgpu::Buffer>,
}

impl Memory {
    /// No buffers, on a device with these limits.
    pub fn new(limits: BufferLimits, budget: Option<u64>) -> Memory {
        Memory {
            limits,
            budget,
            used: 0,
            persistent: HashMap::new(),
            arenas: Vec::new(),
        }
    }

    /// The bytes allocated.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The total number of bytes that may be allocated, if known.
    pub fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// The limits of the device.
    pub fn limits(&self) -> BufferLimits {
        self.limits
    }

    /// The persistent tensor with this name.
    ///
    /// # Panics
    ///
    /// If no loaded plan has it.
    pub fn persistent(&self, name: &str) -> &Persistent {
        self.persistent
            .get(name)
            .unwrap_or_else(|| panic!("no loaded plan has a persistent tensor `{name}`"))
    }

    /// Finds or allocates the buffers of a plan. On failure nothing is kept.
    pub fn allocate(&mut self, handle: &Handle, plan: &Plan) -> Result<Buffers> {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let (limits, used) = (self.limits, Cell::new(self.used));
        let make = |what: &dyn Fn() -> String, elements: usize| {
            let size = elements as u64 * U32_BYTES;
            if size > limits.buffer_bytes {
                return Err(Error::device(format!(
                    "{} needs a buffer of {}, and this device supports at most {}",
                    what(),
                    bytes(size),
                    bytes(limits.buffer_bytes)
                ))
                .help("use a smaller batch or model, or `--device cpu`"));
            }
            used.set(used.get().saturating_add(size));
            if self.budget.is_some_and(|budget| used.get() > budget) {
                return Err(out_of_memory(&format!("{} ({})", what(), bytes(size))));
            }
            let what = || format!("{} ({})", what(), bytes(size));
            handle.buffer(what, size, usage)
        };

        let mut new: HashMap<String, Persistent> = HashMap::new();
        let (mut inputs, mut outputs) = (Packing::default(), Packing::default());
        let mut places = Vec::with_capacity(plan.tensors.len());
        for info in &plan.tensors {
            places.push(match info.storage {
                Storage::Arena { arena, offset } => (Home::Arena(arena), offset),
                Storage::Input => (Home::Inputs, inputs.add(info)),
                Storage::Output => (Home::Outputs, outputs.add(info)),
                Storage::Persistent(_) => {
                    if let Some(old) = self.persistent.get(&info.name) {
                        assert!(
                            (&old.shape, old.dtype, old.piece)
                                == (&info.shape, info.dtype, info.piece),
                            "plan {}: `{}` is {} of {:?} here and {} of {:?} in a plan before",
                            plan.name,
                            info.name,
                            info.shape,
                            info.dtype,
                            old.shape,
                            old.dtype
                        );
                    } else {
                        let what = || format!("the tensor `{}` {}", info.name, info.shape);
                        let buffers = info
                            .pieces()
                            .map(|len| make(&what, plan.u32s_of(info.dtype, len)));
                        let tensor = Persistent {
                            buffers: buffers.collect::<Result<_>>()?,
                            piece: info.piece,
                            shape: info.shape.clone(),
                            dtype: info.dtype,
                        };
                        new.insert(info.name.clone(), tensor);
                    }
                    (Home::Persistent, 0)
                }
            });
        }

        let (mut arenas, mut kept) = (Vec::new(), self.arenas.clone());
        let mut made = Vec::new();
        for number in 0..plan.arenas.len() {
            let mut buffers = Vec::new();
            for elements in arena_u32s(plan, number) {
                let sizes = kept.iter().map(wgpu::Buffer::size);
                buffers.push(
                    if let Some(at) = best_fit(sizes, elements as u64 * U32_BYTES) {
                        kept.swap_remove(at)
                    } else {
                        let what = || format!("arena {number} of plan {}", plan.name);
                        let arena = make(&what, elements)?;
                        made.push(arena.clone());
                        arena
                    },
                );
            }
            arenas.push(buffers);
        }
        let pack = |what: &str, packing: &Packing| {
            let what = || format!("the {what} of plan {}", plan.name);
            make(&what, packing.elements.max(1))
        };
        let (input, output) = (pack("inputs", &inputs)?, pack("outputs", &outputs)?);
        let homes = plan
            .tensors()
            .zip(&places)
            .map(|((_, info), &(home, offset))| {
                let buffers = match home {
                    Home::Arena(arena) => arenas[arena].clone(),
                    Home::Inputs => vec![input.clone()],
                    Home::Outputs => vec![output.clone()],
                    Home::Persistent => match new.get(&info.name) {
                        Some(tensor) => tensor.buffers.clone(),
                        None => self.persistent[&info.name].buffers.clone(),
                    },
                };
                Located {
                    buffers,
                    start: offset,
                    piece: info.piece,
                    dtype: info.dtype,
                }
            });
        let homes = homes.collect();
        self.persistent.extend(new);
        self.arenas.extend(made);
        self.used = used.get();
        Ok(Buffers {
            homes,
            input,
            output,
            inputs,
            outputs,
        })
    }
}

#[derive(Clone, Copy)]
enum Home {
    Arena(usize),
    Inputs,
    Outputs,
    Persistent,
}

/// A tensor within a packed buffer.
pub(super) struct Packed {
    /// Its name.
    pub name: String,
    /// The type of the elements.
    pub dtype: Dtype,
    /// The first element.
    pub start: usize,
    /// The number of elements.
    pub len: usize,
}

/// Tensors packed into one buffer, so that one copy moves them all.
#[derive(Default)]
pub(super) struct Packing {
    /// The tensors in the plan's order.
    pub tensors: Vec<Packed>,
    /// The length of the buffer in elements.
    pub elements: usize,
}

impl Packing {
    fn add(&mut self, info: &TensorInfo) -> usize {
        let (start, len) = (self.elements, info.shape.len());
        self.elements = packed(start, len);
        self.tensors.push(Packed {
            name: info.name.clone(),
            dtype: info.dtype,
            start,
            len,
        });
        start
    }
}

/// The buffers of one plan.
pub(super) struct Buffers {
    /// The location of each tensor.
    homes: Vec<Located>,
    /// The packed inputs.
    pub input: wgpu::Buffer,
    /// The packed outputs.
    pub output: wgpu::Buffer,
    /// The layout of `input`.
    pub inputs: Packing,
    /// The layout of `output`.
    pub outputs: Packing,
}

/// The location of a tensor.
struct Located {
    /// One buffer, or one for each piece.
    buffers: Vec<wgpu::Buffer>,
    /// The offset of the tensor there, in `u32`s.
    start: usize,
    /// Elements of a buffer.
    piece: usize,
    dtype: Dtype,
}

/// The binding of a slice.
pub(super) struct Bound<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// The range of the buffer.
    pub range: BindingRange,
}

impl Buffers {
    /// The binding of a slice, from the aligned offset at or before it to its end.
    pub fn bound(&self, slice: Slice) -> Bound<'_> {
        let home = &self.homes[slice.tensor.0 as usize];
        let (number, within) = (slice.offset / home.piece, slice.offset % home.piece);
        let first = home.start as u64 * U32_BYTES + within as u64 * width(home.dtype);
        Bound {
            buffer: &home.buffers[number],
            range: BindingRange::of(first, slice.len, home.dtype),
        }
    }

    /// The position of the first index of a slice of an input in the packed inputs.
    pub fn input_at(&self, slice: Slice) -> usize {
        self.homes[slice.tensor.0 as usize].start + slice.offset
    }
}
