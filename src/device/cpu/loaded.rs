//! A plan that the CPU executor has loaded.

use std::collections::HashMap;
use std::sync::Arc;

use super::precision::CpuReal;
use crate::device::executor::{Data, Inputs, Outputs};
use crate::device::pages::Pages;
use crate::error::Result;
use crate::graph::plan::{Plan, Step, Storage};
use crate::kernel::{Access, Buffer, Buffers};
use crate::tensor::Dtype;

/// A plan with its inputs and outputs.
pub struct Loaded<R> {
    pub plan: Arc<Plan>,
    /// The memory of each tensor.
    memory: Vec<Memory<R>>,
    /// The address of each tensor during a run; empty between runs.
    bases: Vec<Base<R>>,
    /// For each step, whether the inputs of the run skip it.
    skipped: Vec<bool>,
}

/// The memory of a tensor.
enum Memory<R> {
    /// A real input or output.
    Real(Pages<R>),
    /// An index input.
    Index(Vec<u32>),
    /// Of an arena or a persistent tensor, which other plans use too.
    Shared,
}

/// The address of the first element of a tensor.
#[derive(Clone, Copy)]
enum Base<R> {
    Real(*mut R),
    Index(*const u32),
}

impl<R: CpuReal> Loaded<R> {
    /// Allocates the inputs and outputs of a plan.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if there is not enough memory.
    pub fn new(plan: Arc<Plan>) -> Result<Loaded<R>> {
        let mut memory = Vec::with_capacity(plan.tensors.len());
        for info in &plan.tensors {
            let len = info.shape.len();
            memory.push(match (info.storage, info.dtype) {
                (Storage::Persistent(_) | Storage::Arena { .. }, _) => Memory::Shared,
                (Storage::Input, Dtype::Index) => Memory::Index(vec![0; len]),
                (Storage::Input | Storage::Output, _) => {
                    Memory::Real(Pages::zeros(len, &info.name)?)
                }
            });
        }
        Ok(Loaded {
            memory,
            bases: Vec::with_capacity(plan.tensors.len()),
            skipped: Vec::with_capacity(plan.steps.len()),
            plan,
        })
    }

    /// For each step, whether the inputs of the last run skipped it.
    pub fn skipped(&self) -> &[bool] {
        &self.skipped
    }

    /// The bytes of the inputs and outputs.
    pub fn allocated_bytes(&self) -> usize {
        let bytes = self.memory.iter().map(|memory| match memory {
            Memory::Real(values) => size_of_val(&**values),
            Memory::Index(values) => size_of_val(&**values),
            Memory::Shared => 0,
        });
        bytes.sum()
    }

    /// Runs every step, unless its condition skips it, and calls `done` after each. Allocates nothing, except what kernels need at
    /// their first run.
    ///
    /// # Panics
    ///
    /// If an input is unknown, or of another type or size than in the plan.
    #[allow(unsafe_code)]
    pub fn run(
        &mut self,
        persistent: &mut HashMap<String, Pages<R>>,
        arenas: &mut [Pages<R>],
        inputs: &Inputs,
        mut done: impl FnMut(usize),
    ) {
        self.write(inputs);
        self.apply_conditions();
        let Loaded {
            plan,
            memory,
            bases,
            skipped,
        } = self;
        bases.clear();
        for (info, memory) in plan.tensors.iter().zip(memory) {
            bases.push(match (memory, info.storage) {
                (Memory::Real(values), _) => Base::Real(values.as_mut_ptr()),
                (Memory::Index(values), _) => Base::Index(values.as_ptr()),
                (Memory::Shared, Storage::Arena { arena, offset }) => {
                    // A reference to the arena would invalidate the pointers to other tensors in it.
                    Base::Real(arenas[arena].as_mut_ptr().wrapping_add(offset))
                }
                (Memory::Shared, _) => {
                    let values = persistent.get_mut(&info.name);
                    Base::Real(
                        values
                            .expect("loading a plan allocates its tensors")
                            .as_mut_ptr(),
                    )
                }
            });
        }
        for (number, step) in plan.steps.iter().enumerate() {
            if skipped[number] {
                done(number);
                continue;
            }
            let buffers = step
                .kernel
                .bindings
                .iter()
                .zip(&step.slices)
                .map(|(binding, slice)| {
                    // SAFETY: at load, `Plan::check` verified that the slice lies within its tensor, the tensor within its
                    // arena, and that a written slice overlaps no other slice of its step. Memory outside arenas has the
                    // length of its tensor, and arenas only grow. Nothing moves while the plan runs, and no reference
                    // outlives its step.
                    unsafe {
                        match bases[slice.tensor.0 as usize] {
                            Base::Index(start) => Buffer::Index(std::slice::from_raw_parts(
                                start.add(slice.offset),
                                slice.len,
                            )),
                            Base::Real(start) if binding.access == Access::Read => Buffer::Read(
                                std::slice::from_raw_parts(start.add(slice.offset), slice.len),
                            ),
                            Base::Real(start) => Buffer::Write(std::slice::from_raw_parts_mut(
                                start.add(slice.offset),
                                slice.len,
                            )),
                        }
                    }
                });
            R::function(step.kernel)(
                &step.params,
                &mut Buffers::new(step.kernel.bindings, buffers),
            );
            for (binding, slice) in step.kernel.bindings.iter().zip(&step.slices) {
                let half = plan.tensor(slice.tensor).dtype == Dtype::Half;
                if half
                    && binding.access != Access::Read
                    && let Base::Real(start) = bases[slice.tensor.0 as usize]
                {
                    // SAFETY: as above; the buffers of the step have been dropped.
                    let values = unsafe {
                        std::slice::from_raw_parts_mut(start.add(slice.offset), slice.len)
                    };
                    R::round_halves(values);
                }
            }
            done(number);
        }
        // No pointer outlives its run.
        bases.clear();
    }

    /// Finds the steps that the inputs skip.
    fn apply_conditions(&mut self) {
        let is_skipped = |step: &Step| {
            let condition = step.condition.map(|slice| {
                let Memory::Index(indices) = &self.memory[slice.tensor.0 as usize] else {
                    panic!("a condition is an index of an input");
                };
                indices[slice.offset]
            });
            condition.is_some_and(Step::is_skipped)
        };
        self.skipped.clear();
        self.skipped.extend(self.plan.steps.iter().map(is_skipped));
    }

    /// Copies the inputs of a run.
    fn write(&mut self, inputs: &Inputs) {
        let plan = &self.plan;
        for (name, data) in inputs {
            let Some(id) = plan.find(name) else {
                panic!("plan {} has no input `{name}`", plan.name);
            };
            match (&mut self.memory[id.0 as usize], data) {
                (Memory::Real(memory), Data::Real(values)) => {
                    assert_eq!(memory.len(), values.len(), "size of the input `{name}`");
                    for (out, &value) in memory.iter_mut().zip(values) {
                        *out = R::from_f64(value);
                    }
                }
                (Memory::Index(memory), Data::Index(values)) => memory.copy_from_slice(values),
                _ => panic!("plan {}: the input `{name}` has another type", plan.name),
            }
        }
    }

    /// The outputs of the last run.
    pub fn outputs(&self) -> Outputs {
        let tensors = self.plan.tensors.iter().zip(&self.memory);
        let outputs = tensors.filter_map(|(info, memory)| match (info.storage, memory) {
            (Storage::Output, Memory::Real(values)) => {
                let values = values.iter().map(|value| value.to_f64());
                Some((info.name.clone(), values.collect()))
            }
            _ => None,
        });
        outputs.collect()
    }
}
