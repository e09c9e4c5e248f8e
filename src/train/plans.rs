//! The plans of a run. They are built once, from the configuration alone: the memory estimate counts them,
//! and the session loads them.

use std::sync::Arc;

use super::host_tables::exchange_plan;
use super::update::{DividedPlans, PendingGradient, divided_plans, training_plan};
use crate::config::{Config, TablePlacement};
use crate::device::{Executor, PlanId};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::graph::split::oversized;
use crate::model::division::{Division, Extent};
use crate::model::language_model;
use crate::numbers::bytes;

/// The plans that one device of a training run loads.
pub struct RunPlans {
    /// Of a training step.
    pub step: StepPlans,
    /// With tables on the host: moves rows between the host and the device before a step.
    pub table_exchange: Option<Arc<Plan>>,
    /// Of a batch of validation.
    pub evaluation: EvaluationPlans,
    /// Of one word of the sample at the end of the run.
    pub generation: Arc<Plan>,
    /// Whether the configuration names a text to validate on. Otherwise a run does not load `evaluation`.
    pub validates: bool,
    /// How a step is divided.
    pub division: Division,
}

/// The plans of a training step.
pub enum StepPlans {
    /// One device, one batch: forward, backward and update in one plan.
    Whole(Arc<Plan>),
    /// Several devices or micro-batches.
    Divided(DividedPlans),
}

/// The plans of a batch of evaluation.
pub enum EvaluationPlans {
    /// One plan.
    Whole(Arc<Plan>),
    /// With tables on the host: they are streamed through the device.
    Streamed(StreamedPlans),
}

/// The plans of an evaluation that streams the tables through the device.
pub struct StreamedPlans {
    /// From embedded tokens to the input of the softmax.
    pub hidden: Arc<Plan>,
    /// A tile of the softmax.
    pub tile: Arc<Plan>,
    /// From all tiles to the losses.
    pub loss: Arc<Plan>,
    /// Words of a tile.
    pub width: usize,
}

impl RunPlans {
    /// The plans of device `device` of a run of `config` with `vocabulary` words. `limits` are those of the
    /// device; the configuration may lower them.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        limits: &Limits,
        division: Division,
        device: usize,
    ) -> RunPlans {
        let limits = &limits.binding_at_most(config.device.max_binding);
        let step = if division.parts() == 1 {
            StepPlans::Whole(Arc::new(training_plan(config, vocabulary, limits, false)))
        } else {
            let plans = divided_plans(config, vocabulary, limits, division, device);
            StepPlans::Divided(plans)
        };
        let table_exchange = tables_on_host(config)
            .then(|| Arc::new(exchange_plan(config, vocabulary, limits, division)));
        RunPlans {
            step,
            table_exchange,
            evaluation: EvaluationPlans::new(config, vocabulary, limits, evaluation_extent(config)),
            generation: generation_plan(config, vocabulary, limits, 1),
            validates: config.data.validates(),
            division,
        }
    }

    /// The plans for each of these devices, the first of which is device `first` of the run.
    pub fn for_devices(
        config: &Config,
        vocabulary: usize,
        executors: &[Box<dyn Executor>],
        division: Division,
        first: usize,
    ) -> Vec<RunPlans> {
        let devices = executors.iter().zip(first..);
        let plans = devices.map(|(executor, device)| {
            RunPlans::new(config, vocabulary, &executor.limits(), division, device)
        });
        plans.collect()
    }

    /// All plans that the run loads, in the order in which it does.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        let training = self.step.iter().chain(&self.table_exchange);
        training
            .chain(self.loaded_evaluation())
            .chain(std::iter::once(&self.generation))
            .map(|plan| &**plan)
    }

    /// The plans of a batch of validation; none if the run does not validate.
    pub fn loaded_evaluation(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let evaluation = self.validates.then(|| self.evaluation.iter());
        evaluation.into_iter().flatten()
    }

    /// The gradients that several devices reduce in a step; none with one device.
    pub fn reduced_gradients(&self) -> &[PendingGradient] {
        match &self.step {
            StepPlans::Divided(plans) if self.division.devices > 1 => &plans.gradients,
            _ => &[],
        }
    }
}

impl StepPlans {
    /// The plans in the order in which they run.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let (micro_batches, last) = self.micro_batches_and_update();
        micro_batches.iter().chain(last)
    }

    /// The plans with the forward and backward pass, and that of the update where it is a separate plan.
    pub fn micro_batches_and_update(&self) -> (&[Arc<Plan>], Option<&Arc<Plan>>) {
        match self {
            StepPlans::Whole(plan) => (std::slice::from_ref(plan), None),
            StepPlans::Divided(plans) => (&plans.micro_batches, Some(&plans.update)),
        }
    }

    /// The plan of the whole step, or of its first micro-batch.
    pub fn first(&self) -> &Arc<Plan> {
        match self {
            StepPlans::Whole(plan) => plan,
            StepPlans::Divided(plans) => &plans.micro_batches[0],
        }
    }
}

impl EvaluationPlans {
    /// The plans that evaluate batches of `extent`, within `limits`.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        limits: &Limits,
        extent: Extent,
    ) -> EvaluationPlans {
        if tables_on_host(config) {
            let plans = language_model::streamed_evaluation(config, vocabulary, extent, limits);
            return EvaluationPlans::Streamed(StreamedPlans {
                hidden: Arc::new(plans.hidden),
                tile: Arc::new(plans.tile),
                loss: Arc::new(plans.loss),
                width: plans.width,
            });
        }
        let plan = language_model::evaluation(config, vocabulary, extent, limits);
        EvaluationPlans::Whole(Arc::new(plan))
    }

    /// The plans in the order in which they are loaded.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plan>> {
        match self {
            EvaluationPlans::Whole(plan) => vec![plan],
            EvaluationPlans::Streamed(plans) => vec![&plans.hidden, &plans.tile, &plans.loss],
        }
        .into_iter()
    }
}

/// Streams and steps of a batch of evaluation: those of training.
pub fn evaluation_extent(config: &Config) -> Extent {
    Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    }
}

/// The plan that generates `streams` texts in parallel, by one word each, within `limits`. It computes the
/// logits, or with tables on the host the input of the softmax.
pub fn generation_plan(
    config: &Config,
    vocabulary: usize,
    limits: &Limits,
    streams: usize,
) -> Arc<Plan> {
    let plan = if tables_on_host(config) {
        language_model::streamed_generation(config, vocabulary, streams, limits)
    } else {
        language_model::logits(config, vocabulary, streams, limits)
    };
    Arc::new(plan)
}

fn tables_on_host(config: &Config) -> bool {
    config.model.tables == TablePlacement::Host
}

/// Why a device with these limits cannot run a plan, if it has a tensor that cannot be bound even in pieces.
pub(super) fn refusal(plan: &Plan, limits: &Limits) -> Option<String> {
    let (step, binding, tensor) = oversized(plan, limits)?;
    Some(format!(
        "`{}` {} cannot be split into bindings of {} for `{binding}` of {} ({})",
        tensor.name,
        tensor.shape,
        bytes(4 * limits.slice as u64),
        step.kernel.name,
        step.label
    ))
}

/// Loads a plan on a device.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if a tensor cannot be bound, or the device is out of memory.
pub(super) fn load(
    executor: &mut dyn Executor,
    config: &Config,
    plan: &Arc<Plan>,
) -> Result<PlanId> {
    let limits = executor.limits().binding_at_most(config.device.max_binding);
    if let Some(what) = refusal(plan, &limits) {
        let help = if config.device.max_binding == 0 {
            "make the model, the batch or the unroll smaller, or use `--device cpu`"
        } else {
            "raise `device.max_binding`"
        };
        return Err(Error::device(what).help(help));
    }
    executor.load(plan.clone())
}
