//! Which bindings of a step are 16-bit.

use super::binding::{Binding, MAX_BINDINGS};
use crate::tensor::Dtype;

/// The bytes of one element of each binding.
pub type ElementSizes = [u64; MAX_BINDINGS];

/// The set of bindings of a step that are of [`Dtype::Half`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Halves(u8);

impl Halves {
    /// No binding.
    pub const NONE: Halves = Halves(0);

    /// The bindings that are halves, from the types of all bindings in order.
    pub fn of(dtypes: impl IntoIterator<Item = Dtype>) -> Halves {
        let bits = dtypes.into_iter().enumerate();
        Halves(bits.fold(0, |bits, (k, dtype)| {
            bits | u8::from(dtype == Dtype::Half) << k
        }))
    }

    /// Every binding that may be a half.
    pub fn all(bindings: &[Binding]) -> Halves {
        Halves::of(bindings.iter().map(|binding| {
            if binding.half {
                Dtype::Half
            } else {
                binding.dtype
            }
        }))
    }

    /// The same set without binding `k`.
    pub fn without(self, k: usize) -> Halves {
        Halves(self.0 & !(1 << k))
    }

    /// Whether binding `k` is a half.
    pub fn has(self, k: usize) -> bool {
        self.0 >> k & 1 != 0
    }

    /// Whether no binding is a half.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bytes of one element of each binding on a device.
    pub fn element_sizes(self) -> ElementSizes {
        std::array::from_fn(|k| if self.has(k) { 2 } else { 4 })
    }
}
