//! Log-probabilities of lines. Every line is a sequence of its own: it begins from a state of zero and the mark, and its
//! targets are its tokens and the closing mark.
//!
//! Lines stand side by side in the streams of the evaluation plan. A line that is longer than the plan's steps runs on over
//! several batches with its state carried; the states are set to zero before the next lines. A stream whose line has ended
//! is padded: whatever goes on in it is not counted.

use super::session::Session;
use crate::corpus::{IGNORE, Vocabulary};
use crate::device::Data;
use crate::error::Result;
use crate::model::language_model::Extent;

/// What is known of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// The log-probability of its targets, in nats.
    pub log_probability: f64,
    /// Targets: its tokens and the closing mark.
    pub tokens: u64,
    /// Targets that the vocabulary knows only as the unknown word.
    pub unknown: u64,
}

/// Scores lines with the model of a session.
pub struct Scorer<'a> {
    session: &'a mut Session,
    extent: Extent,
    mark: u32,
    unknown: u32,
}

impl<'a> Scorer<'a> {
    /// For a session that has no evaluation yet, or one of this extent.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device has no room.
    pub fn new(
        session: &'a mut Session,
        vocabulary: &Vocabulary,
        extent: Extent,
    ) -> Result<Scorer<'a>> {
        session.load_evaluation(extent)?;
        Ok(Scorer {
            session,
            extent,
            mark: vocabulary.mark(),
            unknown: vocabulary.unknown(),
        })
    }

    /// The scores of lines, given as the ids of their tokens without marks. Lines are taken in groups as large as a batch is
    /// wide; how they are grouped does not change their scores beyond rounding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn score(&mut self, lines: &[Vec<u32>]) -> Result<Vec<Score>> {
        let mut scores = Vec::with_capacity(lines.len());
        for group in lines.chunks(self.extent.batch) {
            scores.extend(self.score_group(group)?);
        }
        Ok(scores)
    }

    /// The scores of at most as many lines as a batch has streams.
    fn score_group(&mut self, lines: &[Vec<u32>]) -> Result<Vec<Score>> {
        let Extent { batch, unroll } = self.extent;
        let (mark, unknown) = (self.mark, self.unknown);
        let mut scores = vec![Score::default(); lines.len()];
        let longest = lines.iter().map(|line| line.len() + 1).max().unwrap_or(0);
        self.session.reset_evaluation()?;
        for start in (0..longest).step_by(unroll) {
            let mut inputs = vec![0; unroll * batch];
            let mut targets = vec![IGNORE; unroll * batch];
            for (b, line) in lines.iter().enumerate() {
                for t in 0..unroll.min((line.len() + 1).saturating_sub(start)) {
                    let (row, at) = (t * batch + b, start + t);
                    inputs[row] = if at == 0 { mark } else { line[at - 1] };
                    targets[row] = line.get(at).copied().unwrap_or(mark);
                }
            }
            let given = vec![
                ("inputs", Data::Index(inputs)),
                ("targets", Data::Index(targets.clone())),
            ];
            let losses = self.session.evaluate(&given)?;
            for (row, (loss, target)) in losses.iter().zip(targets).enumerate() {
                if target != IGNORE {
                    let score = &mut scores[row % batch];
                    score.log_probability -= loss;
                    score.tokens += 1;
                    score.unknown += u64::from(target == unknown);
                }
            }
        }
        Ok(scores)
    }
}
