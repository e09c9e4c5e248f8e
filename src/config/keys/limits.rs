//! Limits of several keys. Within these limits, no number of parameters or activations, and no number of their
//! bytes, overflows 64 bits.

use crate::config::setting::Numbers;

/// The largest embedding, hidden or projection size, factor, and number of candidates.
pub const SIZE: usize = 1 << 24;
/// The largest vocabulary, and the maximum number of tokens of a batch: shaders index with 32 bits, in some places
/// signed.
pub const INDEX: usize = i32::MAX as usize;
/// The largest count of steps or epochs: the largest integer of TOML.
pub const COUNT: u64 = i64::MAX as u64;

/// Devices compute in `f32`, in which smaller numbers become 0 and larger numbers infinite.
pub(super) const SINGLE: Numbers = Numbers {
    allowed: "0, or a number from 1e-37 to 1e38",
    contains: |x| x == 0.0 || (1e-37..=1e38).contains(&x),
};
