//! Prints the perplexity of the unigram model, once, for comparison with that of the model.

use crate::config::DataConfig;
use crate::numbers::decimal;
use crate::train::watch::Event;

/// The unigram model of the training text, as far as it is known.
pub(in crate::cli) struct UnigramModel {
    word: &'static str,
    perplexity: Option<f64>,
}

impl UnigramModel {
    /// A model whose perplexity is not known yet.
    pub fn new(data: &DataConfig) -> UnigramModel {
        UnigramModel {
            word: data.tokens.noun(),
            perplexity: None,
        }
    }

    /// Records the perplexity of an event. Returns the text to append to the line of the first validation, or nothing.
    pub fn beside(&mut self, event: &Event) -> String {
        let Event::Valid { unigram, .. } = event else {
            return String::new();
        };
        let is_first = self.perplexity.is_none();
        self.perplexity = unigram.or(self.perplexity);
        match unigram {
            Some(perplexity) if is_first => format!("  (unigram model: {})", decimal(*perplexity)),
            _ => String::new(),
        }
    }

    /// The line for the end of a run whose best validation has the perplexity `best`, or nothing.
    pub fn summary(&self, best: Option<f64>) -> String {
        let line = self.line(self.perplexity);
        match (best, self.perplexity) {
            (Some(best), Some(unigram)) if best > unigram => {
                format!(
                    "{}, lower than that of the model: train it for longer\n",
                    line.trim_end()
                )
            }
            _ => line,
        }
    }

    /// The line about a perplexity, or nothing.
    pub fn line(&self, perplexity: Option<f64>) -> String {
        perplexity.map_or_else(String::new, |perplexity| {
            format!(
                "unigram model ({} frequencies only): perplexity {}\n",
                self.word,
                decimal(perplexity)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_worse_than_the_unigram_model_is_reported() {
        let unigram = UnigramModel {
            word: "word",
            perplexity: Some(6.0),
        };
        let plain = "unigram model (word frequencies only): perplexity 6.00\n";
        assert_eq!(unigram.summary(Some(5.9)), plain);
        assert_eq!(unigram.summary(None), plain);
        let worse = unigram.summary(Some(8.5));
        assert!(
            worse.contains("6.00, lower than that of the model"),
            "{worse}"
        );
    }
}
