//! From typed operations to a plan. Nothing here knows a device.
//!
//! [`Graph`] holds values, parameters and a tape of [`Operation`]s. An operation emits its forward steps when it is
//! appended and its backward steps when [`Graph::backward`] walks the tape in reverse; both rules stand in one file of
//! [`operations`]. [`Graph::finish`] cuts what a device cannot bind ([`split`]), decides the place of every buffer ([`memory`]),
//! checks the result and gives a [`Plan`].
//!
//! # Invariants
//!
//! - A value is a matrix `[rows, width]` of a time-major tensor; its gradient is assigned by the first operation that
//!   contributes and added to by later ones.
//! - The gradient of a parameter is dense, or sparse by rows with the row index as an input of the plan.
//! - After [`Graph::backward`] no operation is appended.

pub mod builder;
pub mod memory;
pub mod operations;
pub mod plan;
pub mod split;

use builder::Builder;
use memory::Limits;
use plan::{Plan, Role, Slice};

use crate::kernels::pointwise::copy;
use crate::tensor::names::{self, LOSS_SCALE};

/// The elements of the input `control`: see [`crate::kernels::optimizer`].
pub const CONTROL: usize = 7;

/// A matrix computed by the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(usize);

/// A parameter of the model, as the graph uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter(usize);

/// The gradient of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gradient {
    /// Every element.
    Dense(Slice),
    /// The rows that a row index lists; see [`crate::kernels::embedding`].
    Rows {
        /// The row index, an input.
        rows: Slice,
        /// `[capacity, width]`: row `k` is the gradient of the row with the `k`th id, zero past the count.
        values: Slice,
        /// The number of rows of `values`.
        capacity: usize,
    },
    /// Of a batch in parts: rows that another plan sums up by row, `gradient.NAME [capacity, width]`.
    Sources {
        /// The name of the row index over them.
        index: &'static str,
        /// Their number, those of all goes.
        capacity: usize,
        /// What the sums are to be multiplied by.
        scale: f32,
    },
}

/// Places for the rows of gradient of one go.
struct Sources {
    /// Rows that all goes have in common.
    common: Slice,
    /// Whether there is something in them to add to.
    accumulate: bool,
    /// For each kind of rows that every go has of its own, those of this go.
    own: Vec<Slice>,
}

/// An operation on the tape: what its backward rule needs to know of its forward pass.
pub trait Operation {
    /// Emits the steps that turn the gradients of its results into gradients of its operands.
    fn backward(&self, graph: &mut Graph);
}

struct ValueInfo {
    rows: usize,
    width: usize,
    data: Slice,
    gradient: Option<Slice>,
    /// Whether some operation has written the gradient.
    written: bool,
}

struct ParameterInfo {
    name: String,
    rows: usize,
    width: usize,
    data: Slice,
    /// The copy that products read, in mixed precision.
    operand: Option<Slice>,
    gradient: Option<Gradient>,
    /// Rows of gradient that two operations write side by side, with their row index and their number.
    sources: Option<(Slice, Slice, usize)>,
}

/// Values, parameters and the tape; see the module.
pub struct Graph {
    /// The tensors and steps so far.
    pub builder: Builder,
    values: Vec<ValueInfo>,
    parameters: Vec<ParameterInfo>,
    tape: Vec<Box<dyn Operation>>,
    keep_gradients: bool,
    /// Which of how many batches are added up in the gradients that are kept, if they are.
    addend: Option<(usize, usize)>,
    loss_scale: Option<Slice>,
}

impl Graph {
    /// An empty graph for a plan of this name, for a device with these limits.
    pub fn new(name: &str, limits: &Limits) -> Graph {
        Graph {
            builder: Builder::new(name, limits),
            values: Vec::new(),
            parameters: Vec::new(),
            tape: Vec::new(),
            keep_gradients: false,
            addend: None,
            loss_scale: None,
        }
    }

    /// Keeps the gradients of parameters as persistent tensors `gradient.NAME`, for tests and inspection.
    pub fn keep_gradients(&mut self) {
        self.keep_gradients = true;
    }

    /// Keeps the gradients of `count` batches together, of which this is number `index`: those of whole parameters are added
    /// to what is there, those of rows are kept as [`Gradient::Sources`].
    pub fn add_gradients(&mut self, index: usize, count: usize) {
        self.keep_gradients = true;
        self.addend = Some((index, count));
    }

    /// A parameter `[rows, width]`: the persistent tensor `name`.
    pub fn parameter(&mut self, name: &str, rows: usize, width: usize) -> Parameter {
        self.parameter_in(Role::Parameter, name, rows, width)
    }

    /// The moving average `name` of a parameter `[rows, width]`, in its place.
    pub fn averaged_parameter(&mut self, name: &str, rows: usize, width: usize) -> Parameter {
        self.parameter_in(Role::MovingAverage, name, rows, width)
    }

    fn parameter_in(&mut self, role: Role, name: &str, rows: usize, width: usize) -> Parameter {
        let data = self.builder.persistent(role, name, [rows, width]);
        let info = ParameterInfo {
            name: name.to_owned(),
            rows,
            width,
            data,
            operand: None,
            gradient: None,
            sources: None,
        };
        self.parameters.push(info);
        Parameter(self.parameters.len() - 1)
    }

    /// The elements of a parameter.
    pub fn weight(&self, parameter: Parameter) -> Slice {
        self.parameters[parameter.0].data
    }

    /// The elements of a parameter as products read them: in mixed precision a copy in half the width, made where it is first
    /// asked for.
    pub fn operand(&mut self, parameter: Parameter) -> Slice {
        let info = &self.parameters[parameter.0];
        if !self.builder.is_mixed() {
            return info.data;
        }
        if let Some(operand) = info.operand {
            return operand;
        }
        let (data, name) = (info.data, format!("{}.half", info.name));
        let operand = self.builder.stored(&name, [info.rows, info.width]);
        let params = copy::Params {
            len: data.len as u32,
        };
        let label = format!("round {}", self.parameters[parameter.0].name);
        let slices = [data, operand];
        self.builder.step(label, &copy::KERNEL, &params, &slices);
        self.parameters[parameter.0].operand = Some(operand);
        operand
    }

    /// What the gradient of the loss is multiplied by, `[1]`: in mixed precision the tensor [`LOSS_SCALE`], whose second element
    /// counts steps; else the last element of the input `control`, 1.
    fn loss_scale(&mut self) -> Slice {
        if self.loss_scale.is_none() {
            self.loss_scale = Some(if self.builder.is_mixed() {
                self.builder
                    .persistent(Role::OptimizerState, LOSS_SCALE, [2])
            } else {
                self.builder
                    .real_input("control", [CONTROL])
                    .part(CONTROL - 1, 1)
            });
        }
        self.loss_scale.expect("made").part(0, 1)
    }

    /// The whole tensor [`LOSS_SCALE`], in a graph of mixed precision that has a loss.
    pub fn dynamic_loss_scale(&self) -> Option<Slice> {
        self.loss_scale.filter(|_| self.builder.is_mixed())
    }

    /// Rows and width of a parameter.
    pub fn extents(&self, parameter: Parameter) -> (usize, usize) {
        let info = &self.parameters[parameter.0];
        (info.rows, info.width)
    }

    /// The parameters that have a gradient, with their names.
    pub fn gradients(&self) -> impl Iterator<Item = (Parameter, &str, Gradient)> {
        self.parameters.iter().enumerate().filter_map(|(k, info)| {
            info.gradient
                .map(|gradient| (Parameter(k), info.name.as_str(), gradient))
        })
    }

    /// Copies a gradient that is kept to the persistent tensor `to` of half the width, for its way to other devices.
    pub fn narrow(&mut self, from: &str, to: &str, rows: usize, width: usize) {
        let from = self.builder.kept(from);
        let to = self
            .builder
            .persistent_half(Role::Gradient, to, [rows, width]);
        let params = copy::Params {
            len: from.len as u32,
        };
        self.builder
            .step("narrow a gradient", &copy::KERNEL, &params, &[from, to]);
        // On its way while the backward pass goes on.
        self.builder.advance(from);
    }

    /// Copies a gradient `[rows, width]` from the persistent tensor of half the width in which it came.
    pub fn widen(&mut self, from: &str, to: Slice, rows: usize, width: usize) {
        let from = self
            .builder
            .persistent_half(Role::Gradient, from, [rows, width]);
        let params = copy::Params {
            len: from.len as u32,
        };
        self.builder
            .step("widen a gradient", &copy::KERNEL, &params, &[from, to]);
    }

    /// Has the tensor [`LOSS_SCALE`] in a graph of mixed precision that only updates.
    pub fn scale_loss(&mut self) {
        self.loss_scale();
    }

    /// Says what the gradient of a parameter is that another plan has made.
    pub fn set_gradient(&mut self, parameter: Parameter, gradient: Gradient) {
        self.parameters[parameter.0].gradient = Some(gradient);
    }

    /// The gradient of a parameter so far.
    fn gradient_of(&self, parameter: Parameter) -> Option<Gradient> {
        self.parameters[parameter.0].gradient
    }

    /// The dense gradient of a parameter and whether there is something in it to add to. Made at the first call.
    ///
    /// # Panics
    ///
    /// If the parameter has a gradient sparse by rows.
    pub fn dense_gradient(&mut self, parameter: Parameter) -> (Slice, bool) {
        if let Some(gradient) = self.parameters[parameter.0].gradient {
            let Gradient::Dense(slice) = gradient else {
                panic!(
                    "`{}` has a sparse gradient already",
                    self.parameters[parameter.0].name
                )
            };
            return (slice, true);
        }
        let (rows, width) = self.extents(parameter);
        let slice = self.gradient_tensor(parameter, rows, width);
        self.parameters[parameter.0].gradient = Some(Gradient::Dense(slice));
        (slice, self.addend.is_some_and(|(index, _)| index > 0))
    }

    /// In a graph of one of several batches, places for a gradient sparse by rows: `common` rows that are the same for all
    /// batches, then for each of `kinds` kinds `own` rows of every batch.
    fn sources(
        &mut self,
        parameter: Parameter,
        index: &'static str,
        common: usize,
        own: usize,
        kinds: usize,
    ) -> Option<Sources> {
        let (go, goes) = self.addend?;
        let width = self.parameters[parameter.0].width;
        let capacity = common + kinds * goes * own;
        let all = self.gradient_tensor(parameter, capacity, width);
        self.begin_gradient(
            parameter,
            Gradient::Sources {
                index,
                capacity,
                scale: 1.0,
            },
        );
        let place = |kind: usize| {
            let first = common + (kind * goes + go) * own;
            all.part(first * width, own * width)
        };
        Some(Sources {
            common: all.part(0, common * width),
            accumulate: go > 0,
            own: (0..kinds).map(place).collect(),
        })
    }

    /// Has the sums of [`Gradient::Sources`] multiplied by a number.
    fn scale_sources(&mut self, parameter: Parameter, factor: f32) {
        match &mut self.parameters[parameter.0].gradient {
            Some(Gradient::Sources { scale, .. }) => *scale *= factor,
            _ => panic!("`{}` has no sources", self.parameters[parameter.0].name),
        }
    }

    /// Says what the gradient of a parameter is, which has none yet.
    fn begin_gradient(&mut self, parameter: Parameter, gradient: Gradient) {
        let info = &mut self.parameters[parameter.0];
        let before = info.gradient.replace(gradient);
        assert!(before.is_none(), "`{}` has a gradient already", info.name);
    }

    /// The values of a gradient sparse by rows, to be written whole.
    fn sparse_gradient(&mut self, parameter: Parameter, rows: Slice, capacity: usize) -> Slice {
        let width = self.parameters[parameter.0].width;
        assert!(self.addend.is_none(), "one of several batches has sources");
        let values = self.gradient_tensor(parameter, capacity, width);
        self.begin_gradient(
            parameter,
            Gradient::Rows {
                rows,
                values,
                capacity,
            },
        );
        values
    }

    /// Leaves rows of gradient for a later operation that adds its own and sums them up by row.
    fn leave_sources(&mut self, parameter: Parameter, source: Slice, rows: Slice, capacity: usize) {
        self.parameters[parameter.0].sources = Some((source, rows, capacity));
    }

    /// What [`Graph::leave_sources`] left: sources, row index, number of sources.
    fn take_sources(&mut self, parameter: Parameter) -> Option<(Slice, Slice, usize)> {
        self.parameters[parameter.0].sources.take()
    }

    fn gradient_tensor(&mut self, parameter: Parameter, rows: usize, width: usize) -> Slice {
        let name = names::gradient(&self.parameters[parameter.0].name);
        if self.keep_gradients {
            self.builder
                .persistent(Role::Gradient, &name, [rows, width])
        } else {
            self.builder.activation(&name, [rows, width])
        }
    }

    /// Makes a value `[rows, width]` of elements that a step has written, or will before they are read.
    ///
    /// # Panics
    ///
    /// If they are not as many.
    pub fn value(&mut self, data: Slice, rows: usize, width: usize) -> Value {
        assert_eq!(
            data.len,
            rows * width,
            "elements of a value [{rows}, {width}]"
        );
        self.values.push(ValueInfo {
            rows,
            width,
            data,
            gradient: None,
            written: false,
        });
        Value(self.values.len() - 1)
    }

    /// A value `[rows, width]` that the host writes before a run: the persistent tensor `name`.
    pub fn given(&mut self, name: &str, rows: usize, width: usize) -> Value {
        let data = self.builder.persistent(Role::Transfer, name, [rows, width]);
        self.value(data, rows, width)
    }

    /// The elements of a value.
    pub fn data(&self, value: Value) -> Slice {
        self.values[value.0].data
    }

    /// Rows and width of a value.
    pub fn shape(&self, value: Value) -> (usize, usize) {
        (self.values[value.0].rows, self.values[value.0].width)
    }

    /// Puts an operation on the tape.
    pub fn record(&mut self, operation: impl Operation + 'static) {
        self.tape.push(Box::new(operation));
    }

    /// The gradient of a value, once every operation that uses it has contributed. A backward rule may change what it holds.
    ///
    /// # Panics
    ///
    /// If none has.
    pub fn gradient(&self, value: Value) -> Slice {
        let info = &self.values[value.0];
        assert!(
            info.written,
            "no operation has written the gradient of value {}",
            value.0
        );
        info.gradient.expect("written")
    }

    /// Where to write a contribution to the gradient of a value, and whether to add to what is there.
    pub fn contribute(&mut self, value: Value) -> (Slice, bool) {
        let ValueInfo {
            rows,
            width,
            gradient,
            written,
            ..
        } = self.values[value.0];
        let slice = match gradient {
            Some(slice) => slice,
            None => self
                .builder
                .stored(&format!("gradient.value.{}", value.0), [rows, width]),
        };
        let info = &mut self.values[value.0];
        info.gradient = Some(slice);
        info.written = true;
        (slice, written)
    }

    /// Has the gradient of a value written to a place that another operation reads.
    fn place_gradient(&mut self, value: Value, slice: Slice) {
        let info = &mut self.values[value.0];
        assert!(
            info.gradient.is_none(),
            "the gradient of value {} has a place already",
            value.0
        );
        assert_eq!(
            slice.len, info.data.len,
            "size of the gradient of value {}",
            value.0
        );
        info.gradient = Some(slice);
    }

    /// Emits the backward steps of every operation, last one first.
    pub fn backward(&mut self) {
        while let Some(operation) = self.tape.pop() {
            operation.backward(self);
        }
    }

    /// Decides the place of every buffer and checks the plan.
    pub fn finish(self) -> Plan {
        self.builder.finish()
    }
}
