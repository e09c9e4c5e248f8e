//! The contents of the bindings of a case.

use half::f16;

use crate::digest::Fnv1a;
use crate::kernel::{Case, Fill, Halves, Kernel};
use crate::random::{Purpose, Stream};

/// The contents of one binding.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// Real numbers.
    Real(Vec<f32>),
    /// Indices.
    Index(Vec<u32>),
}

impl Contents {
    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        match self {
            Contents::Real(values) => values.len(),
            Contents::Index(values) => values.len(),
        }
    }
}

/// The contents of each binding before a case runs; determined by kernel, case and seed.
pub fn fill(kernel: &Kernel, case: &Case, seed: u64) -> Vec<Contents> {
    // Different cases get different numbers.
    let name = Fnv1a::of(kernel.name.bytes().chain(case.label.bytes()));
    let mut stream = Stream::new(seed, Purpose::Initialise, name.value());
    case.buffers
        .iter()
        .map(|fill| match fill {
            Fill::Uniform { len, low, high } => {
                let width = f64::from(*high) - f64::from(*low);
                let mut draw = || (f64::from(*low) + width * stream.uniform()) as f32;
                Contents::Real((0..*len).map(|_| draw()).collect())
            }
            Fill::Values(values) => Contents::Real(values.clone()),
            Fill::Indices(values) => Contents::Index(values.clone()),
            Fill::Output(len) => Contents::Real(vec![f32::NAN; *len]),
        })
        .collect()
}

/// Rounds the contents of the bindings in `halves` to `f16`.
pub fn rounded(mut contents: Vec<Contents>, halves: Halves) -> Vec<Contents> {
    for (k, contents) in contents.iter_mut().enumerate() {
        if let Contents::Real(values) = contents
            && halves.has(k)
        {
            for value in values {
                *value = f16::from_f32(*value).to_f32();
            }
        }
    }
    contents
}
