//! Word errors: the insertions, deletions and substitutions that turn a reference into a hypothesis.

use super::Rescored;
use super::read::References;
use crate::error::Result;

/// The number of word errors of a hypothesis: the edit distance of the words.
pub fn word_errors(reference: &str, hypothesis: &str) -> u64 {
    let words = |text| str::split_whitespace(text).collect::<Vec<&str>>();
    strsim::generic_levenshtein(&words(reference), &words(hypothesis)) as u64
}

/// The number of word errors and of reference words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Insertions, deletions and substitutions.
    pub errors: u64,
    /// Words of the references.
    pub words: u64,
}

impl WordErrors {
    /// The word error rate; `None` if the references have no words.
    pub fn rate(&self) -> Option<f64> {
        (self.words > 0).then(|| self.errors as f64 / self.words as f64)
    }
}

/// The numbers of a hypothesis on which the choice of weights depends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The score in the n-best list.
    pub score: f64,
    /// Its log-probability under the model, in nats.
    pub log_probability: f64,
    /// The number of its words.
    pub words: f64,
    /// The number of its word errors.
    pub errors: u64,
}

/// The candidates of all utterances, and the number of words of their references.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// The candidates of each utterance.
    pub utterances: Vec<Vec<Candidate>>,
    /// Words of the references.
    pub words: u64,
}

impl Candidates {
    /// Adds an utterance.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it has no reference.
    pub fn add(&mut self, rescored: &Rescored, references: &References) -> Result<()> {
        let reference = references.of(&rescored.utterance.id)?;
        let scored = rescored.utterance.hypotheses.iter();
        let scored = scored.zip(&rescored.log_probabilities);
        let candidates = scored.map(|(hypothesis, &log_probability)| Candidate {
            score: hypothesis.score,
            log_probability,
            words: hypothesis.text.split_whitespace().count() as f64,
            errors: word_errors(reference, &hypothesis.text),
        });
        self.utterances.push(candidates.collect());
        self.words += reference.split_whitespace().count() as u64;
        Ok(())
    }

    /// The errors if the hypothesis with the fewest errors is chosen for each utterance.
    pub fn oracle(&self) -> WordErrors {
        let fewest = |candidates: &Vec<Candidate>| candidates.iter().map(|one| one.errors).min();
        self.total(self.utterances.iter().filter_map(fewest).sum())
    }

    pub(super) fn total(&self, errors: u64) -> WordErrors {
        WordErrors {
            errors,
            words: self.words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_insertions_deletions_and_substitutions() {
        for (reference, hypothesis, errors) in [
            ("the cat sat", " the  cat\tsat ", 0),
            ("the cat sat", "the cat", 1),
            ("the cat sat", "a cat sat down", 2),
            ("the cat sat", "", 3),
            ("", "the cat", 2),
            ("the cat", "cat the", 2),
        ] {
            assert_eq!(word_errors(reference, hypothesis), errors, "{hypothesis}");
        }
    }
}
