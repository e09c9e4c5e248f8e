//! An evaluation of part of a text in `contiguous` order: evenly spaced windows over the whole text.
//!
//! The recurrent state is zero before a window, and a model without context predicts badly. The model therefore first reads the
//! tokens before the window, its context, which are not counted.

use super::batch::{Batch, BatchBuilder, Position};
use super::contiguous::{SeekPoint, Stream, seek, seek_points};
use super::text::Text;
use crate::error::Result;

/// The number of tokens of context.
pub(super) const CONTEXT: u64 = 64;

/// The approximate number of targets of a window. The context then adds a quarter.
const LENGTH: u64 = 4 * CONTEXT;

/// The minimum number of windows. There are fewer if windows would otherwise have fewer targets than tokens of context.
const COUNT: u64 = 32;

/// A window of the sequence of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// The position of the token that is the input of its first target.
    first: u64,
    /// The number of tokens read before that one.
    context: u64,
    /// The number of targets.
    targets: u64,
}

/// The batches of evenly spaced windows. All streams begin a window with the same batch, which asks for a reset of the
/// state.
#[derive(Debug)]
pub(super) struct WindowBatches {
    text: Text,
    unroll: usize,
    points: Vec<SeekPoint>,
    /// The windows that are read at the same time, one per stream.
    rounds: Vec<Vec<Window>>,
    round: usize,
    /// Batches returned so far in this round.
    step: u64,
    /// Batches returned so far.
    done: u64,
    streams: Vec<Stream>,
}

impl WindowBatches {
    /// Batches of `targets` targets of a text that has more.
    pub(super) fn new(
        text: &Text,
        batch: usize,
        unroll: usize,
        targets: u64,
    ) -> Result<WindowBatches> {
        let (points, tokens) = seek_points(text)?;
        let windows = windows(tokens - 1, targets, batch);
        // Stream `b` reads its part of the text from front to back.
        let in_stream = windows.len() / batch;
        let round = |k: usize| (0..batch).map(|b| windows[b * in_stream + k]).collect();
        Ok(WindowBatches {
            text: text.clone(),
            unroll,
            points,
            rounds: (0..in_stream).map(round).collect(),
            round: 0,
            step: 0,
            done: 0,
            streams: Vec::new(),
        })
    }

    /// The number of all batches.
    pub(super) fn steps(&self) -> u64 {
        (0..self.rounds.len()).map(|k| self.steps_of(k)).sum()
    }

    fn steps_of(&self, round: usize) -> u64 {
        let longest = self.rounds[round].iter().map(Window::tokens).max();
        longest.unwrap_or(0).div_ceil(self.unroll as u64)
    }

    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>> {
        while self.round < self.rounds.len() && self.step == self.steps_of(self.round) {
            (self.round, self.step) = (self.round + 1, 0);
        }
        let Some(windows) = self.rounds.get(self.round) else {
            return Ok(None);
        };
        let reset = self.step == 0;
        if reset {
            let first = windows.iter().map(|window| window.first - window.context);
            self.streams = seek(&self.text, &self.points, &first.collect::<Vec<_>>())?;
        }
        let vocabulary = self.text.vocabulary();
        let mut builder = BatchBuilder::new(self.streams.len(), self.unroll, vocabulary);
        builder.keep_bytes();
        let read = self.step * self.unroll as u64;
        for (b, (window, stream)) in windows.iter().zip(&mut self.streams).enumerate() {
            let left = window.tokens().saturating_sub(read);
            for t in 0..left.min(self.unroll as u64) as usize {
                let input = stream.input;
                match stream.advance(&self.text)? {
                    Some(token) if read + t as u64 >= window.context => {
                        builder.set(t, b, input, token);
                    }
                    _ => builder.set_input(t, b, input),
                }
            }
        }
        self.step += 1;
        self.done += 1;
        let corpus = self.text.corpus();
        let position = Position {
            epoch: 1,
            step: self.done,
            batch: self.streams.len(),
            unroll: self.unroll,
            bytes: corpus.bytes(),
            digest: corpus.digest(),
            files: 0,
            lines: 0,
            rows: Vec::new(),
        };
        Ok(Some(builder.finish(reset, position)))
    }
}

impl Window {
    /// The tokens that the model reads.
    fn tokens(&self) -> u64 {
        match self.targets {
            0 => 0,
            targets => self.context + targets,
        }
    }
}

/// Windows with `targets` targets in total over a text of `all` targets. Their number is a multiple of `batch`. They start at
/// the beginnings of equal parts of the text.
fn windows(all: u64, targets: u64, batch: usize) -> Vec<Window> {
    let batch = batch as u64;
    let in_stream = |length: u64| targets / (batch * length);
    let spread = COUNT.div_ceil(batch).min(in_stream(CONTEXT));
    let count = batch * in_stream(LENGTH).max(spread).max(1);
    let share = |of: u64, k: u64| (u128::from(of) * u128::from(k) / u128::from(count)) as u64;
    let mut taken = 0;
    let window = |k| {
        let first = share(all, k);
        let room = share(all, k + 1) - first;
        let own = room.min(share(targets, k + 1) - taken);
        taken += own;
        Window {
            first,
            context: first.min(CONTEXT),
            targets: own,
        }
    };
    (0..count).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_exactly_the_targets_and_do_not_overlap() {
        for batch in [1, 2, 3, 5, 64] {
            for all in [1, 2, 6, 10, 11, 64, 1000, 100_003] {
                for targets in (0..all.min(40)).chain([all / 3, all - 1]) {
                    let found = windows(all, targets, batch);
                    let what = format!("{targets} of {all}, {batch} streams");
                    assert_eq!(found.len() % batch, 0, "{what}");
                    let sum: u64 = found.iter().map(|window| window.targets).sum();
                    assert_eq!(sum, targets, "{what}");
                    for pair in found.windows(2) {
                        assert!(pair[0].first + pair[0].targets <= pair[1].first, "{what}");
                    }
                    let last = found[found.len() - 1];
                    assert!(last.first + last.targets <= all, "{what}");
                }
            }
        }
    }

    #[test]
    fn windows_reach_from_the_start_to_the_end_of_the_text() {
        let found = windows(1_000_000, 40_000, 4);
        assert_eq!(found.len(), 4 * (40_000 / (4 * 256)));
        let gap = 1_000_000 / found.len() as u64;
        assert_eq!((found[0].first, found[0].context), (0, 0));
        assert!(found[1..].iter().all(|window| window.context == CONTEXT));
        assert!(found[found.len() - 1].first >= 1_000_000 - gap - 1);
    }
}
