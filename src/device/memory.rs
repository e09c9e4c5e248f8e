//! Buffers of a device: persistent tensors by name, arenas shared between plans, and packed small tensors of one plan.

use std::cell::Cell;
use std::collections::HashMap;

use super::Limits;
use super::faults::{guarded, out_of_memory};
use super::footprint::{arena_words, best_fit, packed};
use crate::error::{Error, Result};
use crate::graph::plan::{Plan, Slice, Storage, TensorInfo};
use crate::numbers::bytes;
use crate::tensor::{Dtype, Shape};

/// The bytes of a word.
pub(super) const WORD: u64 = 4;

/// Bindings begin at multiples of this many words: 256 bytes, which every device accepts.
pub(super) const ALIGNMENT: usize = 64;

/// The bytes of an element on devices.
pub(super) fn width(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Real | Dtype::Index => WORD,
        Dtype::Half => WORD / 2,
    }
}

/// What is bound for a slice that begins so many bytes after the beginning of its buffer: the first byte and the number of
/// them, whole words, and the elements before the slice.
pub(super) fn binding(first: u64, len: usize, dtype: Dtype) -> (u64, u64, usize) {
    let skip = first % (ALIGNMENT as u64 * WORD);
    let size = (skip + len as u64 * width(dtype)).next_multiple_of(WORD);
    (first - skip, size, (skip / width(dtype)) as usize)
}

/// A tensor that lives as long as the executor.
pub(super) struct Persistent {
    /// The elements, so many in each but the last.
    pub buffers: Vec<wgpu::Buffer>,
    /// Elements of a buffer.
    pub piece: usize,
    /// The extents.
    pub shape: Shape,
    /// What the elements are.
    pub dtype: Dtype,
}

/// All memory that outlives a plan.
pub(super) struct Memory {
    limits: Limits,
    /// Bytes that may be taken in all, where the driver promises more than there is.
    budget: Option<u64>,
    /// Bytes taken.
    used: u64,
    persistent: HashMap<String, Persistent>,
    /// What is in an arena is valid within one run, and runs follow one another: plans share them.
    arenas: Vec<wgpu::Buffer>,
}

impl Persistent {
    /// The parts of the elements from `start` on that lie in one buffer each: buffer, first element there, number.
    pub fn parts(
        &self,
        start: usize,
        len: usize,
    ) -> impl Iterator<Item = (&wgpu::Buffer, usize, usize)> {
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
            (len > 0).then(|| (&self.buffers[number], first, len))
        })
    }
}

impl Memory {
    /// Nothing yet, on a device with these limits.
    pub fn new(limits: Limits, budget: Option<u64>) -> Memory {
        Memory {
            limits,
            budget,
            used: 0,
            persistent: HashMap::new(),
            arenas: Vec::new(),
        }
    }

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that may be taken in all, where that is known.
    pub fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// What fits in one piece.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The persistent tensor of this name.
    ///
    /// # Panics
    ///
    /// If no plan that was loaded names it.
    pub fn persistent(&self, name: &str) -> &Persistent {
        self.persistent
            .get(name)
            .unwrap_or_else(|| panic!("no loaded plan has a persistent tensor `{name}`"))
    }

    /// Finds or makes the memory of a plan. Nothing is kept when it fails.
    pub fn provide(&mut self, device: &wgpu::Device, plan: &Plan) -> Result<Buffers> {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let (limits, used) = (self.limits, Cell::new(self.used));
        let make = |what: &dyn Fn() -> String, elements: usize| {
            let size = elements as u64 * WORD;
            if size > limits.buffer_bytes {
                return Err(Error::device(format!(
                    "{} needs a buffer of {}, and this device has at most {}",
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
            buffer(
                device,
                &|| format!("{} ({})", what(), bytes(size)),
                size,
                usage,
            )
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
                            .map(|len| make(&what, plan.words_of(info.dtype, len)));
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
            for elements in arena_words(plan, number) {
                let sizes = kept.iter().map(wgpu::Buffer::size);
                buffers.push(if let Some(at) = best_fit(sizes, elements as u64 * WORD) {
                    kept.swap_remove(at)
                } else {
                    let what = || format!("arena {number} of plan {}", plan.name);
                    let arena = make(&what, elements)?;
                    made.push(arena.clone());
                    arena
                });
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

/// Makes one buffer, or says why not.
pub(super) fn buffer(
    device: &wgpu::Device,
    what: &dyn Fn() -> String,
    size: u64,
    usage: wgpu::BufferUsages,
) -> Result<wgpu::Buffer> {
    guarded(device, what, || {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    })
}

/// A tensor within a packed buffer.
pub(super) struct Packed {
    /// Its name.
    pub name: String,
    /// What the elements are.
    pub dtype: Dtype,
    /// The first element.
    pub start: usize,
    /// The number of elements.
    pub len: usize,
}

/// Small tensors one after the other in one buffer, so that one copy moves them all.
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

/// The memory of one plan.
pub(super) struct Buffers {
    /// Where each tensor is.
    homes: Vec<Located>,
    /// All inputs.
    pub input: wgpu::Buffer,
    /// All outputs.
    pub output: wgpu::Buffer,
    /// What is where in `input`.
    pub inputs: Packing,
    /// What is where in `output`.
    pub outputs: Packing,
}

/// Where a tensor is.
struct Located {
    /// One, or one for each piece.
    buffers: Vec<wgpu::Buffer>,
    /// Its first word there.
    start: usize,
    /// Elements of a buffer.
    piece: usize,
    dtype: Dtype,
}

/// A slice as a device binds it.
pub(super) struct Bound<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// The first byte, a multiple of 256.
    pub offset: u64,
    /// The bytes, with those before the slice.
    pub size: u64,
    /// Elements bound before the slice.
    pub skip: usize,
}

impl Buffers {
    /// Where a slice is bound: at the aligned place before it, up to its end.
    pub fn bound(&self, slice: Slice) -> Bound<'_> {
        let home = &self.homes[slice.tensor.0 as usize];
        let (number, within) = (slice.offset / home.piece, slice.offset % home.piece);
        let first = home.start as u64 * WORD + within as u64 * width(home.dtype);
        let (offset, size, skip) = binding(first, slice.len, home.dtype);
        Bound {
            buffer: &home.buffers[number],
            offset,
            size,
            skip,
        }
    }
}
