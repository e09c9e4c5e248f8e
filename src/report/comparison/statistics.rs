//! Means, standard deviations, and Welch's t-test.

use std::f64::consts::FRAC_PI_2;

/// The confidence of [`MeanDifference::margin`].
const CONFIDENCE: f64 = 0.95;

/// The mean; NaN without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation, with `n - 1` in the denominator. `None` for fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The uncertainty of the difference of the means of two samples of size `n1` and `n2` with the standard deviations `s1` and `s2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanDifference {
    /// `sqrt(s1^2 / n1 + s2^2 / n2)`.
    pub standard_error: f64,
    /// Degrees of freedom by Welch and Satterthwaite:
    /// `(s1^2 / n1 + s2^2 / n2)^2 / ((s1^2 / n1)^2 / (n1 - 1) + (s2^2 / n2)^2 / (n2 - 1))`.
    pub degrees: f64,
}

impl MeanDifference {
    /// For two samples. `None` if one has fewer than two values.
    pub fn of(one: &[f64], other: &[f64]) -> Option<MeanDifference> {
        let part = |values: &[f64]| Some(deviation(values)?.powi(2) / values.len() as f64);
        let (first, second) = (part(one)?, part(other)?);
        let sum = first + second;
        let free = |values: &[f64]| (values.len() - 1) as f64;
        let degrees = if sum > 0.0 {
            // Of the shares, as squares of small numbers may be 0.
            let (first, second) = (first / sum, second / sum);
            1.0 / (first.powi(2) / free(one) + second.powi(2) / free(other))
        } else {
            free(one) + free(other)
        };
        Some(MeanDifference {
            standard_error: sum.sqrt(),
            degrees,
        })
    }

    /// A difference above it is significant in a two-sided test at 5 %.
    pub fn margin(&self) -> f64 {
        quantile(self.degrees) * self.standard_error
    }
}

/// The number that the absolute value of a variable with Student's t-distribution exceeds with a probability of 5 %, for `degrees` of
/// freedom, at least 1.
///
/// With `t = sqrt(degrees) tan(angle)`, the density of the angle is proportional to `cos(angle)^(degrees - 1)`. The sums over
/// intervals of the angle have a relative error below 1e-4.
fn quantile(degrees: f64) -> f64 {
    const INTERVALS: usize = 20_000;
    let width = FRAC_PI_2 / INTERVALS as f64;
    let density = |k: usize| ((k as f64 + 0.5) * width).cos().powf(degrees - 1.0);
    let goal = CONFIDENCE * (0..INTERVALS).map(density).sum::<f64>();
    let (mut sum, mut angle) = (0.0, 0.0);
    for k in 0..INTERVALS {
        let next = density(k);
        if sum + next >= goal {
            angle = (k as f64 + (goal - sum) / next) * width;
            break;
        }
        sum += next;
    }
    degrees.sqrt() * angle.tan()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_samples() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), 5.0);
        // The squares add up to 32.
        assert_eq!(deviation(&values), Some((32.0_f64 / 7.0).sqrt()));
        assert_eq!(deviation(&values[..1]), None);
        let found = MeanDifference::of(&values, &[1.0, 3.0]).unwrap();
        let parts = [32.0_f64 / 56.0, 2.0 / 2.0];
        let error = (parts[0] + parts[1]).sqrt();
        assert!((found.standard_error - error).abs() < 1e-15);
        let degrees = error.powi(4) / (parts[0].powi(2) / 7.0 + parts[1].powi(2) / 1.0);
        assert!((found.degrees - degrees).abs() < 1e-12);
        assert_eq!(MeanDifference::of(&values, &[1.0]), None);
        // Equal samples of equal values.
        let none = MeanDifference::of(&[3.0, 3.0], &[4.0, 4.0]).unwrap();
        assert_eq!((none.margin(), none.degrees), (0.0, 2.0));
    }

    /// Against tables of Student's t-distribution. 1.5 degrees have no entry; a value between those of 1 and 2 is expected.
    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, want) in [
            (1.0, 12.7062),
            (2.0, 4.302_65),
            (3.0, 3.182_45),
            (4.0, 2.776_45),
            (5.0, 2.570_58),
            (10.0, 2.228_14),
            (30.0, 2.042_27),
            (120.0, 1.979_93),
            (1000.0, 1.962_34),
        ] {
            let found = quantile(degrees);
            assert!(
                (found / want - 1.0).abs() < 1e-4,
                "{degrees}: {found}, not {want}"
            );
        }
        assert!(quantile(1.5) < quantile(1.2) && quantile(1.5) > quantile(2.0));
    }
}
