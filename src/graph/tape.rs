//! Values, parameters and the tape of operations.

use super::builder::Builder;
use super::gradient::{Gradient, MicroBatch, SharedSources};
use super::memory::Limits;
use super::plan::{Plan, Role, Slice};
use crate::kernels::pointwise::copy;
use crate::tensor::names;

/// A matrix computed by the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub(super) usize);

/// A parameter of the model, as the graph uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter(pub(super) usize);

/// An operation on the tape, with everything that its backward rule needs from its forward pass.
pub trait Operation {
    /// Emits the steps that turn the gradients of its results into gradients of its operands.
    fn backward(&self, graph: &mut Graph);
}

pub(super) struct ValueInfo {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) data: Slice,
    pub(super) gradient: Option<Slice>,
    /// Whether some operation has written the gradient.
    pub(super) written: bool,
}

pub(super) struct ParameterInfo {
    pub(super) name: String,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) data: Slice,
    /// The copy that products read, in mixed precision.
    pub(super) operand: Option<Slice>,
    pub(super) gradient: Option<Gradient>,
    /// Rows of its gradient that two operations write, in adjacent columns.
    pub(super) sources: Option<SharedSources>,
}

/// Values, parameters and the tape; see the [module](super).
pub struct Graph {
    /// The tensors and steps so far.
    pub builder: Builder,
    pub(super) values: Vec<ValueInfo>,
    pub(super) parameters: Vec<ParameterInfo>,
    pub(super) tape: Vec<Box<dyn Operation>>,
    pub(super) keep_gradients: bool,
    /// The micro-batch, where the gradients of several are added up.
    pub(super) micro_batch: Option<MicroBatch>,
    pub(super) loss_scale: Option<Slice>,
    pub(super) keep_rounded: bool,
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
            micro_batch: None,
            loss_scale: None,
            keep_rounded: false,
        }
    }

    /// Keeps the gradients of parameters as persistent tensors `gradient.NAME`, for tests and inspection.
    pub fn keep_gradients(&mut self) {
        self.keep_gradients = true;
    }

    /// Keeps the `f16` copies of parameters from step to step. The update writes them: see [`Graph::rounded`]. Another plan writes
    /// them before the first step.
    pub fn keep_rounded(&mut self) {
        self.keep_rounded = true;
    }

    /// Adds up the gradients of `count` micro-batches, of which this is number `index`. They are kept as with
    /// [`Graph::keep_gradients`]: a dense gradient is added to the contents of its tensor, a sparse one is a
    /// [`Gradient::Sources`].
    pub fn add_gradients(&mut self, index: usize, count: usize) {
        self.keep_gradients = true;
        self.micro_batch = Some(MicroBatch { index, count });
    }

    /// A parameter `[rows, width]`: the persistent tensor `name`.
    pub fn parameter(&mut self, name: &str, rows: usize, width: usize) -> Parameter {
        self.parameter_in(Role::Parameter, name, rows, width)
    }

    /// The moving average `name` of a parameter `[rows, width]`, used instead of the parameter.
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

    /// The elements of a parameter as products read them: in mixed precision a copy in `f16`. Unless the graph keeps the copies,
    /// the first call emits it.
    pub fn operand(&mut self, parameter: Parameter) -> Slice {
        let info = &self.parameters[parameter.0];
        if !self.builder.is_mixed() {
            return info.data;
        }
        if let Some(operand) = info.operand {
            return operand;
        }
        let (data, name) = (info.data, names::rounded(&info.name));
        let shape = [info.rows, info.width];
        let operand = if self.keep_rounded {
            self.builder.persistent_half(Role::Rounded, &name, shape)
        } else {
            let operand = self.builder.stored(&name, shape);
            let params = copy::Params {
                len: data.len as u32,
            };
            let label = format!("round {}", info.name);
            let slices = [data, operand];
            self.builder.step(label, &copy::KERNEL, &params, &slices);
            operand
        };
        self.parameters[parameter.0].operand = Some(operand);
        operand
    }

    /// The copy of a parameter in `f16` that the update must write: in a graph that keeps the copies, if a product reads it.
    pub fn rounded(&self, parameter: Parameter) -> Option<Slice> {
        let operand = self.parameters[parameter.0].operand;
        operand.filter(|_| self.keep_rounded)
    }

    /// Rows and width of a parameter.
    pub fn extents(&self, parameter: Parameter) -> (usize, usize) {
        let info = &self.parameters[parameter.0];
        (info.rows, info.width)
    }

    /// A value `[rows, width]` with these elements, which some step writes before another reads them.
    ///
    /// # Panics
    ///
    /// If the number of elements differs.
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

    /// Records an operation on the tape.
    pub fn record(&mut self, operation: impl Operation + 'static) {
        self.tape.push(Box::new(operation));
    }

    /// Emits the backward steps of every operation, last one first.
    pub fn backward(&mut self) {
        while let Some(operation) = self.tape.pop() {
            operation.backward(self);
        }
    }

    /// Splits steps that are too large, assigns memory and checks the plan.
    pub fn finish(self) -> Plan {
        self.builder.finish()
    }
}
