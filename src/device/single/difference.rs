//! The difference between the results of a case and the reference.

use std::fmt;

use crate::kernel::{Access, Case, Halves, Kernel};
use crate::real::Real;

/// The largest error against the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The binding.
    pub binding: &'static str,
    /// The index of the element in its slice.
    pub element: usize,
    /// The computed value.
    pub got: f64,
    /// The reference value.
    pub want: f64,
    /// See [`Case::error`]; NaN if the reference is not finite.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Difference {
    /// Whether the error is within the tolerance. NaN is not.
    pub fn is_tolerable(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}[{}] is {}, and the reference is {}: error {:.3e}, tolerance {:.3e}",
            self.binding, self.element, self.got, self.want, self.error, self.tolerance
        )
    }
}

/// The value as stored: in `f16`, infinity if it rounds beyond the largest finite number.
pub fn as_stored(value: f64, half: bool) -> f64 {
    if half && value.abs() >= 65_520.0 {
        value.signum() * f64::INFINITY
    } else {
        value
    }
}

/// The largest difference over all written bindings, as a share of its tolerance; `None` if all are exact.
/// Bindings in `halves` are compared with the tolerance of `f16`.
///
/// # Panics
///
/// If the numbers of elements differ.
pub fn compare<R: Real>(
    kernel: &Kernel,
    case: &Case,
    got: &[Vec<R>],
    want: &[Vec<f64>],
    halves: Halves,
) -> Option<Difference> {
    let mut worst: Option<Difference> = None;
    for (k, (binding, (got, want))) in kernel.bindings.iter().zip(got.iter().zip(want)).enumerate()
    {
        let tolerance = if halves.has(k) {
            case.tolerance_of_half()
        } else {
            case.tolerance()
        };
        assert_eq!(got.len(), want.len(), "{}: {}", kernel.name, binding.name);
        if binding.access == Access::Read {
            continue;
        }
        for (element, (got, &want)) in got.iter().zip(want).enumerate() {
            let got = got.to_f64();
            let want = as_stored(want, halves.has(k));
            // Also covers equal infinities, whose difference is NaN.
            if got == want {
                continue;
            }
            let error = if want.is_finite() {
                case.error(got, want)
            } else {
                f64::NAN
            };
            let worse = match &worst {
                None => true,
                Some(worst) => {
                    let excess = error / tolerance > worst.error / worst.tolerance;
                    !worst.error.is_nan() && (error.is_nan() || excess)
                }
            };
            if worse {
                worst = Some(Difference {
                    binding: binding.name,
                    element,
                    got,
                    want,
                    error,
                    tolerance,
                });
            }
        }
    }
    worst
}
