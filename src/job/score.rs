//! The log-probability of lines.

use super::trained::Trained;
use crate::error::Result;
use crate::model::language_model::Extent;
use crate::train::score::{Score, Scorer};

/// The most lines that are scored side by side: enough to keep a device busy.
pub const MAX_LINES: usize = 64;

/// Tokens of each line in one batch: few, so that a stream answers soon, and so that a line that ends wastes little.
const TOKENS: usize = 8;

/// The most tokens of a line in one batch, where there are few lines.
const MAX_TOKENS: usize = 64;

/// Lines side by side and tokens of each, for lines that come one at a time.
pub const ONE_LINE: Extent = Extent {
    batch: 1,
    unroll: TOKENS,
};

/// Lines side by side and tokens of each, for lines without a known end.
pub const MANY_LINES: Extent = Extent {
    batch: MAX_LINES,
    unroll: TOKENS,
};

/// Lines side by side and tokens of each, for so many lines. Few lines, which may be long, get more tokens instead of empty
/// streams.
pub fn extent_of(lines: usize) -> Extent {
    let batch = lines.clamp(1, MAX_LINES);
    Extent {
        batch,
        unroll: (TOKENS * MAX_LINES / batch).min(MAX_TOKENS),
    }
}

impl Trained {
    /// The scores of lines, in their order. Every line is a sequence of its own.
    ///
    /// # Errors
    ///
    /// As [`Trained::evaluation_session`].
    pub fn score<S: AsRef<str>>(&self, lines: &[S]) -> Result<Vec<Score>> {
        let extent = extent_of(lines.len());
        let mut session = self.evaluation_session(extent)?;
        let tokens = self.config().data.tokens;
        let encode = |line: &S| self.vocabulary().encode_text(line.as_ref(), tokens);
        let lines: Vec<Vec<u32>> = lines.iter().map(encode).collect();
        Scorer::new(session.evaluator(), self.vocabulary()).score(&lines)
    }
}
