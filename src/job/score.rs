//! The log-probability of lines.

use super::trained::Trained;
use crate::error::Result;
use crate::train::score::{Score, Scorer};

impl Trained {
    /// The scores of lines, in order. Every line is an independent sequence. A line feed within a line separates
    /// tokens and is not scored.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::evaluation_session`].
    pub fn score<S: AsRef<str>>(&self, lines: &[S]) -> Result<Vec<Score>> {
        let mut session = self.line_session()?;
        let lines: Vec<Vec<u32>> = lines
            .iter()
            .map(|line| self.encode(line.as_ref()))
            .collect();
        Scorer::new(&mut session, self.vocabulary()).score(&lines)
    }
}
