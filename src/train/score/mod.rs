//! Log-probabilities of lines. Every line is an independent sequence: it starts with a zero state and the boundary
//! token, and its targets are its tokens and the final boundary token.
//!
//! Each stream of a batch computes a segment of a line. The longest lines come first, so that all streams end at about the same
//! time. The batch size depends on the number of lines. Prefixes that lines share are computed once. The softmax is separate
//! from the batches of the layers, and computes only the rows that are needed.

mod packed;
mod prefixes;
mod sizes;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use packed::Packed;
use prefixes::{Prefixes, Segment};
use sizes::{Extents, RowCounts};

use super::session::{LineBatch, LineSession};
use crate::corpus::{IGNORE, Vocabulary};
use crate::error::{Error, Kind, Result};
use crate::model::language_model::{Extent, SLOTS};

/// The maximum number of lines that are scored together: enough for batches with little padding.
pub const MANY_LINES: usize = SLOTS - 1;

/// The score of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The log-probability of its targets, in nats.
    pub log_probability: f64,
    /// Number of targets: its tokens and the final boundary token.
    pub tokens: u64,
    /// Number of targets that are not in the vocabulary and count as the unknown word.
    pub unknown: u64,
    /// The part of the log-probability that unknown words contribute.
    pub of_unknown: f64,
    /// The log-probability of each target.
    pub words: Vec<f64>,
}

/// Scores lines.
pub struct Scorer<'a> {
    session: &'a mut LineSession,
    /// The size of all batches, if it is fixed.
    only: Option<Extent>,
    mark: u32,
    unknown: Option<u32>,
}

impl<'a> Scorer<'a> {
    /// Scores lines with the model of a session.
    pub fn new(session: &'a mut LineSession, vocabulary: &Vocabulary) -> Scorer<'a> {
        Scorer {
            only: session.only_extent(),
            session,
            mark: vocabulary.mark(),
            unknown: vocabulary.unknown_target(),
        }
    }

    /// Always scores in batches of this size.
    pub fn in_batches_of(self, extent: Extent) -> Scorer<'a> {
        Scorer {
            only: Some(extent),
            ..self
        }
    }

    /// Scores lines, given as the ids of their tokens without boundary tokens. On the CPU, the score of a line does not depend
    /// on the other lines, bit for bit. On other devices it may differ by rounding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost or out of memory, [`Kind::Diverged`] if the model gives no probabilities.
    pub fn score(&mut self, lines: &[Vec<u32>]) -> Result<Vec<Score>> {
        let mut distinct: Vec<&[u32]> = lines.iter().map(Vec::as_slice).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut scores = HashMap::new();
        for lines in distinct.chunks(MANY_LINES) {
            scores.extend(lines.iter().zip(self.score_distinct(lines)?));
        }
        let scores = lines.iter().map(|line| scores[&line.as_slice()].clone());
        Ok(scores.collect())
    }

    /// Scores distinct lines in ascending order, at most [`MANY_LINES`].
    fn score_distinct(&mut self, lines: &[&[u32]]) -> Result<Vec<Score>> {
        let extents = self.extents(lines);
        let prefixes = Prefixes::new(lines, extents.unroll, self.mark);
        let width = self.session.width();
        let counts = self.row_counts();
        let mut sums = Packed::new(prefixes.rows.len(), width, counts.clone());
        let mut logits = Packed::new(prefixes.targets.len(), width, counts);
        let session = &mut *self.session;
        let mut schedule = Schedule::new(&prefixes.segments);
        while let Some((extent, segments, parents, slots)) = schedule.next(&extents) {
            let batch = LineBatch {
                inputs: inputs(lines, &segments, extent, self.mark),
                parents,
                slots,
            };
            let h = session.hidden(extent, batch)?;
            for (b, segment) in segments.iter().enumerate() {
                for at in segment.own..segment.end {
                    let number = (at - segment.start) * extent.batch + b;
                    let h = &h[number * width..][..width];
                    let row = segment.row + at - segment.own;
                    sums.push(row, h);
                    for &target in &prefixes.rows[row] {
                        logits.push(target, h);
                    }
                }
            }
            sums.run_full(|_, rows, h| session.log_sums(rows, h))?;
            logits.run_full(|numbers, rows, h| {
                session.target_logits(padded(numbers, &prefixes.targets, rows), h)
            })?;
        }
        sums.run_rest(|_, rows, h| session.log_sums(rows, h))?;
        logits.run_rest(|numbers, rows, h| {
            session.target_logits(padded(numbers, &prefixes.targets, rows), h)
        })?;
        let scores = prefixes.lines.iter().map(|targets| {
            let mut score = Score::default();
            for &(row, target) in targets {
                let log_probability = logits.values[target] - sums.values[row];
                if !log_probability.is_finite() || sums.values[row].abs() > LARGEST_SUM {
                    return Err(not_finite(sums.values[row]));
                }
                // Both are rounded, so that the difference can be slightly above 0.
                score.add(
                    log_probability.min(0.0),
                    Some(prefixes.targets[target]) == self.unknown,
                );
            }
            Ok(score)
        });
        scores.collect()
    }

    fn extents(&self, lines: &[&[u32]]) -> Extents {
        let session = &*self.session;
        match self.only {
            Some(extent) => Extents::only(extent),
            None if session.is_on_gpu() => Extents::on_gpu(lines.len()),
            None => {
                let longest = lines.iter().map(|line| line.len() + 1).max();
                Extents::on_cpu(lines.len(), longest.unwrap_or(1), session.least_streams())
            }
        }
    }

    fn row_counts(&self) -> RowCounts {
        let session = &*self.session;
        match session.only_extent() {
            Some(extent) => RowCounts::only(extent.rows()),
            None if session.is_on_gpu() => RowCounts::on_gpu(),
            None => RowCounts::on_cpu(session.least_rows()),
        }
    }
}

/// The largest log-sum-exp that gives probabilities. Near it, numbers of type `f32` are 1/16 apart. Those of trained models are below
/// 100.
const LARGEST_SUM: f64 = 1e6;

/// The error for logits that are too large to give probabilities.
fn not_finite(sum: f64) -> Error {
    Error::new(
        Kind::Diverged,
        format!("the model gives no probabilities: its logits are too large, with a log-sum-exp of {sum:.3e}"),
    )
    .help("use an earlier checkpoint, or train again with a smaller learning rate")
}

/// The inputs of segments, `[T*B]`: the words before their targets.
fn inputs(lines: &[&[u32]], segments: &[&Segment], extent: Extent, mark: u32) -> Vec<u32> {
    let mut inputs = vec![0; extent.rows()];
    for (b, segment) in segments.iter().enumerate() {
        for at in segment.start..segment.end {
            let before = at.checked_sub(1).map(|before| lines[segment.line][before]);
            inputs[(at - segment.start) * extent.batch + b] = before.unwrap_or(mark);
        }
    }
    inputs
}

/// The targets with these indices, padded with [`IGNORE`] to `rows`.
fn padded(numbers: &[usize], targets: &[u32], rows: usize) -> Vec<u32> {
    let mut found: Vec<u32> = numbers.iter().map(|&number| targets[number]).collect();
    found.resize(rows, IGNORE);
    found
}

/// Divides segments into batches, and assigns slots to their recurrent states.
struct Schedule<'a> {
    segments: &'a [Segment],
    /// The children of each segment.
    children: Vec<Vec<usize>>,
    /// The segments that can be computed next, those with the longest chain of later segments first.
    ready: BinaryHeap<(usize, Reverse<usize>)>,
    /// The slot of the state at the end of each segment.
    slots: Vec<u32>,
    /// The number of segments that have not read the state of each segment yet.
    readers: Vec<usize>,
    free: Vec<u32>,
}

/// A batch: its size, its segments, the slots of their initial states, and the slots for their final states.
type Scheduled<'a> = (Extent, Vec<&'a Segment>, Vec<u32>, Vec<u32>);

impl<'a> Schedule<'a> {
    fn new(segments: &'a [Segment]) -> Schedule<'a> {
        let mut children = vec![Vec::new(); segments.len()];
        let mut ready = BinaryHeap::new();
        for (number, segment) in segments.iter().enumerate() {
            match segment.parent {
                Some(parent) => children[parent].push(number),
                None => ready.push((segment.height, Reverse(number))),
            }
        }
        Schedule {
            segments,
            children,
            ready,
            slots: vec![0; segments.len()],
            readers: segments.iter().map(|segment| segment.children).collect(),
            free: (1..SLOTS as u32).rev().collect(),
        }
    }

    /// The next batch.
    fn next(&mut self, extents: &Extents) -> Option<Scheduled<'a>> {
        if self.ready.is_empty() {
            return None;
        }
        let extent = extents.batch(self.ready.len());
        let (mut parents, mut slots) = (vec![0; extent.batch], vec![IGNORE; extent.batch]);
        let mut numbers = Vec::with_capacity(extent.batch);
        while numbers.len() < extent.batch {
            let Some((_, Reverse(number))) = self.ready.pop() else {
                break;
            };
            if let Some(parent) = self.segments[number].parent {
                parents[numbers.len()] = self.slots[parent];
                self.readers[parent] -= 1;
                // A batch reads all states before it writes one.
                if self.readers[parent] == 0 {
                    self.free.push(self.slots[parent]);
                }
            }
            numbers.push(number);
        }
        for (slot, &number) in slots.iter_mut().zip(&numbers) {
            if self.segments[number].children > 0 {
                // Segments whose states are still to be read belong to different lines.
                *slot = self.free.pop().expect("a slot for each line");
                self.slots[number] = *slot;
            }
            for &child in &self.children[number] {
                self.ready
                    .push((self.segments[child].height, Reverse(child)));
            }
        }
        let segments = numbers.iter().map(|&number| &self.segments[number]);
        Some((extent, segments.collect(), parents, slots))
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
