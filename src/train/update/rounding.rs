//! The `f16` copies of parameters before the first step.

use std::sync::Arc;

use crate::device::Executor;
use crate::error::Result;
use crate::graph::plan::Plan;
use crate::graph::rounding_plan;

/// Writes the copies in `f16` of the parameters of a training plan that is loaded, if it keeps any. All runs before it must have
/// been fetched.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
pub fn round_parameters(executor: &mut dyn Executor, training: &Plan) -> Result<()> {
    if let Some(plan) = rounding_plan(training) {
        let id = executor.load(Arc::new(plan))?;
        executor.run(id, &Vec::new())?;
        executor.fetch()?;
    }
    Ok(())
}
