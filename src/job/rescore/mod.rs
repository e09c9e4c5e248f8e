//! Rescoring of n-best lists: the hypotheses of each utterance are reranked by a weighted sum of the score of a recogniser, the
//! log-probability under a model, and the number of words.
//!
//! | module | contents |
//! |---|---|
//! | [`read`] | n-best lists and references in files |
//! | [`errors`] | word errors of hypotheses |
//! | [`tune`](mod@tune) | the weights with the fewest word errors |

pub mod errors;
pub mod read;
pub mod tune;

use super::trained::Trained;
use crate::error::Result;
use crate::train::score::{MANY_LINES, Scorer};

/// The hypotheses of an utterance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utterance {
    /// The name of the utterance.
    pub id: String,
    /// Its hypotheses.
    pub hypotheses: Vec<Hypothesis>,
}

/// A hypothesis of an utterance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// Its words, separated by white space.
    pub text: String,
    /// Its score in the n-best list, for example that of an acoustic model. Higher is better.
    pub score: f64,
    /// Further columns of its line, which are copied to the output.
    pub features: String,
}

/// The hypotheses of an utterance with the scores of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rescored {
    /// The utterance.
    pub utterance: Utterance,
    /// The log-probability of each hypothesis, including its end, in nats.
    pub log_probabilities: Vec<f64>,
}

/// The weights of the combined score. The score in the n-best list has the weight 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The weight of the log-probability.
    pub model: f64,
    /// The constant added for each word.
    pub word_bonus: f64,
}

impl Weights {
    /// The weights with which only the scores in the n-best list count.
    pub const NONE: Weights = Weights {
        model: 0.0,
        word_bonus: 0.0,
    };
}

impl Rescored {
    /// The combined score of each hypothesis.
    pub fn combined(&self, weights: Weights) -> Vec<f64> {
        let hypotheses = self.utterance.hypotheses.iter();
        let scored = hypotheses.zip(&self.log_probabilities);
        scored
            .map(|(hypothesis, log_probability)| {
                let words = hypothesis.text.split_whitespace().count() as f64;
                hypothesis.score + weights.model * log_probability + weights.word_bonus * words
            })
            .collect()
    }

    /// The indices of the hypotheses and their combined scores, best first. The sort is stable.
    pub fn ranked(&self, weights: Weights) -> Vec<(usize, f64)> {
        let mut ranked: Vec<(usize, f64)> =
            self.combined(weights).into_iter().enumerate().collect();
        ranked.sort_by(|(_, x), (_, y)| y.total_cmp(x));
        ranked
    }
}

impl Trained {
    /// Passes each utterance with its log-probabilities to `each`, in order, until `each` returns false. Equal hypotheses are
    /// scored once. Memory use does not depend on the length of the list, because only one batch of utterances is held at a
    /// time.
    ///
    /// # Errors
    ///
    /// The first error among `utterances`, after all utterances before it; errors of `each`; and those of
    /// [`Trained::line_session`].
    pub fn rescore(
        &self,
        utterances: impl IntoIterator<Item = Result<Utterance>>,
        mut each: impl FnMut(Rescored) -> Result<bool>,
    ) -> Result<()> {
        let mut utterances = utterances.into_iter();
        let (mut batch, mut ended) = next_batch(&mut utterances);
        if batch.is_empty() {
            return ended.unwrap_or(Ok(()));
        }
        let mut session = self.line_session()?;
        let mut scorer = Scorer::new(&mut session, self.vocabulary());
        loop {
            let hypotheses = batch.iter().flat_map(|utterance| &utterance.hypotheses);
            let lines: Vec<Vec<u32>> = hypotheses
                .map(|hypothesis| self.encode(&hypothesis.text))
                .collect();
            let mut scores = scorer.score(&lines)?.into_iter();
            for utterance in batch {
                let own = scores.by_ref().take(utterance.hypotheses.len());
                let log_probabilities = own.map(|score| score.log_probability).collect();
                if !each(Rescored {
                    utterance,
                    log_probabilities,
                })? {
                    return Ok(());
                }
            }
            if let Some(end) = ended {
                return end;
            }
            (batch, ended) = next_batch(&mut utterances);
        }
    }
}

/// The next utterances, which are scored together, and the result of reading all of them if these are the last.
fn next_batch(
    utterances: &mut impl Iterator<Item = Result<Utterance>>,
) -> (Vec<Utterance>, Option<Result<()>>) {
    let (mut batch, mut hypotheses) = (Vec::new(), 0);
    while hypotheses < MANY_LINES {
        match utterances.next() {
            Some(Ok(utterance)) => {
                hypotheses += utterance.hypotheses.len();
                batch.push(utterance);
            }
            Some(Err(error)) => return (batch, Some(Err(error))),
            None => return (batch, Some(Ok(()))),
        }
    }
    (batch, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hypothesis(text: &str, score: f64) -> Hypothesis {
        Hypothesis {
            text: text.to_owned(),
            score,
            features: String::new(),
        }
    }

    fn utterance(texts: &[&str]) -> Utterance {
        Utterance {
            id: "u".to_owned(),
            hypotheses: texts.iter().map(|text| hypothesis(text, 0.0)).collect(),
        }
    }

    #[test]
    fn batches_are_bounded_and_an_error_comes_after_what_precedes_it() {
        let one = || Ok(utterance(&["a", "b"]));
        let mut many = std::iter::repeat_with(one).take(MANY_LINES / 2 + 3);
        let (batch, ended) = next_batch(&mut many);
        assert_eq!((batch.len(), ended.is_none()), (MANY_LINES / 2, true));
        let (batch, ended) = next_batch(&mut many);
        assert_eq!(batch.len(), 3);
        assert!(matches!(ended, Some(Ok(()))));
        let failing = [one(), Err(crate::error::Error::data("x")), one()];
        let (batch, ended) = next_batch(&mut failing.into_iter());
        assert_eq!(batch.len(), 1);
        assert!(matches!(ended, Some(Err(_))));
    }

    #[test]
    fn hypotheses_are_ordered_by_the_weighted_sum() {
        let rescored = Rescored {
            utterance: Utterance {
                id: "u".to_owned(),
                hypotheses: vec![
                    hypothesis("a b", -1.0),
                    hypothesis("a", -2.0),
                    hypothesis("b", -2.0),
                ],
            },
            log_probabilities: vec![-10.0, -4.0, -4.0],
        };
        let ranked = |model, word_bonus| rescored.ranked(Weights { model, word_bonus });
        assert_eq!(rescored.ranked(Weights::NONE)[0], (0, -1.0));
        assert_eq!(ranked(0.5, 0.0), [(1, -4.0), (2, -4.0), (0, -6.0)]);
        assert_eq!(ranked(0.5, 3.0), [(0, 0.0), (1, -1.0), (2, -1.0)]);
    }
}
