//! Means and standard deviations.

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

/// The standard error of the difference of the means of two samples: `sqrt(s1^2 / n1 + s2^2 / n2)` with their standard
/// deviations. `None` if one has fewer than two values.
pub fn standard_error(one: &[f64], other: &[f64]) -> Option<f64> {
    let part = |values: &[f64]| Some(deviation(values)?.powi(2) / values.len() as f64);
    Some((part(one)? + part(other)?).sqrt())
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
        let error = standard_error(&values, &[1.0, 3.0]).unwrap();
        assert!((error - (32.0_f64 / 56.0 + 2.0 / 2.0).sqrt()).abs() < 1e-15);
        assert_eq!(standard_error(&values, &[1.0]), None);
    }
}
