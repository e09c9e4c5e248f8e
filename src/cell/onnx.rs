//! How a cell writes ONNX nodes; implemented by `interchange`.

use crate::error::Result;

/// An attribute of an ONNX node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// An integer: its name and its value.
    Int(&'static str, i64),
    /// A list of integers.
    Ints(&'static str, &'a [i64]),
}

/// A layer of an ONNX graph of one step, as a cell sees it. Names of values are prefixed with the layer.
pub trait OnnxLayer {
    /// The name of the layer's input `x [B, I]`.
    fn x(&self) -> String;

    /// The name of the layer's recurrent input `h [B, P]`.
    fn h(&self) -> String;

    /// Adds the gate parameter `name` with its values; returns its name in the graph.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks it.
    fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<String>;

    /// Adds a constant list of integers; returns its name in the graph.
    fn integers(&mut self, name: &str, values: &[i64]) -> String;

    /// Adds a node with one result; returns the name of the result in the graph.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        result: &str,
        attributes: &[Attribute<'_>],
    ) -> String;
}
