//! Trains the steps of a golden file on a device and compares all results.

use std::collections::HashMap;
use std::sync::Arc;

use super::compare::{Difference, Tolerance};
use super::model::Golden;
use crate::config::Precision;
use crate::device::{CpuExecutor, Data, Executor, Inputs, PlanId};
use crate::error::Result;
use crate::graph::plan::Plan;
use crate::model::parameters::{Group, ParameterSpec};
use crate::tensor::names::{self, LOSS_SCALE, StateOwner};
use crate::train::update::{round_parameters, training_plan};

/// The initial loss scale, in a precision that has one.
const SCALE: f64 = 1024.0;

/// The number of steps in a file.
const STEPS: usize = 3;

/// An executor whose tensors can be read with all their digits.
pub trait PreciseExecutor {
    /// The executor.
    fn executor(&mut self) -> &mut dyn Executor;

    /// The elements of a persistent tensor.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    fn values(&mut self, name: &str) -> Result<Vec<f64>>;
}

impl PreciseExecutor for CpuExecutor<f64> {
    fn executor(&mut self) -> &mut dyn Executor {
        self
    }

    fn values(&mut self, name: &str) -> Result<Vec<f64>> {
        Ok(self.tensor(name).to_vec())
    }
}

/// Any executor: its tensors are `f32`.
pub struct Single<'a>(pub &'a mut dyn Executor);

impl PreciseExecutor for Single<'_> {
    fn executor(&mut self) -> &mut dyn Executor {
        self.0
    }

    fn values(&mut self, name: &str) -> Result<Vec<f64>> {
        Ok(self.0.read(name)?.into_iter().map(f64::from).collect())
    }
}

impl Golden {
    /// Loads a training plan of the model and writes the initial values of parameters, their copies, averages and accumulators.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
    pub fn load(&self, executor: &mut dyn Executor, plan: &Arc<Plan>) -> Result<PlanId> {
        let id = executor.load(plan.clone())?;
        for line in self.parameters() {
            let values: Vec<f32> = self
                .tensor(&format!("init.{}", line.name))
                .iter()
                .map(|value| *value as f32)
                .collect();
            let values = line.layout.interleaved(values);
            executor.write(&line.name, &values)?;
            if line.group == Group::Recurrent {
                executor.write(&names::moving_average(&line.name), &values)?;
            }
            let ones = vec![1.0; values.len()];
            executor.write(&names::optimizer_state(&line.name, "accumulator"), &ones)?;
        }
        round_parameters(executor, plan)?;
        Ok(id)
    }

    /// Trains the steps of the file with the plan that `wlstm train` would use. Returns the largest error of each tensor.
    ///
    /// # Errors
    ///
    /// Same as [`Golden::compare`].
    pub fn check(
        &self,
        device: &mut dyn PreciseExecutor,
        precision: Precision,
        tolerance: Tolerance,
    ) -> Result<Vec<Difference>> {
        let limits = device.executor().limits();
        let plan = training_plan(&self.config(precision), self.vocabulary(), &limits, true);
        self.compare(device, precision, plan, tolerance)
    }

    /// Trains the steps of the file with `plan`, which must keep its gradients and publish `output`. Where the
    /// precision scales the loss, the gradients are those of the scaled loss.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost.
    pub fn compare(
        &self,
        device: &mut dyn PreciseExecutor,
        precision: Precision,
        plan: Plan,
        tolerance: Tolerance,
    ) -> Result<Vec<Difference>> {
        let plan = Arc::new(plan);
        let id = self.load(device.executor(), &plan)?;
        let scales = precision.multiplies_halves();
        let scale = if scales { SCALE } else { 1.0 };
        if scales {
            let state = [SCALE as f32, 0.0];
            device.executor().write(LOSS_SCALE, &state)?;
        }
        let mut check = Check {
            golden: self,
            parameters: self.parameters(),
            plan: &plan,
            id,
            scale,
            tolerance,
            updated: Updated::new(self),
            found: Vec::new(),
        };
        for step in 0..STEPS {
            check.step(device, step)?;
        }
        Ok(check.found)
    }
}

/// A comparison in progress.
struct Check<'a> {
    golden: &'a Golden,
    parameters: Vec<ParameterSpec>,
    plan: &'a Plan,
    id: PlanId,
    scale: f64,
    tolerance: Tolerance,
    updated: Updated,
    found: Vec<Difference>,
}

impl Check<'_> {
    /// Runs a step and compares loss, norm, outputs, states, gradients, averages and updated parameters.
    fn step(&mut self, device: &mut dyn PreciseExecutor, step: usize) -> Result<()> {
        let golden = self.golden;
        let inputs = golden.inputs(step, self.plan);
        device.executor().run(self.id, &inputs)?;
        let outputs: HashMap<_, _> = device.executor().fetch()?.into_iter().collect();
        let Tolerance { loss, rest } = self.tolerance;
        let found = &mut self.found;
        let mut close = |what: &str, got: &[f64], tolerance| {
            let what = format!("{step}.{what}");
            found.push(Difference::largest(
                &what,
                got,
                golden.tensor(&what),
                tolerance,
            ));
        };
        close("loss", &outputs["loss"], loss);
        close("norm", &outputs["norm"][..1], rest);
        close("output", &golden.batch_major(&outputs["output"]), rest);
        let states = StateOwner::Training { micro_batch: 0 };
        for layer in 0..golden.size("layers") {
            for part in ["h", "c"] {
                let got = device.values(&states.state(&names::in_layer(layer, part)))?;
                close(&format!("{part}.{layer}"), &got, rest);
            }
        }
        for line in &self.parameters {
            let mut gradient = dense_gradient(device, self.plan, &inputs, line)?;
            gradient.iter_mut().for_each(|g| *g /= self.scale);
            let what = format!("grad.{}", line.name);
            close(&what, &line.layout.deinterleaved(gradient), rest);
            if line.group == Group::Recurrent {
                let name = names::moving_average(&line.name);
                let average = device.values(&name)?;
                close(&name, &line.layout.deinterleaved(average), rest);
            }
        }
        for line in &self.parameters {
            let after = line.layout.deinterleaved(device.values(&line.name)?);
            let what = format!("{step}.after.{}", line.name);
            let want = self.updated.step(golden, line, step);
            found.push(Difference::largest(&what, &after, want, rest));
            if step + 1 == STEPS {
                let what_file = format!("the file's {what}");
                let file = golden.tensor(&what);
                found.push(Difference::largest(&what_file, file, want, 1e-12));
            }
        }
        Ok(())
    }
}

/// Parameters and accumulators, updated by Adagrad from the gradients in a golden file.
struct Updated {
    weights: HashMap<String, (Vec<f64>, Vec<f64>)>,
}

impl Updated {
    fn new(golden: &Golden) -> Updated {
        let start = |line: ParameterSpec| {
            let weights = golden.tensor(&format!("init.{}", line.name)).to_vec();
            let accumulators = vec![1.0; weights.len()];
            (line.name, (weights, accumulators))
        };
        Updated {
            weights: golden.parameters().into_iter().map(start).collect(),
        }
    }

    /// The parameter after a step.
    fn step(&mut self, golden: &Golden, line: &ParameterSpec, step: usize) -> &[f64] {
        let norm = golden.tensor(&format!("{step}.norm"))[0];
        let factor = match line.group {
            Group::Recurrent => (golden.number("clip_norm") / norm).min(1.0),
            _ => 1.0,
        };
        let rate = golden.number("learning_rate");
        let (weights, accumulators) = self.weights.get_mut(&line.name).expect("in the table");
        let gradient = golden.tensor(&format!("{step}.grad.{}", line.name));
        for ((w, a), g) in weights.iter_mut().zip(accumulators).zip(gradient) {
            let g = factor * g;
            *a += g * g;
            *w -= rate * g / a.sqrt();
        }
        weights
    }
}

/// The gradient of a parameter with all its rows, also where the plan keeps only those that a row index lists.
fn dense_gradient(
    device: &mut dyn PreciseExecutor,
    plan: &Plan,
    inputs: &Inputs,
    line: &ParameterSpec,
) -> Result<Vec<f64>> {
    let values = device.values(&names::gradient(&line.name))?;
    let update = plan
        .steps
        .iter()
        .find(|step| step.label == format!("update {}", line.name))
        .expect("every parameter is updated");
    let rows = update
        .slices
        .iter()
        .map(|slice| &plan.tensor(slice.tensor).name)
        .find(|name| names::is_row_index(name));
    let Some(name) = rows else { return Ok(values) };
    let (_, Data::Index(rows)) = inputs
        .iter()
        .find(|(input, _)| input == name)
        .expect("an input")
    else {
        panic!("a row index holds indices")
    };
    let capacity = (rows.len() - 2) / 3;
    let width = values.len() / capacity;
    let mut dense = vec![0.0; line.shape.len()];
    for k in 0..rows[0] as usize {
        let id = rows[1 + k] as usize;
        dense[id * width..][..width].copy_from_slice(&values[k * width..][..width]);
    }
    Ok(dense)
}
