//! Generates texts from a model, several in parallel, one word at a time.

use super::session::Predictor;
use crate::corpus::Vocabulary;
use crate::error::{Error, Kind, Result};
use crate::random::{Purpose, Stream};

/// How to sample the next word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits. 0: always take the most likely word.
    pub temperature: f64,
    /// Sample from this many most likely words only. 0: from all.
    pub top_k: usize,
    /// Of these, sample from the smallest set of most likely words with at least this total probability
    /// (nucleus sampling; Holtzman et al. 2020). 1: from all.
    pub top_p: f64,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// A generated word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Its id.
    pub id: u32,
    /// Its log-probability under the model, in nats: over all words, at temperature 1.
    pub log_probability: f64,
}

/// Generates texts.
pub struct Generator<'a> {
    predictor: Predictor<'a>,
    sampling: Sampling,
    /// The random number generator of each text.
    random: Vec<Stream>,
    unknown: u32,
    /// The logits after the last words, `[B, V]`.
    logits: Vec<f64>,
}

impl<'a> Generator<'a> {
    /// Starts each text with a zero state, the token that precedes every line, and `prompt`. `first` is the number
    /// of the first text: each text has its own random numbers, so its words do not depend on the other texts.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn new(
        mut predictor: Predictor<'a>,
        vocabulary: &Vocabulary,
        prompt: &[u32],
        sampling: Sampling,
        first: usize,
    ) -> Result<Generator<'a>> {
        let streams = predictor.streams();
        predictor.reset()?;
        let random = |text: usize| Stream::new(sampling.seed, Purpose::Generate, text as u64);
        let mut generator = Generator {
            predictor,
            sampling,
            random: (first..first + streams).map(random).collect(),
            unknown: vocabulary.unknown(),
            logits: Vec::new(),
        };
        for &word in [vocabulary.mark()].iter().chain(prompt) {
            generator.feed(&vec![word; streams])?;
        }
        Ok(generator)
    }

    /// Passes one word of each text to the model.
    fn feed(&mut self, words: &[u32]) -> Result<()> {
        self.logits = self.predictor.logits(words)?;
        Ok(())
    }

    /// Samples the next word of each text. The unknown word is never sampled: it has no spelling.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost, [`Kind::Diverged`] if no logit is finite.
    pub fn words(&mut self) -> Result<Vec<Word>> {
        let width = self.logits.len() / self.random.len();
        let mut words = Vec::with_capacity(self.random.len());
        for (logits, random) in self.logits.chunks_exact(width).zip(&mut self.random) {
            let id = choose(logits, self.unknown, &self.sampling, random).ok_or_else(|| {
                Error::new(Kind::Diverged, "no logit of the model is finite")
                    .help("use an earlier checkpoint, or train again with a smaller learning rate")
            })?;
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            words.push(Word {
                id,
                log_probability: logits[id as usize] - largest - sum.ln(),
            });
        }
        let ids: Vec<u32> = words.iter().map(|word| word.id).collect();
        self.feed(&ids)?;
        Ok(words)
    }
}

/// Samples a word from the softmax of the logits. `None` if no logit is finite.
fn choose(logits: &[f64], unknown: u32, sampling: &Sampling, random: &mut Stream) -> Option<u32> {
    let mut words: Vec<(f64, u32)> = logits
        .iter()
        .zip(0..)
        .filter(|(logit, id)| logit.is_finite() && *id != unknown)
        .map(|(logit, id)| (*logit, id))
        .collect();
    let keep = if sampling.temperature == 0.0 {
        1
    } else {
        sampling.top_k
    };
    // By logit, then by id: the same order on every machine.
    let order = |x: &(f64, u32), y: &(f64, u32)| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1));
    if keep > 0 && keep < words.len() {
        words.select_nth_unstable_by(keep - 1, order);
        words.truncate(keep);
        words.sort_unstable_by(order);
    }
    let largest = words
        .iter()
        .map(|(logit, _)| *logit)
        .max_by(f64::total_cmp)?;
    if sampling.temperature == 0.0 {
        return Some(words[0].1);
    }
    let weight = |logit: f64| ((logit - largest) / sampling.temperature).exp();
    let mut total: f64 = words.iter().map(|(logit, _)| weight(*logit)).sum();
    if sampling.top_p < 1.0 {
        words.sort_unstable_by(order);
        let (mut sum, mut count) = (0.0, 0);
        while count < words.len() && (count == 0 || sum < sampling.top_p * total) {
            sum += weight(words[count].0);
            count += 1;
        }
        words.truncate(count);
        total = sum;
    }
    let mut rest = random.uniform() * total;
    for (logit, id) in &words {
        rest -= weight(*logit);
        if rest < 0.0 {
            return Some(*id);
        }
    }
    words.last().map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(sampling: Sampling) -> Vec<u32> {
        let logits = [0.0, 2.0, 1.0, f64::NEG_INFINITY, 9.0];
        let mut random = Stream::new(sampling.seed, Purpose::Generate, 0);
        (0..4000)
            .map(|_| choose(&logits, 4, &sampling, &mut random).expect("finite logits"))
            .collect()
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let words = draws(Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
        });
        let share =
            |id| words.iter().filter(|word| **word == id).count() as f64 / words.len() as f64;
        let total = 1.0 + 2f64.exp() + 1f64.exp();
        for (id, weight) in [
            (0, 1.0),
            (1, 2f64.exp()),
            (2, 1f64.exp()),
            (3, 0.0),
            (4, 0.0),
        ] {
            assert!(
                (share(id) - weight / total).abs() < 0.03,
                "{id}: {}",
                share(id)
            );
        }
    }

    #[test]
    fn temperature_and_top_k_narrow_the_sampling() {
        assert!(
            draws(Sampling {
                temperature: 0.0,
                top_k: 0,
                top_p: 1.0,
                seed: 1
            })
            .iter()
            .all(|word| *word == 1)
        );
        let two = draws(Sampling {
            temperature: 1.0,
            top_k: 2,
            top_p: 1.0,
            seed: 1,
        });
        assert!(two.iter().all(|word| [1, 2].contains(word)));
        assert!(two.contains(&1) && two.contains(&2));
        // Of the words 1, 2 and 0 the first has 0.67, the first two 0.91.
        for (top_p, kept) in [(0.5, vec![1]), (0.7, vec![1, 2]), (0.95, vec![0, 1, 2])] {
            let sampling = Sampling {
                temperature: 1.0,
                top_k: 0,
                top_p,
                seed: 1,
            };
            let found: std::collections::BTreeSet<u32> = draws(sampling).into_iter().collect();
            assert!(found.into_iter().eq(kept), "{top_p}");
        }
        let mut random = Stream::new(1, Purpose::Generate, 0);
        let sampling = Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
        };
        assert_eq!(choose(&[f64::NAN], 4, &sampling, &mut random), None);
    }
}
