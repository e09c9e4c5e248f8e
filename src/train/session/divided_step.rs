//! A training step that is divided between devices (data parallelism), into micro-batches (gradient accumulation), or both.
//!
//! Every device holds the whole model and computes its own streams. It runs its micro-batches in sequence and accumulates
//! their gradients. The host reduces the gradients of several devices: see [`GradientReduction`]. Then every device runs the same
//! update on the same numbers, so the models stay identical.

use super::reduction::GradientReduction;
use super::step_result::{StepResult, output};
use crate::config::{Config, Recipe};
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::kernels::optimizer::control;
use crate::model::language_model::Division;
use crate::tensor::names::LOSS_SCALE;
use crate::train::collective::Collective;
use crate::train::plans::load;
use crate::train::prepare::StepInputs;
use crate::train::update::{DividedPlans, Norm};

/// The loaded plans of a divided step.
pub(super) struct DividedStep {
    division: Division,
    /// For each device of this process, the plan of each micro-batch.
    micro_batches: Vec<Vec<PlanId>>,
    /// The update of each device of this process.
    updates: Vec<PlanId>,
    recipe: Recipe,
    scales_loss: bool,
    reduction: GradientReduction,
}

impl DividedStep {
    /// Loads the plans of each device.
    pub fn load(
        executors: &mut [Box<dyn Executor>],
        config: &Config,
        division: Division,
        plans: &[&DividedPlans],
    ) -> Result<DividedStep> {
        let (mut micro_batches, mut updates) = (Vec::new(), Vec::new());
        for (executor, plans) in executors.iter_mut().zip(plans) {
            let executor = &mut **executor;
            let mut loaded = Vec::with_capacity(plans.micro_batches.len());
            for plan in &plans.micro_batches {
                loaded.push(load(executor, config, plan)?);
            }
            micro_batches.push(loaded);
            updates.push(load(executor, config, &plans.update)?);
        }
        Ok(DividedStep {
            division,
            micro_batches,
            updates,
            recipe: config.train.recipe,
            scales_loss: config.train.precision.multiplies_halves(),
            reduction: GradientReduction::new(config, division.devices, plans),
        })
    }

    /// The plan of the first micro-batch of the first device.
    pub fn first_micro_batch(&self) -> PlanId {
        self.micro_batches[0][0]
    }

    fn has_several_devices(&self) -> bool {
        self.division.devices > 1
    }

    /// Starts all micro-batches of a step on the devices of this process. During the last one, the gradients
    /// of several devices are read as soon as they are complete.
    pub fn start(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &dyn Collective,
        inputs: &mut StepInputs,
    ) -> Result<()> {
        if self.scales_loss {
            // Micro-batches read the loss scale from a tensor.
            for part in &mut inputs.parts {
                part.retain(|(name, _)| *name != "control");
            }
        }
        if self.scales_loss && self.has_several_devices() {
            let scale = f64::from(executors[0].read(LOSS_SCALE)?[0]);
            self.reduction.set_loss_scale(scale);
        }
        let count = self.division.micro_batches;
        let first = collective.rank() * executors.len();
        for micro_batch in 0..count {
            let is_read = self.has_several_devices() && micro_batch + 1 == count;
            for (k, executor) in executors.iter_mut().enumerate() {
                let reads = if is_read {
                    self.reduction.reads(k)
                } else {
                    Vec::new()
                };
                let part = &inputs.parts[(first + k) * count + micro_batch];
                executor.run_reading(self.micro_batches[k][micro_batch], part, &reads)?;
            }
        }
        Ok(())
    }

    /// Reduces the gradients of the step that was started over all devices. Reads that were started before
    /// the step must be finished.
    pub fn reduce(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &mut dyn Collective,
    ) -> Result<()> {
        if self.has_several_devices() {
            self.reduction.reduce(executors, collective)
        } else {
            Ok(())
        }
    }

    /// Starts the update of the step whose gradients were reduced, on every device that is not lost.
    pub fn update(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        inputs: &mut StepInputs,
    ) -> Result<()> {
        if self.has_several_devices() && self.recipe == Recipe::Paper {
            // Gradients are clipped already, each device's by its own norm.
            for (name, data) in &mut inputs.update {
                if let ("control", Data::Real(control)) = (*name, data) {
                    control[control::CLIP_NORM] = 0.0;
                }
            }
        }
        let mut lost = None;
        for (executor, plan) in executors.iter_mut().zip(&self.updates) {
            lost = executor.run(*plan, &inputs.update).err().or(lost);
        }
        lost.map_or(Ok(()), Err)
    }

    /// Waits for the oldest step on all devices.
    pub fn fetch(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &mut dyn Collective,
    ) -> Result<StepResult> {
        let (mut loss, mut norms) = ([0.0], Vec::new());
        for executor in executors {
            for _ in 0..self.division.micro_batches {
                loss[0] += output(&executor.fetch()?, "loss")[0];
            }
            let (_, norm) = executor.fetch()?.swap_remove(0);
            norms.push(Norm::of(&norm));
        }
        collective.all_reduce_f64(&mut loss)?;
        // All devices compute the same norm.
        let mut norm = norms[0];
        if let Some(largest) = self.reduction.largest_norm() {
            norm.value = largest;
        }
        Ok(StepResult {
            loss: loss[0] / self.division.parts() as f64,
            norm,
        })
    }
}
