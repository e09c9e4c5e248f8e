//! The totals over all lines.

use serde::Serialize;

use crate::corpus::Unigram;
use crate::numbers::bits_per_byte;
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
    /// The bytes of all lines, with their ends.
    pub bytes: u64,
    log_probability: f64,
    of_unknown: f64,
    /// The negative log-likelihood under the unigram model, if it is computed.
    unigram: Option<f64>,
}

impl Summary {
    /// Adds a line of `bytes` bytes.
    pub fn add(&mut self, found: &Found, bytes: usize) {
        self.lines += 1;
        self.bytes += bytes as u64;
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

    /// The perplexity of `tokens` targets with this log-probability. `None` without targets.
    fn perplexity(log_probability: f64, tokens: u64) -> Option<f64> {
        (tokens > 0).then(|| (-log_probability / tokens as f64).exp())
    }

    /// The totals for `--json`.
    pub fn document(&self) -> Document {
        let known = self.tokens - self.unknown;
        Document {
            lines: self.lines,
            tokens: self.tokens,
            out_of_vocabulary: self.unknown,
            log_likelihood: self.log_probability,
            perplexity: Summary::perplexity(self.log_probability, self.tokens),
            perplexity_without_out_of_vocabulary: Summary::perplexity(
                self.log_probability - self.of_unknown,
                known,
            ),
            unigram: self
                .unigram
                .and_then(|nll| Summary::perplexity(-nll, self.tokens)),
            bytes: self.bytes,
            bits_per_byte: bits_per_byte(-self.log_probability, self.bytes),
            bits_per_byte_is_lower_bound: self.unknown > 0,
        }
    }

    /// The four lines at the end of the output of KenLM's `query`, then the bits per byte, and the perplexity of the unigram model
    /// if it was computed.
    pub fn text(&self) -> String {
        let Document {
            perplexity,
            perplexity_without_out_of_vocabulary: without,
            unigram,
            bits_per_byte,
            ..
        } = self.document();
        let number = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
        };
        let (with, without) = (number(perplexity), number(without));
        let unigram = unigram.map_or_else(String::new, |perplexity| {
            format!("Perplexity of the unigram model:\t{perplexity:.4}\n")
        });
        let least = if self.unknown > 0 { "at least " } else { "" };
        let bits = bits_per_byte.map_or_else(String::new, |bits| {
            format!("Bits per byte:\t{least}{bits:.4}\n")
        });
        format!(
            "Perplexity including OOVs:\t{with}\nPerplexity excluding OOVs:\t{without}\nOOVs:\t{}\nTokens:\t{}\n{bits}{unigram}",
            self.unknown, self.tokens
        )
    }
}

/// The totals as one JSON document.
#[derive(Serialize)]
pub struct Document {
    lines: u64,
    tokens: u64,
    out_of_vocabulary: u64,
    log_likelihood: f64,
    perplexity: Option<f64>,
    perplexity_without_out_of_vocabulary: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unigram: Option<f64>,
    bytes: u64,
    bits_per_byte: Option<f64>,
    bits_per_byte_is_lower_bound: bool,
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
        summary.add(&score(-6.0, 4, 1, -3.0), 7);
        summary.add(&score(-2.0, 1, 0, 0.0), 1);
        // e^(8/5), e^(5/4) and 8 / ln(2) / 8.
        assert_eq!(
            summary.text(),
            "Perplexity including OOVs:\t4.9530\nPerplexity excluding OOVs:\t3.4903\nOOVs:\t1\nTokens:\t5\nBits per byte:\tat least 1.4427\n"
        );
    }
}
