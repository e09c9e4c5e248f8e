//! The scale of an axis: coordinates, grid lines and numbers.

use super::axis::{Axis, Unit};
use crate::numbers::grouped;

/// Maps the values of an axis to coordinates.
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Coordinate of `low`.
    pub(super) from: f64,
    /// Coordinate of `high`.
    pub(super) to: f64,
    is_log: bool,
    unit: Unit,
}

/// The largest number of grid lines. The rules below give about eight.
const MAX_TICKS: usize = 16;

/// Larger than the number of powers of ten that are finite `f64`s.
const MAX_POWERS: usize = 700;

/// Values of a linear axis are limited to this, so that their differences are finite.
const MAX_LINEAR: f64 = 1e300;

impl Scale {
    /// Maps values from `low` to `high`, with some space around them, to coordinates from `from` to `to`. The values are
    /// finite, on a logarithmic axis positive.
    pub(super) fn new(axis: &Axis, low: f64, high: f64, from: f64, to: f64) -> Scale {
        // Without points there is still a frame.
        let (mut low, mut high) = if low <= high {
            (low, high)
        } else if axis.is_log {
            (1.0, 10.0)
        } else {
            (0.0, 1.0)
        };
        if axis.from_zero {
            low = low.min(0.0);
        }
        if axis.is_log {
            // The quotient and the products may overflow.
            let margin = (0.04 * (high.ln() - low.ln())).exp().max(1.02);
            low = (low / margin).max(f64::MIN_POSITIVE);
            high = (high * margin).max(low * 1.02).min(f64::MAX);
        } else {
            low = low.clamp(-MAX_LINEAR, MAX_LINEAR);
            high = high.clamp(-MAX_LINEAR, MAX_LINEAR);
            // Differences below the displayed precision count as zero.
            let margin = if high - low > 1e-12 * high.abs().max(low.abs()).max(1e-290) {
                0.03 * (high - low)
            } else {
                high.abs().max(1.0) * 0.1
            };
            high += margin;
            if !axis.from_zero {
                low -= margin;
            }
        }
        Scale {
            low,
            high,
            from,
            to,
            is_log: axis.is_log,
            unit: axis.unit,
        }
    }

    /// Coordinate of a value.
    pub(super) fn coordinate(&self, value: f64) -> f64 {
        let fraction = if self.is_log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value.clamp(-MAX_LINEAR, MAX_LINEAR) - self.low) / (self.high - self.low)
        };
        self.from + fraction.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn contains(&self, value: &f64) -> bool {
        (self.low..=self.high).contains(value)
    }

    /// Round values for grid lines, about four to eight.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            for digits in [
                &[1.0][..],
                &[1.0, 3.0],
                &[1.0, 2.0, 5.0],
                &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            ] {
                let of = |decade: i32| digits.iter().map(move |d| d * 10f64.powi(decade));
                let ticks: Vec<f64> = decades.clone().flat_map(of).collect();
                let ticks: Vec<f64> = ticks
                    .into_iter()
                    .filter(|tick| self.contains(tick))
                    .collect();
                if ticks.len() >= 4 {
                    let every = ticks.len().div_ceil(8);
                    return ticks.into_iter().step_by(every).collect();
                }
            }
        }
        let steps: &[f64] = match self.unit {
            Unit::Number => &[1.0, 2.0, 5.0, 10.0],
            Unit::Seconds => &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0],
        };
        // Times above a minute have steps of sixties.
        let (span, mut unit) = (self.high - self.low, 1.0);
        let base = match self.unit {
            Unit::Seconds if span > 120.0 => 60.0,
            _ => 10.0,
        };
        for _ in 0..MAX_POWERS {
            if span / unit > 6.0 * base {
                unit *= base;
            } else if span / unit < 6.0 && base == 10.0 {
                unit /= base;
            } else {
                break;
            }
        }
        let steps = steps.iter().map(|step| step * unit);
        let step = steps.into_iter().find(|step| span / step <= 7.0);
        let step = step.unwrap_or(span / 5.0);
        let first = (self.low / step).ceil();
        let ticks = (0..MAX_TICKS).map(|k| (first + k as f64) * step);
        ticks.take_while(|tick| *tick <= self.high).collect()
    }

    /// A value as text, in the unit of the axis.
    pub(super) fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Seconds => {
                let span = self.high - self.low;
                match value {
                    0.0 => "0".to_owned(),
                    value if span < 120.0 => format!("{} s", short(value)),
                    // Ticks can be less than a minute apart.
                    value if span < 600.0 => {
                        format!("{}:{:02.0}", (value / 60.0).floor(), value % 60.0)
                    }
                    value if span < 7200.0 => format!("{} min", short(value / 60.0)),
                    value => format!("{} h", short(value / 3600.0)),
                }
            }
            Unit::Number => short(value),
        }
    }
}

/// A number with three significant digits and the suffix k, M or G, or an exponent.
pub(super) fn short(value: f64) -> String {
    if value.abs() >= 999.5e9 {
        return format!("{value:.2e}");
    }
    let (scaled, letter) = match value.abs() {
        v if v >= 999.5e6 => (value / 1e9, "G"),
        v if v >= 999.5e3 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 || v == 0.0 => 2,
        v if v >= 0.01 => 3,
        v if v >= 0.001 => 4,
        _ => return format!("{scaled:.2e}{letter}"),
    };
    if letter.is_empty() && value >= 1000.0 {
        return grouped(value.round() as u64);
    }
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (range, unit, is_log) in [
            ((0.0, 100.0), Unit::Number, false),
            ((0.0, 1.7e6), Unit::Number, false),
            ((0.0, 477.0), Unit::Number, false),
            ((0.0, 61_000.0), Unit::Number, false),
            ((1.2, 1.9), Unit::Number, true),
            ((1.5, 700.0), Unit::Number, true),
            ((0.0, 61.0), Unit::Seconds, false),
            ((0.0, 600.0), Unit::Seconds, false),
            ((0.0, 90_000.0), Unit::Seconds, false),
        ] {
            let axis = Axis {
                is_log,
                ..Axis::linear("", unit)
            };
            let scale = Scale::new(&axis, range.0, range.1, 0.0, 1.0);
            let ticks = scale.ticks();
            let texts: Vec<String> = ticks.iter().map(|tick| scale.text(*tick)).collect();
            assert!((3..=8).contains(&ticks.len()), "{range:?}: {texts:?}");
            assert!(
                is_log || texts.iter().all(|text| text.len() <= 7),
                "{texts:?}"
            );
            let mut distinct = texts.clone();
            distinct.dedup();
            assert_eq!(distinct, texts);
        }
    }

    /// The metrics of a diverging run reach the largest finite numbers, and a metrics file can contain any number.
    #[test]
    fn all_finite_numbers_have_few_ticks() {
        let mut numbers = vec![
            0.0,
            5e-324,
            1e-300,
            1e-17,
            0.1,
            1.0,
            1.0 + 1e-15,
            400.0,
            1e17,
        ];
        numbers.extend([
            1e280,
            1e290,
            1e294,
            1e297,
            1e298,
            1e300,
            1e305,
            1e308,
            f64::MAX,
        ]);
        let negative: Vec<f64> = numbers.iter().map(|number| -number).collect();
        numbers.extend(negative);
        for unit in [Unit::Number, Unit::Seconds] {
            for is_log in [false, true] {
                for from_zero in [false, true] {
                    let axis = Axis {
                        is_log,
                        from_zero,
                        ..Axis::linear("", unit)
                    };
                    let valid = |number: &&f64| !is_log || (**number > 0.0 && !from_zero);
                    for &low in numbers.iter().filter(valid) {
                        for &high in numbers.iter().filter(|high| **high >= low) {
                            let scale = Scale::new(&axis, low, high, 0.0, 1.0);
                            let ticks = scale.ticks();
                            assert!(ticks.len() <= MAX_TICKS, "{low} {high}: {ticks:?}");
                            let (from, to) = (scale.coordinate(low), scale.coordinate(high));
                            assert!((0.0..=1.0).contains(&from), "{low} {high}: {from}");
                            assert!((from..=1.0).contains(&to), "{low} {high}: {to}");
                            for tick in ticks {
                                assert!(tick.is_finite(), "{low} {high}: {tick}");
                                let text = scale.text(tick);
                                assert!(text.len() <= 14, "{low} {high}: {text}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let found = [
            0.0, 0.5, 0.05, 0.0025, 1.0, 12.34, 999.0, 1000.0, 9999.0, 12_000.0, 3.4e6, 2e9, 1e298,
            1e-4,
        ]
        .map(short);
        let expected = [
            "0", "0.5", "0.05", "0.0025", "1", "12.3", "999", "1,000", "9,999", "12k", "3.4M",
            "2G", "1.00e298", "1.00e-4",
        ];
        assert_eq!(found, expected);
    }
}
