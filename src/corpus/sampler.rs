//! Candidates of the sampled softmax: distinct ids, drawn log-uniformly from a vocabulary sorted by descending frequency.
//!
//! The probability of id `k` is `P(k) = ln((k+2)/(k+1)) / ln(V+1)`. A draw is `k = floor(exp(u ln(V+1))) - 1` with `u` uniform
//! in `[0, 1)`. Repeats are rejected until there are `S` distinct ids, and `tries` counts the draws (Jozefowicz et al. 2016;
//! TensorFlow's `LogUniformSampler`). The expected count of an id is `Q(k) = -expm1(tries * log1p(-P(k)))`.
//!
//! When `S` is close to `V`, the last ids would take millions of draws. After `2 V` draws the rest is therefore drawn from the
//! same distribution without rejection. If draws arrive as a Poisson process, id `k` first appears after a time `E_k / P(k)`,
//! where the `E_k` are independent and exponential. The order of these times is the order of the new ids. The number of draws
//! until the next new id is geometric, with the total probability of all missing ids. (With `S = 8192` and `V = 793,470`, about
//! 16,000 draws are enough, and this case never occurs.)

use crate::error::{Error, Result};
use crate::random::Stream;

/// The candidates of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Distinct ids `[S]` in the order in which they were drawn.
    pub ids: Vec<u32>,
    /// Number of draws, repeats included.
    pub tries: u64,
}

/// Draws [`Candidates`].
#[derive(Clone, Debug)]
pub struct CandidateSampler {
    vocabulary: usize,
    samples: usize,
    /// `ln(V+1)`.
    log_range: f64,
    /// `ln(1 - P(k))` of every id. Computing it is half the cost of `Q`, and it is the same in every step.
    log_others: Vec<f64>,
    /// One bit for each id: whether it is drawn. All zero between calls.
    drawn: Vec<u64>,
}

impl CandidateSampler {
    /// A sampler of `samples` out of `vocabulary` ids. A call takes `O(samples)` time, or `O(vocabulary)` if `samples` is
    /// close to `vocabulary`.
    ///
    /// # Errors
    ///
    /// If `samples` is 0 or more than `vocabulary`, or ids do not fit `u32`.
    pub fn new(vocabulary: usize, samples: usize) -> Result<CandidateSampler> {
        if samples == 0 || samples > vocabulary || vocabulary >= u32::MAX as usize {
            return Err(Error::usage(format!(
                "cannot draw {samples} distinct candidates from a vocabulary of {vocabulary}"
            ))
            .help("set `softmax.samples` to at least 1 and at most the size of the vocabulary, or `softmax.kind` to \"full\""));
        }
        let mut sampler = CandidateSampler {
            vocabulary,
            samples,
            log_range: (vocabulary as f64).ln_1p(),
            log_others: Vec::new(),
            drawn: vec![0; vocabulary.div_ceil(64)],
        };
        let of_id = |id| (-sampler.probability(id)).ln_1p();
        sampler.log_others = (0..vocabulary as u32).map(of_id).collect();
        Ok(sampler)
    }

    /// Draws the candidates of one step from the random stream of that step.
    pub fn draw(&mut self, stream: &mut Stream) -> Candidates {
        let mut ids = vec![0; self.samples];
        let (mut found, mut tries) = (0, 0);
        let most = 2 * self.vocabulary as u64;
        while found < self.samples && tries < most {
            tries += 1;
            let k = (stream.uniform() * self.log_range).exp() as usize;
            // Rounding may give `exp(ln(V+1))`, one more than the largest value.
            let k = k.clamp(1, self.vocabulary) - 1;
            // About half of the draws are repeats, unpredictably. Doing without a branch halves the time.
            ids[found] = k as u32;
            found += (!self.drawn[k / 64] >> (k % 64) & 1) as usize;
            self.drawn[k / 64] |= 1 << (k % 64);
        }
        ids.truncate(found);
        if ids.len() < self.samples {
            tries += self.draw_rest(stream, &mut ids);
        }
        self.drawn.fill(0);
        Candidates { ids, tries }
    }

    /// Draws the missing ids without rejection. Returns the number of draws with rejection that this corresponds to.
    fn draw_rest(&self, stream: &mut Stream, ids: &mut Vec<u32>) -> u64 {
        let is_missing = |k: &u32| self.drawn[*k as usize / 64] >> (k % 64) & 1 == 0;
        let exponential = |stream: &mut Stream| -(-stream.uniform()).ln_1p();
        let mut times: Vec<(f64, u32)> = (0..self.vocabulary as u32)
            .filter(is_missing)
            .map(|k| (exponential(stream) / self.probability(k), k))
            .collect();
        let wanted = self.samples - ids.len();
        times.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (new, left) = times.split_at(wanted);
        // From the last id to the first, so that the probability of the missing ids is a sum of positive terms.
        let mut missing: f64 = left.iter().map(|&(_, k)| self.probability(k)).sum();
        let mut draws = 0;
        for &(_, k) in new.iter().rev() {
            missing += self.probability(k);
            draws += 1 + (exponential(stream) / -(-missing).ln_1p()) as u64;
        }
        ids.extend(new.iter().map(|&(_, k)| k));
        draws
    }

    /// `P(id)`, the probability of this id in one draw.
    #[inline]
    pub fn probability(&self, id: u32) -> f64 {
        (1.0 / (f64::from(id) + 1.0)).ln_1p() / self.log_range
    }

    /// `ln Q(id)`: the log of the expected count of an id after `tries` draws.
    ///
    /// # Panics
    ///
    /// If the id is not below the vocabulary's size.
    #[inline]
    pub fn log_expected_count(&self, id: u32, tries: u64) -> f64 {
        (-(tries as f64 * self.log_others[id as usize]).exp_m1()).ln()
    }

    /// `ln Q` of many ids. 0 for ids outside the vocabulary, such as the target of padding.
    pub fn log_expected_counts(&self, ids: &[u32], tries: u64) -> Vec<f64> {
        let one = |&id: &u32| {
            if (id as usize) < self.vocabulary {
                self.log_expected_count(id, tries)
            } else {
                0.0
            }
        };
        // On this thread only: the other cores are busy with training.
        ids.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn impossible_sizes_are_refused() {
        for (vocabulary, samples) in [(10, 11), (10, 0), (0, 0), (usize::MAX, 1)] {
            let error = CandidateSampler::new(vocabulary, samples).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Usage);
        }
    }

    #[test]
    fn probabilities_add_up_to_one() {
        for vocabulary in [1, 2, 200, 793_470] {
            let sampler = CandidateSampler::new(vocabulary, 1).unwrap();
            let sum: f64 = (0..vocabulary as u32).map(|k| sampler.probability(k)).sum();
            assert!((sum - 1.0).abs() < 1e-11, "{vocabulary}: {sum}");
        }
        // ln(3/2) / ln(201), by hand.
        let sampler = CandidateSampler::new(200, 20).unwrap();
        assert!((sampler.probability(1) - 0.076_455_175_6).abs() < 1e-9);
    }

    /// The direct formulas, without tables and without the branch-free draw, give the same bits.
    #[test]
    fn draws_and_their_counts_keep_their_bits() {
        let (vocabulary, samples) = (793_470, 8192);
        let mut sampler = CandidateSampler::new(vocabulary, samples).unwrap();
        let drawn = sampler.draw(&mut Stream::new(1, Purpose::Candidates, 7));
        let log_q = sampler.log_expected_counts(&drawn.ids, drawn.tries);
        for (&id, &log_q) in drawn.ids.iter().zip(&log_q) {
            let plain = (-(drawn.tries as f64 * (-sampler.probability(id)).ln_1p()).exp_m1()).ln();
            assert_eq!(log_q.to_bits(), plain.to_bits(), "{id}");
        }
        let mut stream = Stream::new(1, Purpose::Candidates, 7);
        let (mut seen, mut plain, mut tries) = (std::collections::HashSet::new(), Vec::new(), 0);
        while plain.len() < samples {
            tries += 1;
            let k = (stream.uniform() * (vocabulary as f64).ln_1p()).exp() as u32;
            let k = k.clamp(1, vocabulary as u32) - 1;
            if seen.insert(k) {
                plain.push(k);
            }
        }
        assert!(drawn.ids == plain && drawn.tries == tries);
    }

    #[test]
    fn draws_are_distinct_and_reproducible() {
        for (vocabulary, samples) in [(1, 1), (2, 2), (64, 64), (200, 20), (5000, 4999)] {
            let mut sampler = CandidateSampler::new(vocabulary, samples).unwrap();
            let mut draw = |step| sampler.draw(&mut Stream::new(3, Purpose::Candidates, step));
            let first = draw(1);
            assert!(first.tries >= samples as u64);
            let mut sorted = first.ids.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), samples);
            assert!((sorted[samples - 1] as usize) < vocabulary);
            draw(2);
            assert_eq!(draw(1), first);
        }
    }

    /// Continuing from two of five ids, both methods give the same distribution of the order and of the number of draws.
    #[test]
    fn drawing_the_rest_has_the_distribution_of_rejection() {
        let mut sampler = CandidateSampler::new(5, 5).unwrap();
        let runs = 40_000;
        let mut counts = [[0.0_f64; 2]; 125];
        let mut tries = [0.0_f64; 2];
        for run in 0..runs {
            let mut stream = Stream::new(1, Purpose::Candidates, run);
            let (mut ids, mut draws) = (vec![3, 0], 0_u64);
            while ids.len() < 5 {
                draws += 1;
                let k = (stream.uniform() * sampler.log_range).exp() as u32 - 1;
                if !ids.contains(&k) {
                    ids.push(k);
                }
            }
            let mut others = vec![3, 0];
            sampler.drawn[0] = 0b1001;
            let other_draws = sampler.draw_rest(&mut stream, &mut others);
            for (way, (ids, draws)) in [(ids, draws), (others, other_draws)].iter().enumerate() {
                counts[(ids[2] * 25 + ids[3] * 5 + ids[4]) as usize][way] += 1.0;
                tries[way] += *draws as f64;
            }
        }
        for [a, b] in counts {
            assert!((a - b).abs() <= 5.0 * (a + b).sqrt(), "{a} {b}");
        }
        assert_eq!(counts.iter().filter(|[_, b]| *b > 0.0).count(), 6);
        let ratio = tries[0] / tries[1];
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    }
}
