//! A step whose batch is computed in parts: by several devices, in several micro-batches, or both.
//!
//! Every device has the whole model and some streams. It computes its goes one after the other and adds up their gradients. Those
//! of several devices are joined by the host, each as soon as it is done, while the backward pass goes on: those of whole
//! parameters become their mean, those of rows stand one behind the other with the rows of all devices. Then every device makes
//! the same update, from the same numbers, so that the models stay the same.
//!
//! By the recipe `paper` the recurrent gradients are clipped on each device before their mean. Their joint norm is known when the
//! last one is there: so they are fetched while the backward pass goes on, and sent when it has ended.

use std::sync::Arc;

use half::f16;

use super::collective::Collective;
use super::prepare::StepInputs;
use super::update::{InParts, PendingGradient, plans_in_parts};
use crate::config::{Config, Precision, Recipe};
use crate::device::{Data, Executor, Outputs, PlanId, ReadAfter};
use crate::error::Result;
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::model::language_model::{Division, Part};
use crate::team;
use crate::tensor::names::LOSS_SCALE;

/// The elements that a thread works on at once.
const TASK: usize = 1 << 16;

/// See the module.
pub(super) struct Parts {
    division: Division,
    /// The micro-batches of each device of this machine.
    micro_batches: Vec<Vec<PlanId>>,
    updates: Vec<PlanId>,
    left: Vec<PendingGradient>,
    /// For each device the step of its last micro-batch after which each of `left` is done: devices of other limits have other steps.
    done: Vec<Vec<usize>>,
    clip_norm: f64,
    recipe: Recipe,
    mixed: bool,
    /// What the losses of the step that was started last were multiplied by.
    loss_scale: f64,
    /// What was fetched of each device of this machine.
    fetched: Vec<Vec<f32>>,
    /// Gradients that are clipped, of each device of this machine.
    waiting: Vec<Vec<Vec<f32>>>,
    /// A sum over devices, and rows of all of them. All of these keep their memory: it is as large as the model, and new pages
    /// would take longer to come than the sums.
    sum: Vec<f32>,
    rows: Vec<f32>,
    /// By `paper` the norm of the recurrent gradients of every device, before clipping, of the step that was started last.
    norms: Vec<f64>,
}

impl Parts {
    /// Has the devices load their plans. Gives the plan of the first micro-batch too.
    pub fn load(
        executors: &mut [Box<dyn Executor>],
        config: &Config,
        vocabulary: usize,
        (division, first): (Division, usize),
        limits: impl Fn(&dyn Executor) -> Limits,
        mut load: impl FnMut(&mut dyn Executor, Arc<Plan>) -> Result<PlanId>,
    ) -> Result<(Parts, Arc<Plan>)> {
        let (mut micro_batches, mut update, mut done) = (Vec::new(), Vec::new(), Vec::new());
        let (mut listed, mut plan) = (None, None);
        for (k, executor) in executors.iter_mut().enumerate() {
            let part = Part {
                device: first + k,
                micro_batch: 0,
                division,
            };
            let InParts {
                micro_batches: plans,
                update: last,
                left,
            } = plans_in_parts(config, vocabulary, &limits(&**executor), part);
            let mut loaded = Vec::with_capacity(plans.len());
            for micro_batch in plans {
                let micro_batch = Arc::new(micro_batch);
                loaded.push(load(&mut **executor, micro_batch.clone())?);
                plan.get_or_insert(micro_batch);
            }
            micro_batches.push(loaded);
            update.push(load(&mut **executor, Arc::new(last))?);
            done.push(left.iter().map(|left| left.after).collect());
            let listed = listed.get_or_insert_with(|| left.clone());
            let same =
                |one: &PendingGradient, other: &PendingGradient| one.parameter == other.parameter;
            assert!(
                listed
                    .iter()
                    .zip(&left)
                    .all(|(one, other)| same(one, other)),
                "gradients are done in the same order everywhere"
            );
        }
        let left = listed.expect("at least one device");
        let clipped = left.iter().filter(|left| left.clipped).count();
        let parts = Parts {
            division,
            fetched: vec![Vec::new(); executors.len()],
            waiting: vec![vec![Vec::new(); clipped]; executors.len()],
            sum: Vec::new(),
            rows: Vec::new(),
            micro_batches,
            updates: update,
            done,
            left,
            clip_norm: config.train.clip_norm,
            recipe: config.train.recipe,
            mixed: config.train.precision == Precision::Mixed,
            loss_scale: 1.0,
            norms: Vec::new(),
        };
        Ok((parts, plan.expect("at least one device")))
    }

    /// The plan of the first micro-batch of the first device.
    pub fn first_micro_batch(&self) -> PlanId {
        self.micro_batches[0][0]
    }

    /// Whether the gradients of several devices are joined.
    fn joins(&self) -> bool {
        self.division.devices > 1
    }

    /// The first device of this machine among all.
    fn first(&self, collective: &dyn Collective) -> usize {
        collective.rank() * self.micro_batches.len()
    }

    /// Starts all micro-batches of a step on the devices of this machine.
    pub fn start(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &dyn Collective,
        inputs: &mut StepInputs,
    ) -> Result<()> {
        if self.mixed {
            // The micro-batches multiply the loss by a tensor.
            for part in &mut inputs.parts {
                part.retain(|(name, _)| *name != "control");
            }
        }
        self.loss_scale = match self.mixed && self.joins() {
            true => f64::from(executors[0].read(LOSS_SCALE)?[0]),
            false => 1.0,
        };
        let first = self.first(collective);
        for micro_batch in 0..self.division.micro_batches {
            let is_read = self.joins() && micro_batch + 1 == self.division.micro_batches;
            for (k, executor) in executors.iter_mut().enumerate() {
                let left = self.left.iter().zip(&self.done[k]);
                let reads: Vec<ReadAfter<'_>> = left
                    .filter(|_| is_read)
                    .map(|(left, after)| ReadAfter {
                        step: *after,
                        name: &left.tensor,
                        len: left.len,
                    })
                    .collect();
                let part = (first + k) * self.division.micro_batches + micro_batch;
                executor.run_reading(
                    self.micro_batches[k][micro_batch],
                    &inputs.parts[part],
                    &reads,
                )?;
            }
        }
        Ok(())
    }

    /// Starts the update of the step whose gradients were joined, on every device that is not lost.
    pub fn update(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        inputs: &mut StepInputs,
    ) -> Result<()> {
        if self.joins() {
            for (name, data) in &mut inputs.update {
                // What was clipped on every device is not clipped again.
                if let ("control", Data::Real(control), Recipe::Paper) = (*name, data, self.recipe)
                {
                    control[1] = 0.0;
                }
            }
        }
        let mut lost = None;
        for (executor, plan) in executors.iter_mut().zip(&self.updates) {
            lost = executor.run(*plan, &inputs.update).err().or(lost);
        }
        lost.map_or(Ok(()), Err)
    }

    /// Joins the gradients of the step that was started, those of several devices, in the order in which they are done. Reads that
    /// were begun before the step must be finished.
    pub fn join(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &mut dyn Collective,
    ) -> Result<()> {
        if !self.joins() {
            return Ok(());
        }
        let loss_scale = self.loss_scale;
        let devices = self.division.devices;
        let mut squares = vec![0.0; devices];
        let first = self.first(collective);
        let (mut sum, mut rows) = (
            std::mem::take(&mut self.sum),
            std::mem::take(&mut self.rows),
        );
        let mut clipped = 0;
        for left in &self.left {
            for (executor, fetched) in executors.iter_mut().zip(&mut self.fetched) {
                fetched.clear();
                executor.finish_read(fetched)?;
            }
            if left.rows {
                rows.clear();
                self.fetched.iter().for_each(|own| rows.extend(own));
                collective.all_gather(&mut rows, self.mixed)?;
                for executor in &mut *executors {
                    executor.send(&left.joined, &rows)?;
                }
            } else if left.clipped {
                for (k, (fetched, waiting)) in
                    self.fetched.iter_mut().zip(&mut self.waiting).enumerate()
                {
                    squares[first + k] += sum_squares(fetched);
                    std::mem::swap(fetched, &mut waiting[clipped]);
                }
                clipped += 1;
            } else {
                let factors = vec![1.0; executors.len()];
                let fetched: Vec<&[f32]> = self.fetched.iter().map(Vec::as_slice).collect();
                self.join_dense(left, &fetched, &factors, collective, &mut sum)?;
                for executor in &mut *executors {
                    executor.send(&left.joined, &sum)?;
                }
            }
        }
        // Every device's is known to all, so that all report the same.
        collective.all_reduce_f64(&mut squares)?;
        self.norms = squares.iter().map(|sum| sum.sqrt() / loss_scale).collect();
        if self.recipe == Recipe::Plain {
            self.norms.clear();
        }
        let factors: Vec<f32> = self.norms[..]
            .iter()
            .skip(first)
            .take(executors.len())
            .map(
                |&norm| match self.clip_norm > 0.0 && norm > self.clip_norm {
                    true => (self.clip_norm / norm) as f32,
                    false => 1.0,
                },
            )
            .collect();
        let clipped = self.left.iter().filter(|left| left.clipped);
        for (k, left) in clipped.enumerate() {
            let waiting: Vec<&[f32]> = self.waiting.iter().map(|list| list[k].as_slice()).collect();
            self.join_dense(left, &waiting, &factors, collective, &mut sum)?;
            for executor in &mut *executors {
                executor.send(&left.joined, &sum)?;
            }
        }
        (self.sum, self.rows) = (sum, rows);
        Ok(())
    }

    /// The mean or the sum over all devices of `factor * gradient`.
    fn join_dense(
        &self,
        left: &PendingGradient,
        gradients: &[&[f32]],
        factors: &[f32],
        collective: &mut dyn Collective,
        sum: &mut Vec<f32>,
    ) -> Result<()> {
        let share = match left.summed {
            true => 1.0,
            false => 1.0 / self.division.devices as f32,
        };
        sum.clear();
        sum.resize(gradients[0].len(), 0.0);
        // A mean is no larger than what it is of, so that it does not overflow in `f16` on its way between machines.
        team::chunks(sum, TASK, |k, sum| {
            for (gradient, factor) in gradients.iter().zip(factors) {
                let factor = share * factor;
                for (sum, x) in sum.iter_mut().zip(&gradient[k * TASK..]) {
                    *sum += factor * x;
                }
            }
        });
        collective.all_reduce(sum, self.mixed)?;
        if self.mixed {
            team::chunks(sum, TASK, |_, sum| {
                for x in sum {
                    *x = f16::from_f32(*x).to_f32();
                }
            });
        }
        Ok(())
    }

    /// Waits for the oldest step of all devices: the mean loss, and the norm.
    pub fn fetch(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &mut dyn Collective,
    ) -> Result<Outputs> {
        let (mut loss, mut norm) = ([0.0], None);
        for executor in executors {
            for _ in 0..self.division.micro_batches {
                let outputs = executor.fetch()?;
                let (_, value) = outputs
                    .iter()
                    .find(|(name, _)| name == "loss")
                    .expect("a loss");
                loss[0] += value[0];
            }
            let (_, value) = executor.fetch()?.swap_remove(0);
            norm.get_or_insert(value);
        }
        collective.all_reduce_f64(&mut loss)?;
        let mut norm = norm.expect("at least one device");
        // The largest of those that were clipped, NaN before all.
        if let Some(largest) = self
            .norms
            .iter()
            .copied()
            .reduce(|x, y| match y > x || y.is_nan() {
                true => y,
                false => x,
            })
        {
            norm[0] = largest;
        }
        let loss = loss[0] / self.division.parts() as f64;
        Ok(vec![
            ("loss".to_owned(), vec![loss]),
            ("norm".to_owned(), norm),
        ])
    }
}

/// The sum of the squares, in an order that no number of threads changes.
fn sum_squares(values: &[f32]) -> f64 {
    let mut sums = vec![0.0; values.len().div_ceil(TASK)];
    team::chunks(&mut sums, 1, |k, sum| {
        let values = &values[k * TASK..values.len().min((k + 1) * TASK)];
        sum[0] = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    });
    sums.iter().sum()
}
