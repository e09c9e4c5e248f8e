//! Finds the weights with the fewest word errors by a grid search, followed by exact line searches (F. J. Och, *Minimum error
//! rate training in statistical machine translation*, 2003).

use super::Weights;
use super::errors::{Candidate, Candidates, WordErrors};

/// The largest weight of the log-probability.
const MOST_MODEL: f64 = 256.0;

/// The largest absolute value of the word bonus.
const MOST_BONUS: f64 = 128.0;

/// The maximum number of line searches along each axis.
const ROUNDS: usize = 20;

/// Weights, and the word errors of the hypotheses that are ranked first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// The weights.
    pub weights: Weights,
    /// The errors with the scores of the n-best list alone.
    pub before: WordErrors,
    /// The errors with the weights.
    pub after: WordErrors,
    /// The errors of the best hypotheses in the list (oracle), a lower bound for all weights.
    pub oracle: WordErrors,
}

impl Candidates {
    /// The errors of the hypotheses that these weights rank first.
    pub fn errors(&self, weights: Weights) -> WordErrors {
        let of_best = |candidates: &Vec<Candidate>| {
            let mut best: Option<(f64, u64)> = None;
            for one in candidates {
                let score = combined(one, weights);
                // Of equal scores the first, as in the output.
                if best.is_none_or(|(highest, _)| score > highest) {
                    best = Some((score, one.errors));
                }
            }
            best.map_or(0, |(_, errors)| errors)
        };
        self.total(self.utterances.iter().map(of_best).sum())
    }

    /// The errors with given weights.
    pub fn with(&self, weights: Weights) -> Tuned {
        Tuned {
            weights,
            before: self.errors(Weights::NONE),
            after: self.errors(weights),
            oracle: self.oracle(),
        }
    }

    /// Chooses the weights with the fewest errors.
    pub fn tune(&self) -> Tuned {
        let mut weights = self.best_of_grid();
        let mut errors = self.errors(weights).errors;
        for _ in 0..ROUNDS {
            let before = errors;
            for axis in [Axis::Model, Axis::Bonus] {
                let proposed = self.search(weights, axis);
                let found = self.errors(proposed).errors;
                if found <= errors {
                    (weights, errors) = (proposed, found);
                }
            }
            if errors == before {
                break;
            }
        }
        // Prefers weights with few digits that are as good.
        for digits in 1..=6 {
            let rounded = Weights {
                model: rounded(weights.model, digits),
                word_bonus: rounded(weights.word_bonus, digits),
            };
            if self.errors(rounded).errors <= errors {
                return self.with(rounded);
            }
        }
        self.with(weights)
    }

    /// The point of the grid with the fewest errors. Ties are broken by the errors of the neighbouring points, because an
    /// isolated minimum is likely to be specific to these utterances; then by the smallest absolute bonus; then by the smallest
    /// weight.
    fn best_of_grid(&self) -> Weights {
        let powers = |from: i32, to: i32| (from..=to).map(|k| (f64::from(k) / 2.0).exp2());
        let models: Vec<f64> = std::iter::once(0.0).chain(powers(-12, 14)).collect();
        let bonuses: Vec<f64> = powers(-4, 12).map(|x| -x).rev().collect();
        let bonuses = [bonuses, vec![0.0], powers(-4, 12).collect()].concat();
        let mut errors = vec![vec![0; bonuses.len()]; models.len()];
        for (row, &model) in errors.iter_mut().zip(&models) {
            for (found, &word_bonus) in row.iter_mut().zip(&bonuses) {
                *found = self.errors(Weights { model, word_bonus }).errors;
            }
        }
        let around = |m: usize, b: usize| -> u64 {
            let rows = m.saturating_sub(1)..=(m + 1).min(models.len() - 1);
            let columns = b.saturating_sub(1)..=(b + 1).min(bonuses.len() - 1);
            // Points beyond the edge count as the point itself.
            let own = errors[m][b];
            let missing = 9 - rows.clone().count() * columns.clone().count();
            let inside: u64 = rows
                .map(|row| errors[row][columns.clone()].iter().sum::<u64>())
                .sum();
            inside + missing as u64 * own
        };
        let mut best: Option<((u64, u64, f64, f64), Weights)> = None;
        for (m, &model) in models.iter().enumerate() {
            for (b, &word_bonus) in bonuses.iter().enumerate() {
                let key = (errors[m][b], around(m, b), word_bonus.abs(), model);
                if best.is_none_or(|(smallest, _)| key < smallest) {
                    best = Some((key, Weights { model, word_bonus }));
                }
            }
        }
        best.map_or(Weights::NONE, |(_, weights)| weights)
    }

    /// The weights with the fewest errors on the line along an axis. The number of errors changes at finitely many points,
    /// which are computed exactly. Of the intervals with the fewest errors, the one that contains the current weight is chosen,
    /// or else the longest. The new weight is a point well inside it.
    fn search(&self, weights: Weights, axis: Axis) -> Weights {
        let (low, high) = axis.range();
        let mut changes = vec![(low, 0)];
        let mut errors = 0_i64;
        for candidates in &self.utterances {
            errors += changes_of(candidates, weights, axis, &mut changes);
        }
        changes.sort_by(|(x, _), (y, _)| x.total_cmp(y));
        changes.push((high, 0));
        let now = axis.of(weights);
        let mut best: Option<((i64, bool, f64), f64, f64)> = None;
        for pair in changes.windows(2) {
            let ((from, change), (to, _)) = (pair[0], pair[1]);
            errors += change;
            let key = (errors, !(from..=to).contains(&now), from - to);
            if from < to && best.is_none_or(|(smallest, ..)| key < smallest) {
                best = Some((key, from, to));
            }
        }
        // The weight stays the same if it has no effect on the errors.
        let Some((_, from, to)) = best.filter(|&(_, from, to)| (from, to) != (low, high)) else {
            return weights;
        };
        // Limits the change within a long interval.
        let near = now.abs().max(1.0);
        let point = if (from..=to).contains(&now) {
            (from.max(now - near / 2.0) + to.min(now + near / 2.0)) / 2.0
        } else if now < from {
            (from + to.min(from + near)) / 2.0
        } else {
            (to + from.max(to - near)) / 2.0
        };
        axis.with(weights, point)
    }
}

/// A weight that a line search changes.
#[derive(Clone, Copy)]
enum Axis {
    Model,
    Bonus,
}

impl Axis {
    /// The smallest and the largest value of the weight.
    fn range(self) -> (f64, f64) {
        match self {
            Axis::Model => (0.0, MOST_MODEL),
            Axis::Bonus => (-MOST_BONUS, MOST_BONUS),
        }
    }

    fn of(self, weights: Weights) -> f64 {
        match self {
            Axis::Model => weights.model,
            Axis::Bonus => weights.word_bonus,
        }
    }

    fn with(self, weights: Weights, value: f64) -> Weights {
        match self {
            Axis::Model => Weights {
                model: value,
                ..weights
            },
            Axis::Bonus => Weights {
                word_bonus: value,
                ..weights
            },
        }
    }

    /// The derivative of the score of a candidate with respect to the weight.
    fn slope(self, one: &Candidate) -> f64 {
        match self {
            Axis::Model => one.log_probability,
            Axis::Bonus => one.words,
        }
    }
}

/// Appends the points at which the best candidate changes, with the change of its errors. Returns the errors at the start.
fn changes_of(
    candidates: &[Candidate],
    weights: Weights,
    axis: Axis,
    changes: &mut Vec<(f64, i64)>,
) -> i64 {
    let (low, high) = axis.range();
    let start = axis.with(weights, low);
    // The best candidate just after the start: highest score there, then largest slope.
    let line = |one: &Candidate| (combined(one, start), axis.slope(one));
    let mut best: Option<&Candidate> = None;
    for one in candidates {
        if best.is_none_or(|best| line(one) > line(best)) {
            best = Some(one);
        }
    }
    let Some(mut best) = best else {
        return 0;
    };
    let at_start = best.errors as i64;
    loop {
        // The first line that crosses the current one; of several at that point, the steepest.
        let (score, slope) = line(best);
        let mut next: Option<(f64, &Candidate)> = None;
        for one in candidates {
            let (other, steeper) = line(one);
            if steeper <= slope {
                continue;
            }
            let at = low + (score - other) / (steeper - slope);
            let is_first = next.is_none_or(|(first, chosen)| {
                at < first || at == first && steeper > axis.slope(chosen)
            });
            if is_first {
                next = Some((at, one));
            }
        }
        match next {
            Some((at, one)) if at < high => {
                changes.push((at, one.errors as i64 - best.errors as i64));
                best = one;
            }
            _ => return at_start,
        }
    }
}

fn combined(one: &Candidate, weights: Weights) -> f64 {
    one.score + weights.model * one.log_probability + weights.word_bonus * one.words
}

/// A number rounded to this number of decimals.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(score: f64, log_probability: f64, words: f64, errors: u64) -> Candidate {
        Candidate {
            score,
            log_probability,
            words,
            errors,
        }
    }

    fn of(utterances: Vec<Vec<Candidate>>) -> Candidates {
        let words = 10;
        Candidates { utterances, words }
    }

    /// The right hypotheses win if the weight is between 1 and 4.
    fn separable() -> Candidates {
        of(vec![
            vec![candidate(-1.0, -9.0, 2.0, 1), candidate(-3.0, -7.0, 2.0, 0)],
            vec![candidate(-1.0, -9.0, 2.0, 0), candidate(-9.0, -7.0, 2.0, 2)],
        ])
    }

    #[test]
    fn weights_between_the_ends_are_chosen() {
        let tuned = separable().tune();
        let errors = |errors| WordErrors { errors, words: 10 };
        assert_eq!((tuned.before, tuned.after), (errors(1), errors(0)));
        assert_eq!(tuned.oracle, errors(0));
        let weights = tuned.weights;
        assert!(weights.model > 1.2 && weights.model < 3.8, "{weights:?}");
    }

    #[test]
    fn changes_are_exact() {
        let candidates = separable();
        let mut changes = Vec::new();
        let mut starts = 0;
        for utterance in &candidates.utterances {
            starts += changes_of(utterance, Weights::NONE, Axis::Model, &mut changes);
        }
        assert_eq!((starts, changes), (1, vec![(1.0, -1), (4.0, 2)]));
    }

    #[test]
    fn a_word_bonus_restores_words_that_are_left_out() {
        // The model prefers short hypotheses.
        let utterance = |margin: f64| {
            vec![
                candidate(-1.0, -9.0, 5.0, 0),
                candidate(-1.0 + margin, -4.0, 3.0, 2),
            ]
        };
        let tuned = of(vec![utterance(0.5), utterance(1.0)]).tune();
        assert_eq!((tuned.before.errors, tuned.after.errors), (4, 0));
    }

    /// No choice is worse than the scores alone, and the choice is deterministic.
    #[test]
    fn tuning_never_loses() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        for _ in 0..20 {
            let mut one = || {
                candidate(
                    -20.0 * next(),
                    -50.0 * next(),
                    (9.0 * next()).floor(),
                    (4.0 * next()) as u64,
                )
            };
            let utterance = |_| (0..5).map(|_| one()).collect();
            let candidates = of((0..8).map(utterance).collect());
            let tuned = candidates.tune();
            assert!(tuned.after.errors <= tuned.before.errors);
            assert!(tuned.after.errors >= tuned.oracle.errors);
            assert_eq!(tuned, candidates.tune());
        }
    }

    #[test]
    fn without_utterances_nothing_is_chosen() {
        let tuned = of(Vec::new()).tune();
        assert_eq!(tuned.weights, Weights::NONE);
        assert_eq!(tuned.after.errors, 0);
    }
}
