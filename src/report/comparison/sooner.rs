//! The relative time in which a model reaches the best validation of another one.

use super::measure::{Measure, measure};
use crate::metrics::Valid;
use crate::report::run::RunData;

/// The training time at which `run` first reached the best validation of `first`, divided by the time at which `first` reached it.
/// `None` if it never did, or if the two cannot be compared: lower bounds of bits per byte cannot, nor validations on different parts of
/// the text. `is_on_same_tokens`: whether both predict the same tokens, so that perplexities are compared.
///
/// Only the validations of the curves count, which all have the same targets. Between two validations the mean loss is interpolated
/// linearly over the training time. If the first validation is good enough, its time counts.
pub fn sooner(first: &RunData, run: &RunData, is_on_same_tokens: bool) -> Option<f64> {
    let measure = match measure(&first.config.data, &run.config.data).ok()? {
        _ if is_on_same_tokens => Measure::Perplexity,
        measure => measure,
    };
    let (baseline, curve) = (curve(first, measure), curve(run, measure));
    let is_on_same_part = match measure {
        Measure::Perplexity => targets(first) == targets(run),
        Measure::BitsPerByte => are_close(bytes(first)?, bytes(run)?),
    };
    if !is_on_same_part {
        return None;
    }
    let goal = baseline.iter().map(|point| point.loss);
    let goal = goal.min_by(f64::total_cmp)?;
    let share = time_to(&curve, goal)? / time_to(&baseline, goal)?;
    share.is_finite().then_some(share)
}

/// A validation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// Seconds of training.
    seconds: f64,
    /// What is compared, lower is better: the mean loss of a target, or bits per byte.
    loss: f64,
}

/// The number of targets of the validations of the curve.
fn targets(run: &RunData) -> Option<u64> {
    run.curve().next().map(|valid| valid.targets)
}

/// The bytes of the targets of the validations of the curve.
fn bytes(run: &RunData) -> Option<u64> {
    run.curve().next()?.bytes
}

/// Whether two numbers of bytes differ by at most 1 %. In a whole text, only the first token is a target of some models and not of
/// others.
fn are_close(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one / 100
}

fn curve(run: &RunData, measure: Measure) -> Vec<Point> {
    let point = |valid: &Valid| {
        let loss = match measure {
            Measure::Perplexity => valid.nll / valid.targets as f64,
            Measure::BitsPerByte if valid.is_lower_bound() => return None,
            Measure::BitsPerByte => valid.bits_per_byte?,
        };
        let seconds = valid.seconds;
        (loss.is_finite() && seconds.is_finite()).then_some(Point { seconds, loss })
    };
    run.curve().filter_map(point).collect()
}

/// The time at which a curve first reaches `goal`.
fn time_to(curve: &[Point], goal: f64) -> Option<f64> {
    let at = curve.iter().position(|point| point.loss <= goal)?;
    let now = curve[at];
    let Some(before) = at.checked_sub(1).map(|before| curve[before]) else {
        return Some(now.seconds);
    };
    let share = (before.loss - goal) / (before.loss - now.loss);
    Some(before.seconds + share * (now.seconds - before.seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(all: &[(f64, f64)]) -> Vec<Point> {
        let point = |&(seconds, loss)| Point { seconds, loss };
        all.iter().map(point).collect()
    }

    #[test]
    fn parts_of_a_text_are_told_by_their_bytes() {
        assert!(are_close(53_000, 52_995) && are_close(1000, 1010));
        assert!(!are_close(53_000, 26_000) && !are_close(1000, 1011) && !are_close(5, 0));
    }

    #[test]
    fn times_are_interpolated_between_validations() {
        let curve = points(&[(10.0, 6.0), (20.0, 5.0), (30.0, 5.5), (40.0, 4.0)]);
        for (goal, time) in [
            (7.0, Some(10.0)),
            (6.0, Some(10.0)),
            (5.25, Some(17.5)),
            (5.0, Some(20.0)),
            (4.75, Some(35.0)),
            (4.0, Some(40.0)),
            (3.9, None),
        ] {
            assert_eq!(time_to(&curve, goal), time, "{goal}");
        }
        assert_eq!(time_to(&[], 4.0), None);
    }
}
