//! What a training step needs from the host beside its ids: candidates, expected counts, row indices, random key. Made on
//! the loader's thread, ahead of the step.

use super::slots::{Moves, Slots};
use crate::config::{Config, Softmax};
use crate::corpus::{Batch, CandidateSampler, IGNORE, Position};
use crate::device::{Data, Inputs};
use crate::error::Result;
use crate::kernels::embedding::rows::row_index;
use crate::model::tables::caches;
use crate::random::{Purpose, Stream};

/// A batch with the inputs of its step, all but `control`.
pub struct Prepared {
    /// The inputs.
    pub inputs: Inputs,
    /// With tables on the host: the rows that travel before the step, of each cache.
    pub moves: Vec<Moves>,
    /// The pass over the text, from 1.
    pub epoch: u64,
    /// Whether the recurrent state starts at zero.
    pub reset: bool,
    /// Targets, padding not counted.
    pub words: usize,
    /// Where the text stands after the batch.
    pub position: Position,
}

/// Prepares the batches of a run, one after the other.
pub struct Preparer {
    seed: u64,
    step: u64,
    tied: bool,
    dropout: bool,
    sampler: Option<CandidateSampler>,
    /// With tables on the host: the slots of each cache.
    slots: Vec<Slots>,
}

impl Preparer {
    /// For a run that has done `step` steps.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there are too many candidates for the vocabulary.
    pub fn new(config: &Config, vocabulary: usize, step: u64) -> Result<Preparer> {
        let sampler = match config.softmax {
            Softmax::Full => None,
            Softmax::Sampled { samples } => Some(CandidateSampler::new(vocabulary, samples)?),
        };
        Ok(Preparer {
            seed: config.train.seed,
            step,
            tied: config.model.tied,
            dropout: config.model.dropout > 0.0,
            sampler,
            slots: caches(config, vocabulary)
                .iter()
                .map(|cache| Slots::new(vocabulary, cache.slots))
                .collect(),
        })
    }

    /// The next step. Positions that are padding stand for no row of their own: their ids are those of others, so that no row
    /// counts as touched that has no part in the step.
    pub fn prepare(&mut self, mut batch: Batch) -> Prepared {
        // The first position of a batch is never padding.
        let first = batch.inputs[0];
        for (input, target) in batch.inputs.iter_mut().zip(&batch.targets) {
            if *target == IGNORE {
                *input = first;
            }
        }
        let step = self.step;
        self.step += 1;
        let mut inputs: Inputs = Vec::with_capacity(8);
        if self.dropout {
            let words = [step, step >> 32, self.seed, self.seed >> 32].map(|word| word as u32);
            inputs.push(("random", Data::Index(words.to_vec())));
        }
        if let Some(sampler) = &mut self.sampler {
            let mut stream = Stream::new(self.seed, Purpose::Candidates, step);
            let drawn = sampler.draw(&mut stream);
            let mut ids = drawn.ids.clone();
            let instead = drawn.ids[0];
            ids.extend(batch.targets.iter().map(
                |&target| {
                    if target == IGNORE { instead } else { target }
                },
            ));
            let log_q = sampler.log_expected_counts(&ids, drawn.tries);
            inputs.push(("log_q", Data::Real(log_q)));
            inputs.push(("candidates", Data::Index(drawn.ids)));
            inputs.push(("rows.softmax", Data::Index(row_index(&ids))));
            if self.tied {
                ids.extend(&batch.inputs);
                inputs.push(("rows.table", Data::Index(row_index(&ids))));
            }
        }
        // A table tied to a sampled softmax has all its rows in `rows.table`.
        if !(self.tied && self.sampler.is_some()) {
            inputs.push(("rows.embedding", Data::Index(row_index(&batch.inputs))));
        }
        inputs.push(("inputs", Data::Index(batch.inputs)));
        inputs.push(("targets", Data::Index(batch.targets)));
        let moves = self.place(&mut inputs);
        Prepared {
            inputs,
            moves,
            epoch: batch.epoch,
            reset: batch.reset,
            words: batch.words,
            position: batch.position,
        }
    }

    /// With tables on the host: gives the rows of a step their slots, and puts these in the place of ids.
    fn place(&mut self, inputs: &mut Inputs) -> Vec<Moves> {
        let mut moves = Vec::with_capacity(self.slots.len());
        let last = self.slots.len().saturating_sub(1);
        for (k, slots) in self.slots.iter_mut().enumerate() {
            // The first cache has what goes in, the last one what the softmax sees.
            let mine = |name: &str| match name {
                "inputs" | "rows.embedding" => k == 0,
                "candidates" | "targets" | "rows.softmax" | "rows.table" => k == last,
                _ => false,
            };
            let ids = || {
                let lists = inputs
                    .iter()
                    .filter(|(name, _)| mine(name) && !name.starts_with("rows"));
                lists.flat_map(|(_, data)| match data {
                    Data::Index(ids) => ids.as_slice(),
                    Data::Real(_) => &[],
                })
            };
            moves.push(slots.place(ids().copied()));
            for (name, data) in inputs.iter_mut().filter(|(name, _)| mine(name)) {
                let Data::Index(words) = data else { continue };
                if name.starts_with("rows") {
                    slots.place_in_row_index(words);
                } else {
                    for id in words {
                        *id = slots.slot(*id);
                    }
                }
            }
        }
        moves
    }
}
