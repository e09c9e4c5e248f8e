//! The log-probability of lines.

use super::trained::Trained;
use crate::error::Result;
use crate::model::language_model::Extent;
use crate::train::score::{Score, Scorer};

/// The largest number of lines scored in parallel: enough to keep a device busy.
pub const MAX_LINES: usize = 64;

/// Tokens of each line in one batch. The number is small, so that results arrive soon and short lines waste little
/// time.
const TOKENS: usize = 8;

/// The largest number of tokens of a line in one batch, used for few lines.
const MAX_TOKENS: usize = 64;

/// The batch for lines that arrive one at a time.
pub const ONE_LINE: Extent = Extent {
    batch: 1,
    unroll: TOKENS,
};

/// The batch for an unknown number of lines.
pub const MANY_LINES: Extent = Extent {
    batch: MAX_LINES,
    unroll: TOKENS,
};

/// The batch for `lines` lines. Few lines, which may be long, get more tokens instead of empty streams.
pub fn extent_of(lines: usize) -> Extent {
    let batch = lines.clamp(1, MAX_LINES);
    Extent {
        batch,
        unroll: (TOKENS * MAX_LINES / batch).min(MAX_TOKENS),
    }
}

impl Trained {
    /// The scores of lines, in order. Every line is an independent sequence. A line feed within a line separates
    /// tokens and is not scored.
    ///
    /// # Errors
    ///
    /// Same as [`Trained::evaluation_session`].
    pub fn score<S: AsRef<str>>(&self, lines: &[S]) -> Result<Vec<Score>> {
        let extent = extent_of(lines.len());
        let mut session = self.evaluation_session(extent)?;
        let tokens = self.config().data.tokens;
        let encode = |line: &S| self.vocabulary().encode_text(line.as_ref(), tokens);
        let lines: Vec<Vec<u32>> = lines.iter().map(encode).collect();
        Scorer::new(session.evaluator(), self.vocabulary()).score(&lines)
    }
}
