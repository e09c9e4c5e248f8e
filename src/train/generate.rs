//! Texts from a model, side by side, one word after the other.

use super::session::Predictor;
use crate::corpus::Vocabulary;
use crate::error::{Error, Kind, Result};
use crate::random::{Purpose, Stream};

/// How the next word is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Divides the logits; 0: always the likeliest word.
    pub temperature: f64,
    /// Only the likeliest this many words; 0: all.
    pub top_k: usize,
    /// Of these only the likeliest, as few as together have this probability (Holtzman et al. 2020); 1: all.
    pub top_p: f64,
    /// The key of the random numbers.
    pub seed: u64,
}

/// A word that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Its id.
    pub id: u32,
    /// Its log-probability in nats, as the model has it: of all words, at temperature 1.
    pub log_probability: f64,
}

/// Generates from the model of a session, beside whatever else the session does.
pub struct Generator<'a> {
    predictor: Predictor<'a>,
    choice: Choice,
    /// The random numbers of each text.
    random: Vec<Stream>,
    unknown: u32,
    /// The logits after the last words, `[B, V]`.
    logits: Vec<f64>,
}

impl<'a> Generator<'a> {
    /// Begins after `prompt`, from a state of zero and the mark that stands before every line. Of all texts with this key these are
    /// those from number `first` on, `streams` of them: the words of a text do not depend on the others.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost or has no room.
    pub fn new(
        mut predictor: Predictor<'a>,
        vocabulary: &Vocabulary,
        prompt: &[u32],
        choice: Choice,
        first: usize,
    ) -> Result<Generator<'a>> {
        let streams = predictor.streams();
        predictor.reset()?;
        let random = |text: usize| Stream::new(choice.seed, Purpose::Generate, text as u64);
        let mut generator = Generator {
            predictor,
            choice,
            random: (first..first + streams).map(random).collect(),
            unknown: vocabulary.unknown(),
            logits: Vec::new(),
        };
        for &word in [vocabulary.mark()].iter().chain(prompt) {
            generator.feed(&vec![word; streams])?;
        }
        Ok(generator)
    }

    /// The model reads a word of each text.
    fn feed(&mut self, words: &[u32]) -> Result<()> {
        self.logits = self.predictor.logits(words)?;
        Ok(())
    }

    /// The next word of each text. The unknown word is never chosen: it stands for no text.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost, [`Kind::Diverged`] if the model gives no finite number.
    pub fn words(&mut self) -> Result<Vec<Word>> {
        let width = self.logits.len() / self.random.len();
        let mut words = Vec::with_capacity(self.random.len());
        for (logits, random) in self.logits.chunks_exact(width).zip(&mut self.random) {
            let id = choose(logits, self.unknown, &self.choice, random).ok_or_else(|| {
                Error::new(
                    Kind::Diverged,
                    "the model gives no finite number for any word",
                )
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

/// Draws a word from the softmax of the logits; none if none is finite.
fn choose(logits: &[f64], unknown: u32, choice: &Choice, random: &mut Stream) -> Option<u32> {
    let mut words: Vec<(f64, u32)> = logits
        .iter()
        .zip(0..)
        .filter(|(logit, id)| logit.is_finite() && *id != unknown)
        .map(|(logit, id)| (*logit, id))
        .collect();
    let keep = if choice.temperature == 0.0 {
        1
    } else {
        choice.top_k
    };
    // Falling logits, then rising ids: the same order on every machine.
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
    if choice.temperature == 0.0 {
        return Some(words[0].1);
    }
    let weight = |logit: f64| ((logit - largest) / choice.temperature).exp();
    let mut total: f64 = words.iter().map(|(logit, _)| weight(*logit)).sum();
    if choice.top_p < 1.0 {
        words.sort_unstable_by(order);
        let (mut sum, mut count) = (0.0, 0);
        while count < words.len() && (count == 0 || sum < choice.top_p * total) {
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

    fn draws(choice: Choice) -> Vec<u32> {
        let logits = [0.0, 2.0, 1.0, f64::NEG_INFINITY, 9.0];
        let mut random = Stream::new(choice.seed, Purpose::Generate, 0);
        (0..4000)
            .map(|_| choose(&logits, 4, &choice, &mut random).expect("finite logits"))
            .collect()
    }

    #[test]
    fn words_come_as_often_as_the_softmax_says() {
        let words = draws(Choice {
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
    fn temperature_and_top_k_narrow_the_choice() {
        assert!(
            draws(Choice {
                temperature: 0.0,
                top_k: 0,
                top_p: 1.0,
                seed: 1
            })
            .iter()
            .all(|word| *word == 1)
        );
        let two = draws(Choice {
            temperature: 1.0,
            top_k: 2,
            top_p: 1.0,
            seed: 1,
        });
        assert!(two.iter().all(|word| [1, 2].contains(word)));
        assert!(two.contains(&1) && two.contains(&2));
        // Of the words 1, 2 and 0 the first has 0.67, the first two 0.91.
        for (top_p, kept) in [(0.5, vec![1]), (0.7, vec![1, 2]), (0.95, vec![0, 1, 2])] {
            let choice = Choice {
                temperature: 1.0,
                top_k: 0,
                top_p,
                seed: 1,
            };
            let found: std::collections::BTreeSet<u32> = draws(choice).into_iter().collect();
            assert!(found.into_iter().eq(kept), "{top_p}");
        }
        let mut random = Stream::new(1, Purpose::Generate, 0);
        let choice = Choice {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
        };
        assert_eq!(choose(&[f64::NAN], 4, &choice, &mut random), None);
    }
}
