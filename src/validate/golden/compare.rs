//! Differences between computed values and those of a golden file.

use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// The largest errors allowed, relative to the largest magnitude in each tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// For losses.
    pub loss: f64,
    /// For everything else.
    pub rest: f64,
}

impl Tolerance {
    /// For `f64`.
    pub const DOUBLE: Tolerance = Tolerance {
        loss: 1e-9,
        rest: 1e-9,
    };
    /// For `f32`.
    pub const SINGLE: Tolerance = Tolerance {
        loss: 2e-5,
        rest: 1e-4,
    };
    /// For mixed precision: `f16` has 11 significant bits.
    pub const MIXED: Tolerance = Tolerance {
        loss: 2e-3,
        rest: 5e-2,
    };
}

/// The largest error in one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The tensor, for example `2.grad.layers.0.gates.bias`: the step, counted from 0, and the name in the file.
    pub tensor: String,
    /// The index of the element.
    pub element: usize,
    /// The computed value.
    pub got: f64,
    /// The value in the file.
    pub want: f64,
    /// `|got - want|` relative to the largest magnitude in the tensor.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Difference {
    /// Finds the largest error of `got` against `want`. A NaN counts as the largest.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub(super) fn largest(tensor: &str, got: &[f64], want: &[f64], tolerance: f64) -> Difference {
        assert_eq!(got.len(), want.len(), "length of {tensor}");
        let scale = want
            .iter()
            .fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
        let mut worst = (0.0, 0);
        for (k, (got, want)) in got.iter().zip(want).enumerate() {
            let error = (got - want).abs() / scale;
            // Once `worst` is NaN no comparison replaces it.
            if error.is_nan() || error > worst.0 {
                worst = (error, k);
            }
        }
        let (error, element) = worst;
        Difference {
            tensor: tensor.to_owned(),
            element,
            got: got[element],
            want: want[element],
            error,
            tolerance,
        }
    }

    /// Whether the error is within the tolerance. NaN is not.
    pub fn is_tolerable(&self) -> bool {
        self.error <= self.tolerance
    }

    /// The error as a share of its tolerance.
    fn share_of_tolerance(&self) -> f64 {
        if self.error.is_nan() {
            f64::INFINITY
        } else {
            self.error / self.tolerance
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}[{}] is {}, and the reference is {}: relative error {:.2e}, tolerance {:.2e}",
            self.tensor, self.element, self.got, self.want, self.error, self.tolerance
        )
    }
}

/// The difference that is largest as a share of its tolerance.
pub fn worst(differences: &[Difference]) -> Option<&Difference> {
    differences
        .iter()
        .max_by(|x, y| x.share_of_tolerance().total_cmp(&y.share_of_tolerance()))
}

/// Checks that every difference is within its tolerance.
///
/// # Errors
///
/// [`Kind::Mismatch`], listing each difference that is not.
pub fn judge(name: &str, differences: &[Difference]) -> Result<()> {
    let wrong: Vec<String> = differences
        .iter()
        .filter(|difference| !difference.is_tolerable())
        .map(Difference::to_string)
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("{name}: {}", wrong.join("\n"));
    Err(Error::new(Kind::Mismatch, message))
}
