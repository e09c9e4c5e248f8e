//! Evaluation and generation with tables on the host. The host looks up the embedding. The softmax weights are sent to the device
//! tile by tile, each while the device computes with the previous one. An adaptive softmax is on the device.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::tables::HostTables;
use crate::config::Config;
use crate::device::{Data, Executor, Inputs, PlanId};
use crate::error::Result;
use crate::kernels::softmax::IGNORE;
use crate::model::clusters::Clusters;
use crate::tensor::names;
use crate::train::cluster_inputs::{joined_logits, target_inputs};
use crate::train::plans::{StreamedPlans, load};

/// The bias of a row without a word: its logit adds nothing to a sum of exponentials.
const NO_WORD: f32 = -1e30;

/// Words whose logits a thread computes at once.
const TASK: usize = 1 << 10;

/// The loaded plans of a streamed evaluation.
pub struct StreamedEvaluation {
    hidden: PlanId,
    softmax: Option<StreamedSoftmax>,
    embedding: usize,
}

/// The loaded plans of a softmax whose weights are on the host.
pub struct StreamedSoftmax {
    tile: PlanId,
    loss: PlanId,
    /// Words of a tile.
    width: usize,
    /// Elements of a row of the softmax.
    depth: usize,
    weight: &'static str,
}

impl StreamedEvaluation {
    /// Loads the plans.
    pub fn load(
        executor: &mut dyn Executor,
        config: &Config,
        plans: &StreamedPlans,
    ) -> Result<StreamedEvaluation> {
        let hidden = load(executor, config, &plans.hidden)?;
        let softmax = match &plans.softmax {
            Some(softmax) => Some(StreamedSoftmax {
                tile: load(executor, config, &softmax.tile)?,
                loss: load(executor, config, &softmax.loss)?,
                width: softmax.width,
                depth: config.model.output_size(),
                weight: names::softmax_weight(config.model.tied),
            }),
            None => None,
        };
        Ok(StreamedEvaluation {
            hidden,
            softmax,
            embedding: config.model.embedding,
        })
    }

    /// The softmax, if its weights are on the host.
    pub fn softmax(&self) -> Option<&StreamedSoftmax> {
        self.softmax.as_ref()
    }

    /// The losses `[T*B]`, in nats, of `targets [T*B]` after `words [T*B]`. `clusters`: the clusters of an adaptive softmax.
    pub fn run(
        &self,
        executor: &mut dyn Executor,
        tables: &HostTables,
        words: &[u32],
        targets: Vec<u32>,
        clusters: Option<&Clusters>,
    ) -> Result<Vec<f64>> {
        match &self.softmax {
            Some(softmax) => {
                self.run_layers(executor, tables, words, &Vec::new())?;
                softmax.run(executor, tables, &targets, 1)
            }
            None => {
                let inputs = target_inputs(clusters, targets);
                self.run_layers(executor, tables, words, &inputs)?;
                let (_, nll) = executor.fetch()?.swap_remove(0);
                Ok(nll)
            }
        }
    }

    /// The inputs of the softmax, `[T*B, P]`, for `words [T*B]`. `inputs`: the other inputs of the plan.
    pub fn hidden(
        &self,
        executor: &mut dyn Executor,
        tables: &HostTables,
        words: &[u32],
        inputs: &Inputs,
    ) -> Result<Vec<f32>> {
        self.run_layers(executor, tables, words, inputs)?;
        executor.fetch()?;
        executor.read(names::evaluation::H)
    }

    fn run_layers(
        &self,
        executor: &mut dyn Executor,
        tables: &HostTables,
        words: &[u32],
        inputs: &Inputs,
    ) -> Result<()> {
        let embedded = look_up(tables.rows(names::EMBEDDING), self.embedding, words);
        executor.send(names::evaluation::EMBEDDED, &embedded)?;
        executor.run(self.hidden, inputs)
    }
}

impl StreamedSoftmax {
    /// The losses `[T*B]`, in nats, of `targets [T*B]` for the inputs `h [T*B, P]` of the softmax.
    pub fn losses(
        &self,
        executor: &mut dyn Executor,
        tables: &HostTables,
        h: &[f32],
        targets: &[u32],
    ) -> Result<Vec<f64>> {
        executor.send(names::evaluation::H, h)?;
        self.run(executor, tables, targets, 0)
    }

    /// The logits of `targets [T*B]` for the inputs `h [T*B, P]` of the softmax; 0 for padding. Computed on the host, which has
    /// the weights.
    pub fn target_logits(&self, tables: &HostTables, h: &[f32], targets: &[u32]) -> Vec<f64> {
        let (weight, bias) = (tables.rows(self.weight), tables.rows(names::SOFTMAX_BIAS));
        let rows = h.chunks_exact(self.depth).zip(targets);
        rows.map(|(h, &target)| {
            if target == IGNORE {
                return 0.0;
            }
            let target = target as usize;
            let weight = &weight[target * self.depth..][..self.depth];
            let product: f32 = crate::kernels::parallel::dot(h, weight);
            f64::from(product + bias[target])
        })
        .collect()
    }

    /// The losses for the inputs of the softmax on the device. `runs`: the number of earlier runs that are not fetched yet.
    fn run(
        &self,
        executor: &mut dyn Executor,
        tables: &HostTables,
        targets: &[u32],
        mut runs: usize,
    ) -> Result<Vec<f64>> {
        let running: Vec<f32> = targets.iter().flat_map(|_| [NO_WORD, 0.0, 0.0]).collect();
        executor.send(names::evaluation::RUNNING, &running)?;
        let (weight, bias) = (tables.rows(self.weight), tables.rows(names::SOFTMAX_BIAS));
        let tiles = weight
            .chunks(self.width * self.depth)
            .zip(bias.chunks(self.width));
        for (k, (weight, bias)) in tiles.enumerate() {
            let start = k * self.width;
            executor.send(names::evaluation::WEIGHT, weight)?;
            if bias.len() < self.width {
                // The device still has rows of the tile before: they must not count.
                let mut bias = bias.to_vec();
                bias.resize(self.width, NO_WORD);
                executor.send(names::evaluation::BIAS, &bias)?;
            } else {
                executor.send(names::evaluation::BIAS, bias)?;
            }
            let width = bias.len();
            let within = targets.iter().map(|&target| match target {
                IGNORE => IGNORE,
                // Words of other tiles get a column past this one.
                target => match (target as usize).checked_sub(start) {
                    Some(column) if column < width => column as u32,
                    _ => self.width as u32,
                },
            });
            let inputs = vec![("targets", Data::Index(within.collect()))];
            executor.run(self.tile, &inputs)?;
            runs += 1;
            // Limits the copies of tiles that wait in memory.
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

/// The logits `[B, V]` after one more word of each text. The host computes the logits, except those of an adaptive softmax: every
/// weight is used once, so sending the weights to the device would take longer. `clusters`: the clusters of an adaptive softmax.
pub fn streamed_logits(
    executor: &mut dyn Executor,
    plan: PlanId,
    config: &Config,
    tables: &HostTables,
    words: &[u32],
    clusters: Option<&Clusters>,
) -> Result<Vec<f64>> {
    let embedded = look_up(tables.rows(names::EMBEDDING), config.model.embedding, words);
    executor.send(names::generation::EMBEDDED, &embedded)?;
    executor.run(plan, &Vec::new())?;
    let outputs = executor.fetch()?;
    if let Some(clusters) = clusters {
        return Ok(joined_logits(clusters, &outputs));
    }
    let h = executor.read(names::generation::H)?;
    let (weight, bias) = (
        tables.rows(names::softmax_weight(config.model.tied)),
        tables.rows(names::SOFTMAX_BIAS),
    );
    let mut logits = vec![0.0; words.len() * bias.len()];
    let depth = h.len() / words.len();
    for (logits, h) in logits.chunks_mut(bias.len()).zip(h.chunks(depth)) {
        logits
            .par_chunks_mut(TASK)
            .zip(weight.par_chunks(TASK * depth))
            .zip(bias.par_chunks(TASK))
            .for_each(|((logits, weight), bias)| {
                let rows = weight.chunks_exact(depth).zip(bias);
                for (logit, (weight, bias)) in logits.iter_mut().zip(rows) {
                    let product: f32 = crate::kernels::parallel::dot(h, weight);
                    *logit = f64::from(product + bias);
                }
            });
    }
    Ok(logits)
}

/// The rows of a table with these ids, concatenated.
fn look_up(table: &[f32], width: usize, ids: &[u32]) -> Vec<f32> {
    let rows = ids.iter().map(|&id| &table[id as usize * width..][..width]);
    rows.flatten().copied().collect()
}
