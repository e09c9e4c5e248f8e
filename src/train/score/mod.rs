//! Log-probabilities of lines. Every line is an independent sequence: it starts with a zero state and the boundary
//! token, and its targets are its tokens and the final boundary token.
//!
//! Each stream of a batch scores one line. When a line ends, its stream takes the next line with the next batch,
//! from a zero state; until then it is padding, which is not counted. Long lines come first, so that all streams end
//! at about the same time, and the size of the batches follows from the number and the lengths of the lines.

mod groups;

use std::cmp::Reverse;
use std::collections::HashMap;

use groups::{Group, extents, groups};

use super::session::EvaluationSession;
use crate::corpus::{IGNORE, Vocabulary};
use crate::error::Result;
use crate::model::language_model::Extent;

/// The number of lines that are scored at once, if more are waiting: enough for batches with little padding.
pub const MANY_LINES: usize = 4 * groups::MAX_LINES;

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

/// Scores lines.
pub struct Scorer<'a> {
    session: &'a mut EvaluationSession,
    /// The sizes of batches to choose from.
    extents: Vec<Extent>,
    mark: u32,
    unknown: u32,
}

impl<'a> Scorer<'a> {
    /// Scores lines with the model of a session.
    pub fn new(session: &'a mut EvaluationSession, vocabulary: &Vocabulary) -> Scorer<'a> {
        let extents = match session.only_extent() {
            Some(extent) => vec![extent],
            None if session.is_on_gpu() => groups::ON_GPUS.to_vec(),
            None => extents(session.least_streams()),
        };
        Scorer {
            session,
            extents,
            mark: vocabulary.mark(),
            unknown: vocabulary.unknown(),
        }
    }

    /// Always scores in batches of this size.
    pub fn in_batches_of(self, extent: Extent) -> Scorer<'a> {
        Scorer {
            extents: vec![extent],
            ..self
        }
    }

    /// Scores lines, given as the ids of their tokens without boundary tokens. On the CPU, the score of a line has the same bits
    /// whichever lines are scored with it. On other devices it may differ by rounding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost or out of memory.
    pub fn score(&mut self, lines: &[Vec<u32>]) -> Result<Vec<Score>> {
        // Equal lines are scored once.
        let mut numbers = HashMap::new();
        let mut distinct: Vec<&[u32]> = Vec::new();
        let number_of: Vec<usize> = lines
            .iter()
            .map(|line| {
                *numbers.entry(line.as_slice()).or_insert_with(|| {
                    distinct.push(line);
                    distinct.len() - 1
                })
            })
            .collect();
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_by_key(|&line| Reverse(distinct[line].len()));
        let lengths: Vec<usize> = order.iter().map(|&line| distinct[line].len() + 1).collect();
        let mut scores = vec![Score::default(); distinct.len()];
        for Group { lines, extent } in groups(&lengths, &self.extents) {
            self.score_group(&distinct, &order[lines], extent, &mut scores)?;
        }
        Ok(number_of.iter().map(|&line| scores[line].clone()).collect())
    }

    /// Scores the lines `group`, in this order.
    fn score_group(
        &mut self,
        lines: &[&[u32]],
        group: &[usize],
        extent: Extent,
        scores: &mut [Score],
    ) -> Result<()> {
        let mut evaluator = self.session.evaluator_of(extent)?;
        let Extent { batch, unroll } = extent;
        let mut waiting = group.iter().copied();
        let mut streams: Vec<Option<usize>> = vec![None; batch];
        loop {
            let mut new = Vec::new();
            for (b, stream) in streams.iter_mut().enumerate() {
                if stream.is_none() {
                    *stream = waiting.next();
                    new.extend(stream.map(|_| b));
                }
            }
            if streams.iter().all(Option::is_none) {
                return Ok(());
            }
            evaluator.reset_streams(&new)?;
            let mut inputs = vec![0; extent.rows()];
            let mut targets = vec![IGNORE; extent.rows()];
            for (b, line) in streams.iter().enumerate() {
                let Some(line) = *line else {
                    continue;
                };
                let (ids, start) = (lines[line], scores[line].words.len());
                for t in 0..unroll.min(ids.len() + 1 - start) {
                    let (row, at) = (t * batch + b, start + t);
                    inputs[row] = if at == 0 { self.mark } else { ids[at - 1] };
                    targets[row] = ids.get(at).copied().unwrap_or(self.mark);
                }
            }
            let losses = evaluator.losses(inputs, targets.clone())?;
            for (b, stream) in streams.iter_mut().enumerate() {
                let Some(line) = *stream else {
                    continue;
                };
                let rows = (b..extent.rows()).step_by(batch);
                for row in rows.take_while(|&row| targets[row] != IGNORE) {
                    scores[line].add(-losses[row], targets[row] == self.unknown);
                }
                if scores[line].words.len() > lines[line].len() {
                    *stream = None;
                }
            }
        }
    }
}

impl Score {
    /// Adds a target.
    fn add(&mut self, log_probability: f64, is_unknown: bool) {
        self.log_probability += log_probability;
        self.tokens += 1;
        self.words.push(log_probability);
        if is_unknown {
            self.unknown += 1;
            self.of_unknown += log_probability;
        }
    }
}
