//! The unigram model of a vocabulary, which predicts each word by its frequency in the training text, without context. Its
//! perplexity is a baseline for the perplexity of a language model on the same text.

use super::vocabulary::Vocabulary;

/// A unigram model with add-one smoothing.
///
/// The probability of a word with the count `c` is `(c + 1) / (N + V)`, where `N` is the sum of all counts and `V` the number
/// of words in the vocabulary. Words outside the vocabulary have the count of the unknown word.
#[derive(Clone, Debug)]
pub struct Unigram {
    losses: Vec<f64>,
    /// Whether the training text has unknown words.
    has_unknown: bool,
}

impl Unigram {
    /// The model of a vocabulary. `None` if all counts are equal, as in a word list that was written by hand.
    pub fn of(vocabulary: &Vocabulary) -> Option<Unigram> {
        let counts = || (0..vocabulary.len() as u32).map(|id| vocabulary.count(id));
        let first = counts().next()?;
        if counts().all(|count| count == first) {
            return None;
        }
        let all = counts().map(|count| count as f64).sum::<f64>() + vocabulary.len() as f64;
        let loss = |count: u64| all.ln() - (count as f64 + 1.0).ln();
        Some(Unigram {
            losses: counts().map(loss).collect(),
            has_unknown: vocabulary.count(vocabulary.unknown()) > 0,
        })
    }

    /// Whether the perplexity of a text with `targets` targets, `unknown` of them unknown words, is meaningful. It is not if
    /// more than 1 % of the targets are unknown and the training text has no unknown word.
    pub fn is_meaningful(&self, targets: u64, unknown: u64) -> bool {
        self.has_unknown || unknown.saturating_mul(100) <= targets
    }

    /// The negative log-likelihood of a word, in nats.
    ///
    /// # Panics
    ///
    /// If there is no such id.
    pub fn loss(&self, id: u32) -> f64 {
        self.losses[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Order;

    fn unigram(words: &str) -> Option<Unigram> {
        let words = Vocabulary::from_bytes(words.as_bytes(), Order::Sentences, "words");
        Unigram::of(&words.expect("a vocabulary"))
    }

    #[test]
    fn probabilities_are_shares_of_the_text_and_sum_to_one() {
        let found = unigram("the 5\n<S> 3\n<UNK> 0\ncat 1\n").expect("a model");
        // Nine words were counted, and four words are known.
        for (id, expected) in [6.0, 4.0, 1.0, 2.0].into_iter().enumerate() {
            let probability = (-found.loss(id as u32)).exp();
            assert!((probability - expected / 13.0).abs() < 1e-12, "{id}");
        }
    }

    #[test]
    fn unknown_words_that_were_never_counted_spoil_the_perplexity() {
        let found = unigram("the 5\n<S> 3\n<UNK> 0\ncat 1\n").expect("a model");
        assert!(found.is_meaningful(1000, 10) && !found.is_meaningful(1000, 11));
        let found = unigram("the 5\n<S> 3\n<UNK> 1\n").expect("a model");
        assert!(found.is_meaningful(1000, 900));
    }

    #[test]
    fn a_list_without_counts_has_no_model() {
        assert!(unigram("the 0\n<S> 0\n<UNK> 0\n").is_none());
        assert!(unigram("the 1\n<S> 1\n<UNK> 1\n").is_none());
    }
}
