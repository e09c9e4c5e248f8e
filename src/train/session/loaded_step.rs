//! The plans of a training step on the devices.

use super::divided_step::DividedStep;
use crate::config::Config;
use crate::device::{Executor, PlanId};
use crate::error::Result;
use crate::model::language_model::Division;
use crate::train::plans::{RunPlans, StepPlans, load};

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
