//! The declaration of a cell, and the cell of a layer.

use std::fmt;

use super::layout::ColumnLayout;
use super::onnx::OnnxLayer;
use crate::error::Result;
use crate::graph::Parameter;
use crate::graph::operations::layer::Gates;
use crate::tensor::Shape;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSizes {
    /// `I`, the size of the layer's input.
    pub input: usize,
    /// `H`, the number of memory cells.
    pub hidden: usize,
    /// `P`, the size of the layer's output; `H` without a projection.
    pub output: usize,
}

/// One of the sizes of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// `I`.
    Input,
    /// `H`.
    Hidden,
    /// `P`.
    Output,
}

/// A parameter of the gates.
#[derive(Clone, Debug, PartialEq)]
pub struct GateParameter {
    /// The last part of its name, `weight` for `layers.0.gates.weight`.
    pub name: &'static str,
    /// Its shape in files, as letters for the documentation.
    pub extents: &'static str,
    /// Its shape in files. The last two extents are those of the matrix that the Glorot limit is computed
    /// from.
    pub shape: Shape,
    /// The order of its columns on devices.
    pub layout: ColumnLayout,
}

/// Why a cell cannot have the sizes of its layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The size of the layer that is wrong.
    pub dimension: Dimension,
    /// The problem, worded to follow "layer K": `has 3 groups, which do not divide its input`.
    pub reason: String,
    /// How to fix it.
    pub help: &'static str,
}

/// The configuration key that sets the size of a cell: a positive integer, or a list with one integer for each
/// layer.
#[derive(Debug, PartialEq, Eq)]
pub struct SizeKey {
    /// The key with its section, `model.factor`.
    pub key: &'static str,
    /// The letter of the size in shapes.
    pub letter: &'static str,
    /// The default, as TOML.
    pub default: &'static str,
    /// The documentation of the key.
    pub doc: &'static str,
    /// A value for examples: `flstm:factor=64`.
    pub example: usize,
    /// Sizes must be below this value, so that devices can dispatch the kernels.
    pub dispatch_limit: usize,
    /// The sizes that `wlstm bench` times, with the names of the cells there.
    pub bench: &'static [(&'static str, usize)],
}

impl SizeKey {
    /// The largest size that a configuration may ask for.
    pub const MAX: usize = 1 << 24;

    /// The key without its section, `factor`.
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }
}

/// The declaration of a cell. See the [module](crate::cell) for what a cell is.
pub trait CellKind: Sync {
    /// The name in the configuration.
    fn name(&self) -> &'static str;

    /// One line for help.
    fn doc(&self) -> &'static str;

    /// The key of the cell's size, if the cell has one. Otherwise the `size` of the methods below is 0.
    fn size_key(&self) -> Option<&'static SizeKey> {
        None
    }

    /// The gate parameters in the order of computation, without the bias `[4H]` that every cell has.
    fn parameters(&self, size: usize, sizes: &LayerSizes) -> Vec<GateParameter>;

    /// How the graph computes the gates. `parameter` returns the gate parameter with a name.
    fn gates(&self, size: usize, parameter: &dyn Fn(&str) -> Parameter) -> Gates;

    /// Checks the cell's size against those of its layer.
    ///
    /// # Errors
    ///
    /// A [`Violation`] for the first size that does not fit.
    fn check(&self, _size: usize, _sizes: &LayerSizes) -> std::result::Result<(), Violation> {
        Ok(())
    }

    /// Whether the backward pass joins input and recurrent input in one tensor `[T*B, I+P]`.
    fn joins_inputs(&self, _size: usize) -> bool {
        false
    }

    /// Whether the gates are one dense product: only such a cell can be factorized, or loaded by `torch.nn.LSTM`.
    fn is_dense(&self) -> bool {
        false
    }

    /// The cell with which `wlstm train` suggests to compare this one.
    fn proposed(&self) -> &'static str {
        "lstmp"
    }

    /// Emits the ONNX nodes that compute the gate pre-activations without bias `[B, 4H]` from `x` and `h`, with the
    /// gates in four blocks. Returns the name of the result, `layer.name("product")`.
    ///
    /// # Errors
    ///
    /// Those of [`OnnxLayer::parameter`].
    fn onnx(&self, size: usize, sizes: &LayerSizes, layer: &mut dyn OnnxLayer) -> Result<String>;
}

/// The cell of a layer: its kind, and its size where the kind has one.
#[derive(Clone, Copy)]
pub struct Cell {
    kind: &'static dyn CellKind,
    size: usize,
}

impl Cell {
    /// A cell of this kind; `size` is 0 for a kind without [`CellKind::size_key`].
    pub fn new(kind: &'static dyn CellKind, size: usize) -> Cell {
        Cell { kind, size }
    }

    /// The declaration.
    pub fn kind(&self) -> &'static dyn CellKind {
        self.kind
    }

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The size, if it is set by this key.
    pub fn size_of(&self, key: &SizeKey) -> Option<usize> {
        let is_own = self.kind.size_key().is_some_and(|own| own.key == key.key);
        is_own.then_some(self.size)
    }

    /// See [`CellKind::parameters`].
    pub fn parameters(&self, sizes: &LayerSizes) -> Vec<GateParameter> {
        self.kind.parameters(self.size, sizes)
    }

    /// See [`CellKind::gates`].
    pub fn gates(&self, parameter: &dyn Fn(&str) -> Parameter) -> Gates {
        self.kind.gates(self.size, parameter)
    }

    /// See [`CellKind::check`].
    ///
    /// # Errors
    ///
    /// A [`Violation`] for the first size that does not fit.
    pub fn check(&self, sizes: &LayerSizes) -> std::result::Result<(), Violation> {
        self.kind.check(self.size, sizes)
    }

    /// See [`CellKind::joins_inputs`].
    pub fn joins_inputs(&self) -> bool {
        self.kind.joins_inputs(self.size)
    }

    /// See [`CellKind::is_dense`].
    pub fn is_dense(&self) -> bool {
        self.kind.is_dense()
    }

    /// See [`CellKind::onnx`].
    ///
    /// # Errors
    ///
    /// Those of [`OnnxLayer::parameter`].
    pub fn onnx(&self, sizes: &LayerSizes, layer: &mut dyn OnnxLayer) -> Result<String> {
        self.kind.onnx(self.size, sizes, layer)
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Cell) -> bool {
        (self.name(), self.size) == (other.name(), other.size)
    }
}

impl Eq for Cell {}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.size_key() {
            Some(key) => write!(f, "{}:{}={}", self.name(), key.name(), self.size),
            None => f.write_str(self.name()),
        }
    }
}
