//! Generated text: ids drawn from a log-uniform distribution, close to the frequencies of words in natural text.

use crate::corpus::{Batch, Position};
use crate::error::Result;
use crate::random::{Purpose, Stream};

/// Endless batches of `unroll` steps of `batch` streams.
pub(super) struct Synthetic {
    vocabulary: usize,
    batch: usize,
    unroll: usize,
    stream: Stream,
    step: u64,
}

impl Synthetic {
    /// The batches of one seed.
    pub fn new(vocabulary: usize, batch: usize, unroll: usize, seed: u64) -> Synthetic {
        Synthetic {
            vocabulary,
            batch,
            unroll,
            stream: Stream::new(seed, Purpose::Initialise, u64::MAX),
            step: 0,
        }
    }

    fn ids(&mut self) -> Vec<u32> {
        let range = (self.vocabulary as f64).ln_1p();
        let last = self.vocabulary as u32 - 1;
        let mut draw = || ((self.stream.uniform() * range).exp() as u32).clamp(1, last + 1) - 1;
        (0..self.batch * self.unroll).map(|_| draw()).collect()
    }
}

impl Iterator for Synthetic {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let (inputs, targets) = (self.ids(), self.ids());
        self.step += 1;
        Some(Ok(Batch {
            bytes: Vec::new(),
            words: targets.len(),
            inputs,
            targets,
            epoch: 1,
            reset: false,
            unknown: 0,
            position: Position {
                epoch: 1,
                step: self.step,
                batch: self.batch,
                unroll: self.unroll,
                bytes: 0,
                digest: 0,
                files: 0,
                lines: 0,
                rows: Vec::new(),
            },
        }))
    }
}
