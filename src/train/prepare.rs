//! Prepares the inputs of a training step on the loader's thread, ahead of the step: ids, candidates,
//! expected counts, row indices, the seed of random numbers.
//!
//! In a divided step each [`Part`](crate::model::language_model::Part) has its own inputs, for its streams. The update has row
//! indices over the gradient rows of all parts: for each device its candidates, the targets of its micro-batches and, for a tied
//! table, the inputs.

use super::cluster_inputs::target_inputs;
use super::host_tables::{Moves, Slots};
use super::update::{Control, TABLE_CONTROL};
use crate::config::{Config, Recipe, Softmax};
use crate::corpus::{Batch, CandidateSampler, Candidates, IGNORE, Position};
use crate::device::{Data, Inputs};
use crate::error::Result;
use crate::kernels::embedding::rows::row_index;
use crate::model::clusters::Clusters;
use crate::model::language_model::Division;
use crate::model::tables::caches;
use crate::random::{Purpose, Stream};
use crate::tensor::names::{ROWS_EMBEDDING, ROWS_SOFTMAX, ROWS_TABLE, is_row_index};

/// The inputs of a step.
#[derive(Clone, Debug, Default)]
pub struct StepInputs {
    /// The inputs of each part. An undivided step has one part.
    pub parts: Vec<Inputs>,
    /// The inputs of the update of a divided step.
    pub update: Inputs,
    /// With tables on the host: the rows of each cache that move before the step.
    pub moves: Vec<Moves>,
}

impl StepInputs {
    /// Adds the inputs of the update; see [`control`](super::update::control()).
    pub fn set_control(&mut self, control: impl Into<Control>) {
        let Control { values, of_tables } = control.into();
        if self.parts.len() > 1 {
            self.update.push(("control", Data::Real(values.clone())));
        }
        for part in &mut self.parts {
            part.push(("control", Data::Real(values.clone())));
        }
        // Only the plan that contains the update has these inputs.
        let updated = match self.parts.as_mut_slice() {
            [whole] => whole,
            _ => &mut self.update,
        };
        updated.extend(of_tables.map(|values| (TABLE_CONTROL, Data::Real(values))));
    }
}

/// A batch with the inputs of its step, except `control`.
pub struct Prepared {
    /// The inputs.
    pub inputs: StepInputs,
    /// The epoch, from 1.
    pub epoch: u64,
    /// Whether the recurrent state starts at zero.
    pub reset: bool,
    /// The number of targets that are not padding.
    pub words: usize,
    /// The number of these that are unknown words.
    pub unknown: usize,
    /// The position in the text after the batch.
    pub position: Position,
}

/// The ids of the rows of the tables that have a gradient.
#[derive(Default)]
struct Ids {
    candidates: Vec<u32>,
    targets: Vec<u32>,
    inputs: Vec<u32>,
}

impl Ids {
    /// Adds the ids of another micro-batch of the same device. Its candidates are the same.
    fn extend(&mut self, other: Ids) {
        self.candidates = other.candidates;
        self.targets.extend(other.targets);
        self.inputs.extend(other.inputs);
    }
}

/// Prepares the batches of a run, in order.
pub struct Preparer {
    seed: u64,
    step: u64,
    tied: bool,
    dropout: bool,
    division: Division,
    /// Streams of a part.
    streams: usize,
    /// Whether each device has its own candidates.
    own_candidates: bool,
    sampler: Option<CandidateSampler>,
    /// With an adaptive softmax: its clusters.
    clusters: Option<Clusters>,
    /// With tables on the host: the slots of each cache.
    slots: Vec<Slots>,
}

impl Preparer {
    /// For a run that has done `step` steps.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there are too many candidates for the vocabulary.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        step: u64,
        division: Division,
    ) -> Result<Preparer> {
        let sampler = match config.softmax {
            Softmax::Full | Softmax::Adaptive(_) => None,
            Softmax::Sampled { samples } => Some(CandidateSampler::new(vocabulary, samples)?),
        };
        Ok(Preparer {
            seed: config.train.seed,
            step,
            tied: config.model.tied,
            dropout: config.has_dropout(),
            division,
            streams: config.train.batch,
            own_candidates: config.train.recipe == Recipe::Paper,
            sampler,
            clusters: Clusters::of(config, vocabulary),
            slots: caches(config, vocabulary, division)
                .iter()
                .map(|cache| Slots::new(vocabulary, cache.slots))
                .collect(),
        })
    }

    /// Prepares the next step. Padding gets the id of another position of the batch, so that it adds no row to the gradients.
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
        let mut inputs = StepInputs::default();
        // The ids of the gradient rows of all devices, by the name of their row index.
        let mut sources: Vec<(&'static str, Vec<u32>)> = Vec::new();
        let mut of_device = Ids::default();
        let mut drawn: Option<(u64, Candidates)> = None;
        for part in 0..self.division.parts() {
            let device = if self.own_candidates {
                (part / self.division.micro_batches) as u64
            } else {
                0
            };
            if let Some(sampler) = &mut self.sampler
                && drawn.as_ref().is_none_or(|(of, _)| *of != device)
            {
                // The first device has the candidates of a run on one device.
                let mut stream = Stream::new(self.seed, Purpose::Candidates, step | device << 40);
                drawn = Some((device, sampler.draw(&mut stream)));
            }
            let candidates = drawn.as_ref().map(|(_, drawn)| drawn);
            let (own, ids) = self.prepare_part(step, &batch, part, candidates);
            of_device.extend(ids);
            let is_last = (part + 1).is_multiple_of(self.division.micro_batches);
            inputs.parts.push(own);
            if is_last {
                for (name, mut more) in self.sources(std::mem::take(&mut of_device)) {
                    match sources.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => known.append(&mut more),
                        None => sources.push((name, more)),
                    }
                }
            }
        }
        let index = |(name, ids): (&'static str, Vec<u32>)| (name, Data::Index(row_index(&ids)));
        let indices = sources.into_iter().map(index);
        match self.division.parts() {
            1 => inputs.parts[0].extend(indices),
            _ => inputs.update.extend(indices),
        }
        inputs.moves = self.place(&mut inputs);
        Prepared {
            inputs,
            epoch: batch.epoch,
            reset: batch.reset,
            words: batch.words,
            unknown: batch.unknown,
            position: batch.position,
        }
    }

    /// The inputs of a part without row indices, and the ids that row indices are built from.
    fn prepare_part(
        &self,
        step: u64,
        batch: &Batch,
        part: usize,
        drawn: Option<&Candidates>,
    ) -> (Inputs, Ids) {
        let (all, own) = (self.division.parts() * self.streams, self.streams);
        let columns = |ids: &[u32]| -> Vec<u32> {
            let times = ids.chunks_exact(all);
            times
                .flat_map(|ids| &ids[part * own..][..own])
                .copied()
                .collect()
        };
        let mut ids = Ids {
            inputs: columns(&batch.inputs),
            ..Ids::default()
        };
        let targets = columns(&batch.targets);
        let mut inputs: Inputs = Vec::with_capacity(8);
        if self.dropout {
            let words = [step, step >> 32, self.seed, self.seed >> 32].map(|word| word as u32);
            inputs.push(("random", Data::Index(words.to_vec())));
        }
        if let (Some(sampler), Some(drawn)) = (&self.sampler, drawn) {
            let row_of = |&target: &u32| match target {
                IGNORE => drawn.ids[0],
                target => target,
            };
            ids.candidates.clone_from(&drawn.ids);
            ids.targets.extend(targets.iter().map(row_of));
            let seen = [&ids.candidates[..], &ids.targets].concat();
            let log_q = sampler.log_expected_counts(&seen, drawn.tries);
            inputs.push(("log_q", Data::Real(log_q)));
            inputs.push(("candidates", Data::Index(drawn.ids.clone())));
        }
        if self.division.parts() > 1 && self.tied && self.sampler.is_none() {
            // A table tied to a full softmax has a dense gradient, to which each micro-batch adds its rows.
            let index = row_index(&ids.inputs);
            inputs.push((ROWS_EMBEDDING, Data::Index(index)));
        }
        inputs.push(("inputs", Data::Index(ids.inputs.clone())));
        inputs.extend(target_inputs(self.clusters.as_ref(), targets));
        (inputs, ids)
    }

    /// The ids of the gradient rows of a device, by the name of their row index.
    fn sources(&self, ids: Ids) -> Vec<(&'static str, Vec<u32>)> {
        let Ids {
            candidates,
            targets,
            inputs,
        } = ids;
        let softmax = [candidates, targets].concat();
        match (self.sampler.is_some(), self.tied) {
            (true, true) => {
                let table = [&softmax[..], &inputs].concat();
                vec![(ROWS_SOFTMAX, softmax), (ROWS_TABLE, table)]
            }
            (true, false) => vec![(ROWS_SOFTMAX, softmax), (ROWS_EMBEDDING, inputs)],
            (false, true) if self.division.parts() > 1 => Vec::new(),
            (false, _) => vec![(ROWS_EMBEDDING, inputs)],
        }
    }

    /// With tables on the host: gives the rows of a step their slots, and replaces ids by slots.
    fn place(&mut self, inputs: &mut StepInputs) -> Vec<Moves> {
        let mut moves = Vec::with_capacity(self.slots.len());
        let last = self.slots.len().saturating_sub(1);
        for (k, slots) in self.slots.iter_mut().enumerate() {
            // The first cache has the embedding, the last one the softmax. A tied table has one cache for both, and an adaptive
            // softmax has none.
            let is_mine = |name: &str| match name {
                "inputs" | ROWS_EMBEDDING => k == 0,
                "candidates" | "targets" | ROWS_SOFTMAX | ROWS_TABLE => k == last,
                _ => false,
            };
            let lists = inputs.parts.iter().flatten();
            let lists = lists.filter(|(name, _)| is_mine(name) && !is_row_index(name));
            let ids = lists.flat_map(|(_, data)| match data {
                Data::Index(ids) => ids.as_slice(),
                Data::Real(_) => &[],
            });
            moves.push(slots.place(ids.copied()));
            let all = inputs.parts.iter_mut().flatten().chain(&mut inputs.update);
            for (name, data) in all.filter(|(name, _)| is_mine(name)) {
                let Data::Index(words) = data else { continue };
                if is_row_index(name) {
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
