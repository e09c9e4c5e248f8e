//! The totals over all lines.

use crate::corpus::Unigram;
use crate::train::score::Score as Found;

/// Totals over all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// The number of lines.
    pub lines: u64,
    /// The number of targets.
    pub tokens: u64,
    /// The number of these that are unknown words.
    pub unknown: u64,
    log_probability: f64,
    of_unknown: f64,
    /// The negative log-likelihood under the unigram model, if it is computed.
    unigram: Option<f64>,
}

impl Summary {
    /// Adds a line.
    pub fn add(&mut self, found: &Found) {
        self.lines += 1;
        self.tokens += found.tokens;
        self.unknown += found.unknown;
        self.log_probability += found.log_probability;
        self.of_unknown += found.of_unknown;
    }

    /// Adds the negative log-likelihood of a line under the unigram model.
    pub fn add_unigram(&mut self, nll: f64) {
        *self.unigram.get_or_insert(0.0) += nll;
    }

    /// Omits the unigram model if its perplexity is not meaningful.
    pub fn check_unigram(&mut self, unigram: Option<&Unigram>) {
        let means = unigram.is_some_and(|model| model.is_meaningful(self.tokens, self.unknown));
        self.unigram = self.unigram.filter(|_| means);
    }

    /// The four lines at the end of the output of KenLM's `query`, and a line for the unigram model if it was computed.
    pub fn text(&self) -> String {
        let perplexity = |log: f64, tokens: u64| match tokens {
            0 => "-".to_owned(),
            tokens => format!("{:.4}", (-log / tokens as f64).exp()),
        };
        let with = perplexity(self.log_probability, self.tokens);
        let without = perplexity(
            self.log_probability - self.of_unknown,
            self.tokens - self.unknown,
        );
        let unigram = self.unigram.map_or_else(String::new, |nll| {
            format!(
                "Perplexity of the unigram model:\t{}\n",
                perplexity(-nll, self.tokens)
            )
        });
        format!(
            "Perplexity including OOVs:\t{with}\nPerplexity excluding OOVs:\t{without}\nOOVs:\t{}\nTokens:\t{}\n{unigram}",
            self.unknown, self.tokens
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_that_of_kenlm() {
        let mut summary = Summary::default();
        assert!(
            summary
                .text()
                .starts_with("Perplexity including OOVs:\t-\n")
        );
        let score = |log_probability, tokens, unknown, of_unknown| Found {
            log_probability,
            tokens,
            unknown,
            of_unknown,
            words: Vec::new(),
        };
        summary.add(&score(-6.0, 4, 1, -3.0));
        summary.add(&score(-2.0, 1, 0, 0.0));
        // e^(8/5) and e^(5/4).
        assert_eq!(
            summary.text(),
            "Perplexity including OOVs:\t4.9530\nPerplexity excluding OOVs:\t3.4903\nOOVs:\t1\nTokens:\t5\n"
        );
    }
}
