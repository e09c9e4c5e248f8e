//! Log-probabilities of lines. Every line is a sequence of its own: it begins from a state of zero and the mark, and its
//! targets are its tokens and the closing mark.
//!
//! Lines stand side by side in the streams of the evaluation plan. A stream whose line has ended takes the next line with the next
//! batch, from a state of zero; until then it is padded, and whatever goes on in it is not counted. So lines of any lengths
//! keep a device busy, and a long one holds up no other.

use super::session::Evaluator;
use crate::corpus::{IGNORE, Vocabulary};
use crate::error::Result;
use crate::model::language_model::Extent;

/// What is known of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The log-probability of its targets, in nats.
    pub log_probability: f64,
    /// Targets: its tokens and the closing mark.
    pub tokens: u64,
    /// Targets that the vocabulary knows only as the unknown word.
    pub unknown: u64,
    /// The part of the log-probability that is of unknown words.
    pub of_unknown: f64,
    /// The log-probability of each target.
    pub words: Vec<f64>,
}

/// A line on its way.
struct Running {
    number: u64,
    ids: Vec<u32>,
    score: Score,
}

/// Scores lines with the model of a session.
pub struct Scorer<'a> {
    evaluator: Evaluator<'a>,
    mark: u32,
    unknown: u32,
    streams: Vec<Option<Running>>,
    /// Streams that begin a line with the next batch.
    new: Vec<usize>,
    /// Lines that were taken.
    taken: u64,
}

impl<'a> Scorer<'a> {
    /// Scores as many lines side by side as the batches of the evaluator have streams.
    pub fn new(evaluator: Evaluator<'a>, vocabulary: &Vocabulary) -> Scorer<'a> {
        Scorer {
            streams: (0..evaluator.extent().batch).map(|_| None).collect(),
            evaluator,
            mark: vocabulary.mark(),
            unknown: vocabulary.unknown(),
            new: Vec::new(),
            taken: 0,
        }
    }

    /// Whether there is a stream for one more line.
    pub fn has_room(&self) -> bool {
        self.streams.iter().any(Option::is_none)
    }

    /// Whether no line is on its way.
    pub fn is_idle(&self) -> bool {
        self.streams.iter().all(Option::is_none)
    }

    /// Takes a line, given as the ids of its tokens without marks; gives its number, from 0.
    ///
    /// # Panics
    ///
    /// If there is no room.
    pub fn take(&mut self, ids: Vec<u32>) -> u64 {
        let stream = self.streams.iter().position(Option::is_none);
        let stream = stream.expect("a stream for one more line");
        let number = self.taken;
        self.taken += 1;
        let score = Score::default();
        self.streams[stream] = Some(Running { number, ids, score });
        self.new.push(stream);
        number
    }

    /// Goes on with every line by one batch; gives those that have ended, with their numbers.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn advance(&mut self) -> Result<Vec<(u64, Score)>> {
        let Extent { batch, unroll } = self.evaluator.extent();
        self.evaluator
            .reset_streams(&std::mem::take(&mut self.new))?;
        let mut inputs = vec![0; unroll * batch];
        let mut targets = vec![IGNORE; unroll * batch];
        for (b, running) in self.streams.iter().enumerate() {
            let Some(Running { ids, score, .. }) = running else {
                continue;
            };
            let start = score.words.len();
            for t in 0..unroll.min(ids.len() + 1 - start) {
                let (row, at) = (t * batch + b, start + t);
                inputs[row] = if at == 0 { self.mark } else { ids[at - 1] };
                targets[row] = ids.get(at).copied().unwrap_or(self.mark);
            }
        }
        let losses = self.evaluator.losses(inputs, targets.clone())?;
        let mut ended = Vec::new();
        for (b, stream) in self.streams.iter_mut().enumerate() {
            let Some(Running { number, ids, score }) = stream else {
                continue;
            };
            for row in (b..unroll * batch).step_by(batch) {
                let target = targets[row];
                if target == IGNORE {
                    break;
                }
                let log_probability = -losses[row];
                score.log_probability += log_probability;
                score.tokens += 1;
                score.words.push(log_probability);
                if target == self.unknown {
                    score.unknown += 1;
                    score.of_unknown += log_probability;
                }
            }
            if score.words.len() > ids.len() {
                ended.push((*number, std::mem::take(score)));
                *stream = None;
            }
        }
        Ok(ended)
    }

    /// The scores of lines, in their order. How many stand side by side does not change their scores beyond rounding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn score(&mut self, lines: &[Vec<u32>]) -> Result<Vec<Score>> {
        let first = self.taken;
        let mut scores = vec![Score::default(); lines.len()];
        let mut lines = lines.iter();
        loop {
            while self.has_room()
                && let Some(line) = lines.next()
            {
                self.take(line.clone());
            }
            if self.is_idle() {
                return Ok(scores);
            }
            for (number, score) in self.advance()? {
                scores[(number - first) as usize] = score;
            }
        }
    }
}
