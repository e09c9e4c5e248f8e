//! Log-probabilities of lines. Every line is an independent sequence: it starts with a zero state and the boundary
//! token, and its targets are its tokens and the final boundary token.
//!
//! Each stream of a batch scores one line. When a line ends, its stream takes the next line with the next batch,
//! from a zero state; until then it is padding, which is not counted. The device is therefore busy for lines of
//! all lengths.

use super::session::Evaluator;
use crate::corpus::{IGNORE, Vocabulary};
use crate::error::Result;
use crate::model::language_model::Extent;

/// The score of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The log-probability of its targets, in nats.
    pub log_probability: f64,
    /// Number of targets: its tokens and the final boundary token.
    pub tokens: u64,
    /// Targets that are not in the vocabulary and count as the unknown word.
    pub unknown: u64,
    /// The part of the log-probability that unknown words contribute.
    pub of_unknown: f64,
    /// The log-probability of each target.
    pub words: Vec<f64>,
}

/// A line that is being scored.
struct Running {
    number: u64,
    ids: Vec<u32>,
    score: Score,
}

/// Scores lines.
pub struct Scorer<'a> {
    evaluator: Evaluator<'a>,
    mark: u32,
    unknown: u32,
    streams: Vec<Option<Running>>,
    /// Streams that start a line with the next batch.
    new: Vec<usize>,
    /// The number of lines taken so far.
    taken: u64,
}

impl<'a> Scorer<'a> {
    /// Scores as many lines in parallel as the batches of the evaluator have streams.
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

    /// Whether a stream is free.
    pub fn has_room(&self) -> bool {
        self.streams.iter().any(Option::is_none)
    }

    /// Whether no line is being scored.
    pub fn is_idle(&self) -> bool {
        self.streams.iter().all(Option::is_none)
    }

    /// Takes a line, given as the ids of its tokens without boundary tokens. Returns its number, counted from 0.
    ///
    /// # Panics
    ///
    /// If no stream is free.
    pub fn take(&mut self, ids: Vec<u32>) -> u64 {
        let stream = self.streams.iter().position(Option::is_none);
        let stream = stream.expect("a free stream");
        let number = self.taken;
        self.taken += 1;
        let score = Score::default();
        self.streams[stream] = Some(Running { number, ids, score });
        self.new.push(stream);
        number
    }

    /// Scores one more batch of every line. Returns the lines that have ended, with their numbers.
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

    /// Scores lines, in order. The number of lines in parallel changes scores by rounding only.
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
