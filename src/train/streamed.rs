//! Evaluation and generation with the tables on the host: the embedding is looked up there, and the softmax's weights travel tile
//! after tile to the device, the next one while the device computes.

use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::tables::Tables;
use crate::config::Config;
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::kernels::softmax::IGNORE;
use crate::model::language_model::Streamed;
use crate::tensor::names;

/// What a bias of no word is: its logit adds nothing to any sum of exponentials.
const NOTHING: f32 = -1e30;

/// An evaluation that was loaded.
pub(super) struct Evaluation {
    hidden: PlanId,
    tile: PlanId,
    loss: PlanId,
    width: usize,
    embedding: usize,
    depth: usize,
    weight: &'static str,
}

impl Evaluation {
    /// Has the device load the plans, one after the other.
    pub fn load(
        config: &Config,
        plans: Streamed,
        mut load: impl FnMut(Arc<crate::graph::plan::Plan>) -> Result<PlanId>,
    ) -> Result<Evaluation> {
        Ok(Evaluation {
            hidden: load(Arc::new(plans.hidden))?,
            tile: load(Arc::new(plans.tile))?,
            loss: load(Arc::new(plans.loss))?,
            width: plans.width,
            embedding: config.model.embedding,
            depth: config.model.output_size(),
            weight: softmax_weight(config),
        })
    }

    /// The losses `[N]` of `targets [N]` after `inputs [N]`.
    pub fn run(
        &self,
        executor: &mut dyn Executor,
        tables: &Tables,
        inputs: &[u32],
        targets: &[u32],
    ) -> Result<Vec<f64>> {
        let embedded = look_up(tables.rows("embedding.weight"), self.embedding, inputs);
        executor.send(names::evaluation::EMBEDDED, &embedded)?;
        executor.run(self.hidden, &Vec::new())?;
        let mut runs = 1;
        let running: Vec<f32> = targets.iter().flat_map(|_| [NOTHING, 0.0, 0.0]).collect();
        executor.send(names::evaluation::RUNNING, &running)?;
        let (weight, bias) = (tables.rows(self.weight), tables.rows("softmax.bias"));
        let tiles = weight
            .chunks(self.width * self.depth)
            .zip(bias.chunks(self.width));
        for (k, (weight, bias)) in tiles.enumerate() {
            let start = k * self.width;
            executor.send(names::evaluation::WEIGHT, weight)?;
            if bias.len() < self.width {
                // Rows of the tile before are left, and count nothing.
                let mut bias = bias.to_vec();
                bias.resize(self.width, NOTHING);
                executor.send(names::evaluation::BIAS, &bias)?;
            } else {
                executor.send(names::evaluation::BIAS, bias)?;
            }
            let width = bias.len();
            let within = targets.iter().map(|&target| match target {
                IGNORE => IGNORE,
                // Past the tile: in another one.
                target => match (target as usize).checked_sub(start) {
                    Some(column) if column < width => column as u32,
                    _ => self.width as u32,
                },
            });
            let inputs = vec![("targets", Data::Index(within.collect()))];
            executor.run(self.tile, &inputs)?;
            runs += 1;
            // No more copies of tiles wait in memory than runs are on their way.
            while runs > executor.in_flight() {
                executor.fetch()?;
                runs -= 1;
            }
        }
        let inputs = vec![("targets", Data::Index(targets.to_vec()))];
        executor.run(self.loss, &inputs)?;
        for _ in 0..runs {
            executor.fetch()?;
        }
        let (_, nll) = executor.fetch()?.swap_remove(0);
        Ok(nll)
    }
}

/// The logits `[B, V]` of what the softmax sees after one more word of each text, computed on the host: the weights are read once, and would have
/// to travel for that.
pub(super) fn logits(
    executor: &mut dyn Executor,
    plan: PlanId,
    config: &Config,
    tables: &Tables,
    words: &[u32],
) -> Result<Vec<f64>> {
    let embedded = look_up(
        tables.rows("embedding.weight"),
        config.model.embedding,
        words,
    );
    executor.send(names::generation::EMBEDDED, &embedded)?;
    executor.run(plan, &Vec::new())?;
    executor.fetch()?;
    let h = executor.read(names::generation::H)?;
    let (weight, bias) = (
        tables.rows(softmax_weight(config)),
        tables.rows("softmax.bias"),
    );
    let mut logits = vec![0.0; words.len() * bias.len()];
    const WORDS: usize = 1 << 10;
    let depth = h.len() / words.len();
    for (logits, h) in logits.chunks_mut(bias.len()).zip(h.chunks(depth)) {
        logits
            .par_chunks_mut(WORDS)
            .zip(weight.par_chunks(WORDS * depth))
            .zip(bias.par_chunks(WORDS))
            .for_each(|((logits, weight), bias)| {
                let rows = weight.chunks_exact(depth).zip(bias);
                for (logit, (weight, bias)) in logits.iter_mut().zip(rows) {
                    let product: f32 = crate::kernels::dot(h, weight);
                    *logit = f64::from(product + bias);
                }
            });
    }
    Ok(logits)
}

fn softmax_weight(config: &Config) -> &'static str {
    match config.model.tied {
        true => "embedding.weight",
        false => "softmax.weight",
    }
}

/// Rows of a table, one after the other.
fn look_up(table: &[f32], width: usize, ids: &[u32]) -> Vec<f32> {
    let rows = ids.iter().map(|&id| &table[id as usize * width..][..width]);
    rows.flatten().copied().collect()
}
