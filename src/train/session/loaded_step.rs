//! The plans of a training step on the devices, and the results of a step.

use super::divided_step::DividedStep;
use crate::config::Config;
use crate::device::{Executor, Outputs, PlanId};
use crate::error::Result;
use crate::model::language_model::Division;
use crate::train::plans::{RunPlans, StepPlans, load};
use crate::train::update::Norm;

/// The loaded plans of a step.
pub(super) enum LoadedStep {
    /// One plan.
    Whole(PlanId),
    /// Plans for micro-batches and the update.
    Divided(Box<DividedStep>),
}

impl LoadedStep {
    /// Loads the plans of a step on each device.
    pub fn load(
        executors: &mut [Box<dyn Executor>],
        config: &Config,
        division: Division,
        plans: &[RunPlans],
    ) -> Result<LoadedStep> {
        let mut divided = Vec::with_capacity(plans.len());
        for plans in plans {
            match &plans.step {
                StepPlans::Whole(plan) => {
                    return Ok(LoadedStep::Whole(load(&mut *executors[0], config, plan)?));
                }
                StepPlans::Divided(plans) => divided.push(plans),
            }
        }
        let step = DividedStep::load(executors, config, division, &divided)?;
        Ok(LoadedStep::Divided(Box::new(step)))
    }
}

/// What a training step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// The mean loss over all positions of the batch, in nats. The plan divides by the number of positions, padding included.
    pub loss: f64,
    /// The norm of the gradients.
    pub norm: Norm,
}

impl StepResult {
    /// Reads the outputs of a training plan.
    pub(super) fn of(outputs: &Outputs) -> StepResult {
        let output = |name: &str| {
            let found = outputs.iter().find(|(output, _)| output == name);
            let (_, values) = found.expect("a training plan has this output");
            values.as_slice()
        };
        StepResult {
            loss: output("loss")[0],
            norm: Norm::of(output("norm")),
        }
    }
}
