//! Three training steps of twelve small models against values computed elsewhere by automatic differentiation in `f64`: losses,
//! outputs, states, gradients, norms, updated parameters, moving averages. The files are in the program.
//!
//! They hold the parameters after the third step in all three places called `STEP.after`. Those after the first and
//! the second are computed here, from the gradients and norms of the files by Adagrad as the README has it; the third step's,
//! computed so, must be the file's.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::device::{CpuExecutor, Data, Executor, Inputs, PlanId};
use crate::error::{Error, Kind, Result};
use crate::graph::LOSS_SCALE;
use crate::graph::plan::Plan;
use crate::kernels::embedding::rows::row_index;
use crate::model::parameters::{Group, Parameter, parameters};
use crate::train::update::training_plan;

/// The loss scale that mixed precision begins with here.
const SCALE: f64 = 1024.0;

/// The steps in a file.
const STEPS: usize = 3;

/// How far a device may be from the values of a file: differences relative to the largest number of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of losses.
    pub loss: f64,
    /// Of all else.
    pub rest: f64,
}

impl Tolerance {
    /// For `f64`.
    pub const DOUBLE: Tolerance = Tolerance {
        loss: 1e-9,
        rest: 1e-9,
    };
    /// For `f32`.
    pub const SINGLE: Tolerance = Tolerance {
        loss: 2e-5,
        rest: 1e-4,
    };
    /// For `f16`, whose numbers have 11 bits, in mixed precision.
    pub const MIXED: Tolerance = Tolerance {
        loss: 2e-3,
        rest: 5e-2,
    };
}

/// A device with all the digits that it has.
pub trait Device {
    /// The device.
    fn executor(&mut self) -> &mut dyn Executor;

    /// The elements of a persistent tensor.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if it is lost.
    fn values(&mut self, name: &str) -> Result<Vec<f64>>;
}

impl Device for CpuExecutor<f64> {
    fn executor(&mut self) -> &mut dyn Executor {
        self
    }

    fn values(&mut self, name: &str) -> Result<Vec<f64>> {
        Ok(self.tensor(name).to_vec())
    }
}

/// A device that computes in `f32`.
pub struct Single<'a>(pub &'a mut dyn Executor);

impl Device for Single<'_> {
    fn executor(&mut self) -> &mut dyn Executor {
        self.0
    }

    fn values(&mut self, name: &str) -> Result<Vec<f64>> {
        Ok(self.0.read(name)?.into_iter().map(f64::from).collect())
    }
}

/// The values of one model.
pub struct Golden {
    name: &'static str,
    tensors: HashMap<String, Vec<f64>>,
    config: Value,
}

macro_rules! golden {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../tests/golden/", $name, ".safetensors")).as_slice())),*]
    };
}

/// Every file.
static FILES: [(&str, &[u8]); 12] = golden![
    "lstm_plain",
    "lstmp",
    "lstmp_residual",
    "lstmp_tied",
    "lstmp_uneven",
    "lstmp_sampled",
    "flstm",
    "flstm_4_6",
    "flstm_sampled",
    "glstm_2",
    "glstm_2_4",
    "glstm_sampled",
];

/// The largest difference from a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The tensor, as `2.grad.layers.0.gates.bias`: the step, counted from 0, and the name in the file.
    pub tensor: String,
    /// The element.
    pub element: usize,
    /// What was computed.
    pub got: f64,
    /// What the file says.
    pub want: f64,
    /// `|got - want|` relative to the largest number of the tensor.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Difference {
    /// Whether the error is allowed. A NaN is not.
    pub fn is_tolerable(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}[{}] is {} where the reference has {}: relative error {:.2e}, tolerance {:.2e}",
            self.tensor, self.element, self.got, self.want, self.error, self.tolerance
        )
    }
}

/// What is compared; of every tensor the worst difference is kept.
struct Comparison {
    tolerance: Tolerance,
    worst: Vec<Difference>,
}

impl Comparison {
    fn close(&mut self, what: &str, got: &[f64], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len(), "length of {what}");
        let scale = want
            .iter()
            .fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
        let mut worst = (0.0, 0);
        for (k, (got, want)) in got.iter().zip(want).enumerate() {
            let difference = (got - want).abs() / scale;
            // A NaN is the worst, and stays: nothing is larger than it.
            if difference.is_nan() || difference > worst.0 {
                worst = (difference, k);
            }
        }
        self.worst.push(Difference {
            tensor: what.to_owned(),
            element: worst.1,
            got: got[worst.1],
            want: want[worst.1],
            error: worst.0,
            tolerance,
        });
    }
}

/// The worst of some differences, by the part of its tolerance.
pub fn worst(differences: &[Difference]) -> Option<&Difference> {
    let part = |difference: &Difference| match difference.error.is_nan() {
        true => f64::INFINITY,
        false => difference.error / difference.tolerance,
    };
    differences
        .iter()
        .max_by(|x, y| part(x).total_cmp(&part(y)))
}

impl Golden {
    /// Every model.
    pub fn all() -> impl Iterator<Item = Golden> {
        FILES.iter().map(|(name, bytes)| Golden::read(name, bytes))
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there is none of this name.
    pub fn named(name: &str) -> Golden {
        let file = FILES.iter().find(|(file, _)| *file == name);
        let (name, bytes) = file.unwrap_or_else(|| panic!("there is no golden model `{name}`"));
        Golden::read(name, bytes)
    }

    /// Their names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    fn read(name: &'static str, bytes: &[u8]) -> Golden {
        let file = SafeTensors::deserialize(bytes).expect("safetensors");
        let (_, header) = SafeTensors::read_metadata(bytes).expect("a header");
        let config = header.metadata().as_ref().expect("metadata")["config"].clone();
        let values = |dtype, data: &[u8]| -> Vec<f64> {
            let (four, eight) = (data.as_chunks().0.iter(), data.as_chunks().0.iter());
            match dtype {
                Dtype::F32 => four.map(|b| f32::from_le_bytes(*b).into()).collect(),
                Dtype::I32 => four.map(|b| i32::from_le_bytes(*b).into()).collect(),
                Dtype::F64 => eight.map(|b| f64::from_le_bytes(*b)).collect(),
                _ => panic!("an unexpected type in a golden file"),
            }
        };
        Golden {
            name,
            tensors: file
                .iter()
                .map(|(name, view)| (name.to_owned(), values(view.dtype(), view.data())))
                .collect(),
            config: serde_json::from_str(&config).expect("a configuration"),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn get(&self, name: &str) -> &[f64] {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the golden file has no `{name}`"))
    }

    fn number(&self, key: &str) -> usize {
        self.config[key].as_u64().expect("a number") as usize
    }

    /// The words of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.number("vocab")
    }

    /// The streams of a batch.
    pub fn batch(&self) -> usize {
        self.number("batch")
    }

    /// The parameters.
    pub fn parameters(&self) -> Vec<Parameter> {
        parameters(&self.config(false), self.vocabulary())
    }

    /// The configuration as a user would write it.
    pub fn config(&self, mixed: bool) -> Config {
        let c = &self.config;
        let mut text = format!(
            "[model]\ncell = {}\nlayers = {}\nembedding = {}\nhidden = {}\nprojection = {}\nresidual = {}\ntied = {}\n\
             forget_bias = {}\ndropout = 0.0\n",
            c["cell"],
            c["layers"],
            c["embedding"],
            c["hidden"],
            c["projection"],
            c["residual"],
            c["tied"],
            c["forget_bias"]
        );
        for key in ["factor", "groups"] {
            if !c[key].is_null() {
                text += &format!("{key} = {}\n", c[key]);
            }
        }
        text += &format!("[softmax]\nkind = {}\n", c["softmax"]);
        if c["softmax"] == "sampled" {
            text += &format!("samples = {}\n", c["samples"]);
        }
        text += &format!(
            "[data]\ntrain = [\"x.txt\"]\n[train]\nbatch = {}\nunroll = {}\nlearning_rate = {}\nclip_norm = {}\nema = {}\n\
             optimizer = \"adagrad\"\nrecipe = \"paper\"\nsteps = 3\nprecision = {:?}\n",
            c["batch"],
            c["unroll"],
            c["learning_rate"],
            c["clip_norm"],
            c["ema"],
            if mixed { "mixed" } else { "f32" }
        );
        Config::parse(&text, self.name, Path::new("/"), &[]).expect("a good configuration")
    }

    /// Inputs and targets of a step, `[B, T]` in the file, time-major here.
    fn time_major(&self, name: &str, step: usize) -> Vec<u32> {
        let (batch, unroll) = (self.batch(), self.number("unroll"));
        let values = &self.get(name)[step * batch * unroll..][..batch * unroll];
        (0..unroll * batch)
            .map(|row| values[row % batch * unroll + row / batch] as u32)
            .collect()
    }

    /// The inputs of a step, from 0, as far as the plan has them.
    pub fn inputs(&self, step: usize, plan: &Plan) -> Inputs {
        let inputs = self.time_major("x", step);
        let targets = self.time_major("y", step);
        let number = |key: &str| self.config[key].as_f64().expect("a number");
        let control = vec![
            number("learning_rate"),
            number("clip_norm"),
            number("ema"),
            0.0,
            0.0,
            1.0,
            1.0,
        ];
        let mut made: Inputs = vec![
            ("inputs", Data::Index(inputs.clone())),
            ("targets", Data::Index(targets.clone())),
            ("rows.embedding", Data::Index(row_index(&inputs))),
            ("control", Data::Real(control)),
        ];
        if self.config["softmax"] == "sampled" {
            let (samples, vocabulary) = (self.number("samples"), self.vocabulary());
            let candidates: Vec<u32> = self.get("candidates")[step * samples..][..samples]
                .iter()
                .map(|id| *id as u32)
                .collect();
            let tries = self.get("tries")[step];
            let ids: Vec<u32> = candidates.iter().chain(&targets).copied().collect();
            let log_q = ids.iter().map(|id| {
                let k = f64::from(*id);
                let p = ((k + 2.0) / (k + 1.0)).ln() / (vocabulary as f64 + 1.0).ln();
                (-(tries * (-p).ln_1p()).exp_m1()).ln()
            });
            made.push(("log_q", Data::Real(log_q.collect())));
            made.push(("rows.softmax", Data::Index(row_index(&ids))));
            made.push(("candidates", Data::Index(candidates)));
        }
        made.retain(|(name, _)| plan.find(name).is_some());
        made
    }

    /// Loads a plan that trains the model, and starts the parameters.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room or is lost.
    pub fn load(&self, executor: &mut dyn Executor, plan: &Arc<Plan>) -> Result<PlanId> {
        let id = executor.load(plan.clone())?;
        for line in self.parameters() {
            let values: Vec<f32> = self
                .get(&format!("init.{}", line.name))
                .iter()
                .map(|value| *value as f32)
                .collect();
            let values = line.layout.inside(values);
            executor.write(&line.name, &values)?;
            if line.group == Group::Recurrent {
                executor.write(&format!("ema.{}", line.name), &values)?;
            }
            let ones = vec![1.0; values.len()];
            executor.write(&format!("optimizer.{}.accumulator", line.name), &ones)?;
        }
        Ok(id)
    }

    /// Trains the steps of the file on a device with the plan that training makes; gives the worst difference of each tensor.
    ///
    /// # Errors
    ///
    /// As [`Golden::compare`].
    pub fn check(
        &self,
        device: &mut dyn Device,
        mixed: bool,
        tolerance: Tolerance,
    ) -> Result<Vec<Difference>> {
        let limits = device.executor().limits();
        let plan = training_plan(&self.config(mixed), self.vocabulary(), &limits, true);
        self.compare(device, mixed, plan, tolerance)
    }

    /// The same with this plan, which must keep its gradients and publish `output`. In mixed precision they are those of a loss
    /// times a scale.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room or is lost.
    pub fn compare(
        &self,
        device: &mut dyn Device,
        mixed: bool,
        plan: Plan,
        tolerance: Tolerance,
    ) -> Result<Vec<Difference>> {
        let table = self.parameters();
        let plan = Arc::new(plan);
        let id = self.load(device.executor(), &plan)?;
        let scale = if mixed { SCALE } else { 1.0 };
        if mixed {
            let state = [SCALE as f32, 0.0];
            device.executor().write(LOSS_SCALE, &state)?;
        }
        let mut comparison = Comparison {
            tolerance,
            worst: Vec::new(),
        };
        let mut updated = Updated::new(self, &table);
        for step in 0..STEPS {
            self.compare_step(
                device,
                (&plan, id),
                step,
                scale,
                &mut updated,
                &mut comparison,
            )?;
        }
        Ok(comparison.worst)
    }

    fn compare_step(
        &self,
        device: &mut dyn Device,
        (plan, id): (&Plan, PlanId),
        step: usize,
        scale: f64,
        updated: &mut Updated,
        comparison: &mut Comparison,
    ) -> Result<()> {
        let inputs = self.inputs(step, plan);
        device.executor().run(id, &inputs)?;
        let outputs: HashMap<_, _> = device.executor().fetch()?.into_iter().collect();
        let Tolerance { loss, rest } = comparison.tolerance;
        let mut close = |what: &str, got: &[f64], tolerance| {
            let what = format!("{step}.{what}");
            comparison.close(&what, got, self.get(&what), tolerance);
        };
        close("loss", &outputs["loss"], loss);
        close("norm", &outputs["norm"][..1], rest);
        close("output", &self.batch_major(&outputs["output"]), rest);
        for layer in 0..self.number("layers") {
            for part in ["h", "c"] {
                let got = device.values(&format!("state.layers.{layer}.{part}"))?;
                close(&format!("{part}.{layer}"), &got, rest);
            }
        }
        for line in &self.parameters() {
            let mut gradient = dense_gradient(device, plan, &inputs, line)?;
            gradient.iter_mut().for_each(|g| *g /= scale);
            let what = format!("grad.{}", line.name);
            close(&what, &line.layout.outside(gradient), rest);
            if line.group == Group::Recurrent {
                let name = format!("ema.{}", line.name);
                let average = device.values(&name)?;
                close(&name, &line.layout.outside(average), rest);
            }
        }
        for line in &self.parameters() {
            let after = line.layout.outside(device.values(&line.name)?);
            let what = format!("{step}.after.{}", line.name);
            let want = updated.step(self, line, step);
            comparison.close(&what, &after, want, rest);
            if step + 1 == STEPS {
                let file = self.get(&what);
                comparison.close(&format!("the file's {what}"), file, want, 1e-12);
            }
        }
        Ok(())
    }

    /// `[T, B, P]` to `[B, T, P]`.
    fn batch_major(&self, values: &[f64]) -> Vec<f64> {
        let (batch, unroll) = (self.batch(), self.number("unroll"));
        let width = values.len() / (batch * unroll);
        let mut out = Vec::with_capacity(values.len());
        for b in 0..batch {
            for t in 0..unroll {
                out.extend_from_slice(&values[(t * batch + b) * width..][..width]);
            }
        }
        out
    }
}

/// Whether all differences are allowed.
///
/// # Errors
///
/// [`Kind::Mismatch`] with each that is not.
pub fn judge(name: &str, differences: &[Difference]) -> Result<()> {
    let wrong = differences
        .iter()
        .filter(|difference| !difference.is_tolerable());
    let wrong: Vec<String> = wrong.map(Difference::to_string).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::new(
            Kind::Mismatch,
            format!("{name}: {}", wrong.join("\n")),
        )),
    }
}

/// Parameters and accumulators by Adagrad from the gradients of a golden file.
struct Updated {
    weights: HashMap<String, (Vec<f64>, Vec<f64>)>,
}

impl Updated {
    fn new(golden: &Golden, table: &[Parameter]) -> Updated {
        let start = |line: &Parameter| {
            let weights = golden.get(&format!("init.{}", line.name)).to_vec();
            let accumulators = vec![1.0; weights.len()];
            (line.name.clone(), (weights, accumulators))
        };
        Updated {
            weights: table.iter().map(start).collect(),
        }
    }

    /// The parameter after a step.
    fn step(&mut self, golden: &Golden, line: &Parameter, step: usize) -> &[f64] {
        let number = |key: &str| golden.config[key].as_f64().expect("a number");
        let norm = golden.get(&format!("{step}.norm"))[0];
        let factor = match line.group {
            Group::Recurrent => (number("clip_norm") / norm).min(1.0),
            _ => 1.0,
        };
        let (weights, accumulators) = self.weights.get_mut(&line.name).expect("in the table");
        let gradient = golden.get(&format!("{step}.grad.{}", line.name));
        for ((w, a), g) in weights.iter_mut().zip(accumulators).zip(gradient) {
            let g = factor * g;
            *a += g * g;
            *w -= number("learning_rate") * g / a.sqrt();
        }
        weights
    }
}

/// The gradient of a parameter, written out if it is sparse by rows.
fn dense_gradient(
    device: &mut dyn Device,
    plan: &Plan,
    inputs: &Inputs,
    line: &Parameter,
) -> Result<Vec<f64>> {
    let values = device.values(&format!("gradient.{}", line.name))?;
    let update = plan
        .steps
        .iter()
        .find(|step| step.label == format!("update {}", line.name))
        .expect("every parameter is updated");
    let rows = update
        .slices
        .iter()
        .map(|slice| &plan.tensor(slice.tensor).name)
        .find(|name| name.starts_with("rows."));
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
