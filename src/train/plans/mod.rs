//! The plans of a run. They are built once, from the configuration alone: the memory estimate counts them,
//! and the session loads them. Those of evaluation and generation are built on first use: not every run needs
//! them.

mod inference;

use std::sync::Arc;

pub use inference::{
    EvaluationPlans, StreamedPlans, StreamedSoftmaxPlans, evaluation_extent, generation_plan,
    validation_extent,
};
use inference::{InferencePlans, tables_on_host};

use super::host_tables::exchange_plan;
use super::update::{DividedPlans, PendingGradient, divided_plans, training_plan};
use crate::config::Config;
use crate::device::{Executor, PlanId};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::graph::rounding_plan;
use crate::graph::split::oversized;
use crate::model::division::Division;
use crate::model::parameter_set::ParameterSet;
use crate::numbers::bytes;

/// The plans that one device of a training run loads.
pub struct RunPlans {
    /// Of a training step.
    pub step: StepPlans,
    /// With copies of parameters in `f16`: writes them after the host has written parameters.
    pub rounding: Option<Arc<Plan>>,
    /// With tables on the host: moves rows between the host and the device before a step.
    pub table_exchange: Option<Arc<Plan>>,
    /// Of validation, and of the sample at the end of the run. Devices with the same limits share them.
    inference: Arc<InferencePlans>,
    /// Whether the configuration names a text to validate on. Otherwise a run does not load the plans of evaluation.
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
        let limits = limits.binding_at_most(config.device.max_binding);
        let inference = Arc::new(InferencePlans::new(config, vocabulary, limits));
        RunPlans::with_inference(inference, division, device)
    }

    /// The same with these plans of evaluation and generation, for a device with their limits.
    fn with_inference(
        inference: Arc<InferencePlans>,
        division: Division,
        device: usize,
    ) -> RunPlans {
        let (config, limits) = (&inference.config, &inference.limits);
        let vocabulary = inference.vocabulary;
        let step = if division.parts() == 1 {
            StepPlans::Whole(Arc::new(training_plan(config, vocabulary, limits, false)))
        } else {
            let plans = divided_plans(config, vocabulary, limits, division, device);
            StepPlans::Divided(plans)
        };
        let table_exchange = tables_on_host(config)
            .then(|| Arc::new(exchange_plan(config, vocabulary, limits, division)));
        RunPlans {
            rounding: rounding_plan(step.first()).map(Arc::new),
            step,
            table_exchange,
            validates: config.data.validates(),
            division,
            inference,
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
        let mut plans: Vec<RunPlans> = Vec::with_capacity(executors.len());
        for (executor, device) in executors.iter().zip(first..) {
            let limits = executor.limits().binding_at_most(config.device.max_binding);
            let mut known = plans.iter().map(|plans| &plans.inference);
            let same = known.find(|inference| inference.limits == limits).cloned();
            let inference =
                same.unwrap_or_else(|| Arc::new(InferencePlans::new(config, vocabulary, limits)));
            plans.push(RunPlans::with_inference(inference, division, device));
        }
        plans
    }

    /// All plans that the run loads, in the order in which it does.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        let training = self.step.iter().chain(&self.rounding);
        training
            .chain(&self.table_exchange)
            .chain(self.loaded_evaluation())
            .chain(std::iter::once(self.generation(ParameterSet::Last)))
            .map(|plan| &**plan)
    }

    /// The plans of a batch of evaluation, of the size of a training batch.
    pub fn evaluation(&self, set: ParameterSet) -> &EvaluationPlans {
        self.inference.evaluation(set)
    }

    /// The plan of one word of the sample at the end of the run.
    pub fn generation(&self, set: ParameterSet) -> &Arc<Plan> {
        self.inference.generation(set)
    }

    /// The plans of validation that a run loads, for each set of parameters that it uses; none if it does not validate.
    pub fn loaded_evaluation(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let sets = ParameterSet::of_run(&self.inference.config, 0).into_iter();
        let used = sets.filter(|_| self.validates);
        used.flat_map(|set| self.evaluation(set).iter())
    }

    /// The plans of a validation batch; none if the run does not validate.
    pub fn batch_of_evaluation(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let evaluation = self
            .validates
            .then(|| self.evaluation(ParameterSet::Last).iter());
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
