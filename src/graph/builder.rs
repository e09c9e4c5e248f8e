//! Builds a plan: operations and update rules emit tensors and steps into it.

use super::memory::{self, Limits};
use super::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use super::split;
use crate::kernel::{Kernel, Params};
use crate::tensor::names::StateOwner;
use crate::tensor::{Dtype, Shape};

/// An unfinished plan. [`Builder::finish`] assigns memory to its activations.
pub struct Builder {
    plan: Plan,
    limits: Limits,
    published: Vec<&'static str>,
    owner: StateOwner,
    mixed: bool,
    scaled: bool,
    separate: bool,
    span_rows: Option<usize>,
    condition: Option<Slice>,
}

/// The storage of an activation before memory is assigned.
const UNASSIGNED: Storage = Storage::Arena {
    arena: usize::MAX,
    offset: 0,
};

impl Builder {
    /// An empty plan of this name, for a device with these limits.
    pub fn new(name: &str, limits: &Limits) -> Builder {
        Builder {
            plan: Plan {
                name: name.to_owned(),
                packed: limits.packed,
                ..Plan::default()
            },
            limits: *limits,
            published: Vec::new(),
            owner: StateOwner::Training { micro_batch: 0 },
            mixed: false,
            scaled: false,
            separate: false,
            span_rows: None,
            condition: None,
        }
    }

    /// Sets the condition of the steps that follow; see [`Step::condition`].
    pub fn set_condition(&mut self, condition: Option<Slice>) {
        self.condition = condition;
    }

    /// Stores the operands of products, and the activations that are kept for the backward pass, as [`Dtype::Half`].
    pub fn mix_precision(&mut self) {
        self.mixed = true;
    }

    /// Scales the gradient of the loss by a factor that the update adapts: see [`Graph::dynamic_loss_scale`].
    ///
    /// [`Graph::dynamic_loss_scale`]: super::Graph::dynamic_loss_scale
    pub fn scale_loss(&mut self) {
        self.scaled = true;
    }

    /// Lets a fixed rule decide whether a cell computes its product itself or adds to the result of a separate step. Used with matrix
    /// units, and on GPUs with a large batch.
    pub fn separate_products(&mut self) {
        self.separate = true;
    }

    /// Recomputes the gates of layers in the backward pass instead of keeping them (activation checkpointing), one span of
    /// about this many rows of a batch at a time.
    pub fn recompute_gates(&mut self, rows: usize) {
        self.span_rows = Some(rows);
    }

    /// The rows of a span, if [`Builder::recompute_gates`] was called.
    pub fn span_rows(&self) -> Option<usize> {
        self.span_rows
    }

    /// Whether [`Builder::separate_products`] was called.
    pub fn separates_products(&self) -> bool {
        self.separate
    }

    /// Whether [`Builder::mix_precision`] was called.
    pub fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// Whether [`Builder::scale_loss`] was called.
    pub fn scales_loss(&self) -> bool {
        self.scaled
    }

    fn tensor(&mut self, name: &str, shape: Shape, dtype: Dtype, storage: Storage) -> Slice {
        let len = shape.len();
        if let Some(id) = self.plan.find(name) {
            let info = self.plan.tensor(id);
            assert!(
                (&info.shape, info.dtype, info.storage) == (&shape, dtype, storage)
                    && storage == Storage::Input,
                "two tensors are called `{name}`"
            );
            return Slice {
                tensor: id,
                offset: 0,
                len,
            };
        }
        let id = TensorId(self.plan.tensors.len() as u32);
        let mut info = TensorInfo {
            name: name.to_owned(),
            piece: shape.len(),
            shape,
            dtype,
            storage,
        };
        info.piece = split::piece(&self.plan, &info, &self.limits);
        self.plan.tensors.push(info);
        Slice {
            tensor: id,
            offset: 0,
            len,
        }
    }

    /// A tensor that is kept between runs, under its name.
    pub fn persistent(&mut self, role: Role, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Real, Storage::Persistent(role))
    }

    /// The same in [`Dtype::Half`].
    pub fn persistent_half(&mut self, role: Role, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Half, Storage::Persistent(role))
    }

    /// A tensor that was declared before.
    ///
    /// # Panics
    ///
    /// If there is none of this name.
    pub fn kept(&self, name: &str) -> Slice {
        let tensor = self.plan.find(name);
        let tensor = tensor.unwrap_or_else(|| panic!("there is no tensor `{name}`"));
        Slice {
            tensor,
            offset: 0,
            len: self.plan.tensor(tensor).shape.len(),
        }
    }

    /// Indices that the host writes before a run. Declaring the same input again returns it.
    pub fn index_input(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Index, Storage::Input)
    }

    /// Reals that the host writes before a run. Declaring the same input again returns it.
    pub fn real_input(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Real, Storage::Input)
    }

    /// The first index input, for a step that must bind one but does not read it.
    pub fn any_index(&self) -> Option<Slice> {
        let is_index =
            |info: &TensorInfo| (info.storage, info.dtype) == (Storage::Input, Dtype::Index);
        let (tensor, info) = self.plan.tensors().find(|(_, info)| is_index(info))?;
        Some(Slice {
            tensor,
            offset: 0,
            len: info.shape.len(),
        })
    }

    /// A tensor that the host reads after a run.
    pub fn output(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Real, Storage::Output)
    }

    /// A tensor that is live from its first step to its last.
    pub fn activation(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        self.tensor(name, shape.into(), Dtype::Real, UNASSIGNED)
    }

    /// An activation that is the operand of a product or kept for the backward pass: [`Dtype::Half`] in mixed precision.
    pub fn stored(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        let dtype = if self.mixed { Dtype::Half } else { Dtype::Real };
        self.tensor(name, shape.into(), dtype, UNASSIGNED)
    }

    /// Uses the recurrent states of this owner; by default those of training.
    pub fn use_states_of(&mut self, owner: StateOwner) {
        self.owner = owner;
    }

    /// A recurrent state, `layers.0.h` for example: a persistent tensor of the plan's state owner. Declaring the same state
    /// again returns it.
    pub fn state(&mut self, name: &str, shape: impl Into<Shape>) -> Slice {
        let name = self.owner.state(name);
        if self.plan.find(&name).is_some() {
            return self.kept(&name);
        }
        self.persistent(Role::RecurrentState, &name, shape)
    }

    /// Declares tensors of this name as outputs rather than activations, where operations allow it.
    pub fn publish(&mut self, name: &'static str) {
        self.published.push(name);
    }

    /// Whether [`Builder::publish`] was called with this name.
    pub fn publishes(&self, name: &str) -> bool {
        self.published.contains(&name)
    }

    /// A vector that is an output if [`Builder::publish`] was called with its name.
    pub fn output_or_activation(&mut self, name: &str, len: usize) -> Slice {
        if self.publishes(name) {
            self.output(name, [len])
        } else {
            self.activation(name, [len])
        }
    }

    /// Memory for the pieces of a product, until they are summed.
    pub fn pieces_of(&mut self, len: usize) -> Slice {
        let name = format!("pieces.{}", self.plan.tensors.len());
        self.activation(&name, [len])
    }

    /// Appends a step. `label` describes its purpose.
    pub fn step(
        &mut self,
        label: impl Into<String>,
        kernel: &'static Kernel,
        params: &impl Params,
        slices: &[Slice],
    ) {
        self.raw_step(label, kernel, params.to_raw(), slices);
    }

    /// The same with params as a step stores them.
    pub fn raw_step(
        &mut self,
        label: impl Into<String>,
        kernel: &'static Kernel,
        params: Box<[u32]>,
        slices: &[Slice],
    ) {
        let grid = (kernel.grid)(&params);
        self.plan.steps.push(Step {
            label: label.into(),
            kernel,
            params,
            slices: slices.to_vec(),
            grid,
            condition: self.condition,
        });
    }

    /// The limits of the device.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The parts of a slice that are in one buffer each: one, except for tensors that are larger than a binding.
    pub fn pieces(&self, slice: Slice) -> Vec<Slice> {
        let piece = self.plan.tensor(slice.tensor).piece;
        let mut parts = Vec::new();
        let mut start = 0;
        while start < slice.len {
            let len = (piece - (slice.offset + start) % piece).min(slice.len - start);
            parts.push(slice.part(start, len));
            start += len;
        }
        parts
    }

    /// Whether one binding can hold a slice.
    pub fn fits(&self, slice: Slice) -> bool {
        split::fits(&self.plan, slice, &self.limits)
    }

    /// Moves the last step to an earlier position: directly after the last other step that uses the tensor of
    /// `read`.
    pub fn advance(&mut self, read: Slice) {
        let Some(step) = self.plan.steps.pop() else {
            return;
        };
        let uses = |step: &Step| step.slices.iter().any(|slice| slice.tensor == read.tensor);
        let at = self.plan.steps.iter().rposition(uses);
        self.plan.steps.insert(at.map_or(0, |at| at + 1), step);
    }

    /// Splits the steps whose slices are too large for a binding, assigns memory to activations and checks the plan.
    pub fn finish(mut self) -> Plan {
        split::split(&mut self.plan, &self.limits);
        memory::assign(&mut self.plan, &self.limits);
        self.plan.check();
        self.plan
    }
}
