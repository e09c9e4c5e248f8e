//! Names, shapes and element types of tensors. This module stores no elements.
//!
//! Letters used for sizes everywhere: `B` batch, `T` unroll, `V` vocabulary, `E` embedding, `P` projection,
//! `H` hidden (cells), `I` input of a layer, `r` factor, `G` groups, `S` sampled candidates. The rows of a
//! batch are time-major: row `t*B + b` is stream `b` at time `t`.

use std::fmt;

pub mod names;

/// The type of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// A real number: `f32` on every device, `f64` in the reference executor.
    Real,
    /// A real number that devices store in `f16`; kernels compute with it in `f32`. The CPU executor stores it in `f32`, rounded
    /// to a value of `f16`; the reference executor does not round.
    Half,
    /// An index, a count or random bits: `u32`.
    Index,
}

/// The extents of a tensor, row-major, the last one contiguous.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Shape {
        Shape(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (k, extent) in self.0.iter().enumerate() {
            write!(f, "{}{extent}", if k == 0 { "" } else { ", " })?;
        }
        write!(f, "]")
    }
}
