//! The perplexity of the unigram model, beside that of the model. It is said once.

use crate::config::DataConfig;
use crate::train::watch::Event;

/// What is known of the unigram model of the training text.
pub(in crate::cli) struct UnigramModel {
    word: &'static str,
    perplexity: Option<f64>,
}

impl UnigramModel {
    /// For models of this text.
    pub fn new(data: &DataConfig) -> UnigramModel {
        UnigramModel {
            word: data.tokens.noun(),
            perplexity: None,
        }
    }

    /// Takes an event. For the first validation returns text to append to its line.
    pub fn beside(&mut self, event: &Event) -> String {
        let Event::Valid { unigram, .. } = event else {
            return String::new();
        };
        let is_first = self.perplexity.is_none();
        self.perplexity = unigram.or(self.perplexity);
        match unigram {
            Some(perplexity) if is_first => format!("  (a unigram model: {perplexity:.2})"),
            _ => String::new(),
        }
    }

    /// A line for the end of a run, or nothing.
    pub fn summary(&self) -> String {
        self.line(self.perplexity)
    }

    /// A line about this perplexity, or nothing.
    pub fn line(&self, perplexity: Option<f64>) -> String {
        perplexity.map_or_else(String::new, |perplexity| {
            format!(
                "a unigram model, which knows only how often each {} occurs: perplexity {perplexity:.2}\n",
                self.word
            )
        })
    }
}
