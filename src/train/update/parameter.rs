//! A parameter and its gradient, as the update sees them.

use crate::graph::Gradient;
use crate::graph::plan::Slice;
use crate::model::parameters::Group;

/// The update of one parameter.
pub(super) struct ParameterUpdate {
    /// The name of the parameter.
    pub name: String,
    /// Its elements.
    pub weight: Slice,
    /// Elements of a row.
    pub width: usize,
    /// Its gradient.
    pub gradient: Gradient,
    /// Whether it belongs to a recurrent layer or to a table.
    pub group: Group,
    /// Whether its gradient is clipped.
    pub clipped: bool,
}

impl ParameterUpdate {
    /// The rows of the parameter.
    pub fn rows(&self) -> usize {
        self.weight.len / self.width
    }
}
