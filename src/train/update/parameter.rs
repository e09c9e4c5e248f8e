//! A parameter and its gradient, as the update sees them.

use crate::graph::Gradient;
use crate::graph::plan::Slice;
use crate::model::parameters::{Group, ParameterSpec};

/// The update of one parameter.
pub(super) struct ParameterUpdate {
    /// The name of the parameter.
    pub name: String,
    /// Its elements.
    pub weight: Slice,
    /// Elements of a row.
    pub width: usize,
    /// Its copy in `f16`, if the update writes it.
    pub rounded: Option<Slice>,
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

/// The group of a parameter of the model.
///
/// # Panics
///
/// If the table does not have it.
pub(super) fn group_of(table: &[ParameterSpec], name: &str) -> Group {
    let line = table.iter().find(|line| line.name == name);
    line.unwrap_or_else(|| panic!("the model has no parameter `{name}`"))
        .group
}
