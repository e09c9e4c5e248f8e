//! Models and training as documented: plain loops over single numbers in `f64`.

use std::collections::{BTreeMap, BTreeSet};

use super::softmax::Loss;
use super::spec::{Cell, Spec, Tensors};
use super::tape::{Number, Tape};
use super::text::Unroll;
use wlstm::corpus::CandidateSampler;
use wlstm::random::{Purpose, Stream};

fn is_recurrent(name: &str) -> bool {
    name.starts_with("layers.")
}

/// The parameters of one unroll on the tape.
pub struct Leaves(BTreeMap<String, (Vec<usize>, Vec<Number>)>);

impl Leaves {
    fn new(tape: &mut Tape, tensors: &Tensors) -> Leaves {
        let leaf = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f64>))| {
            let leaves = values.iter().map(|value| tape.leaf(*value)).collect();
            (name.clone(), (shape.clone(), leaves))
        };
        Leaves(tensors.iter().map(leaf).collect())
    }

    pub fn of(&self, name: &str) -> &[Number] {
        &self.0[name].1
    }

    /// Row `k` of all rows of a tensor.
    pub fn row(&self, name: &str, k: usize) -> &[Number] {
        let (shape, values) = &self.0[name];
        let width = shape[shape.len() - 1];
        &values[k * width..(k + 1) * width]
    }

    /// `x W`, where `W` is the rows `first..first + x.len()` of a tensor.
    pub fn product(&self, tape: &mut Tape, x: &[Number], name: &str, first: usize) -> Vec<Number> {
        let width = self.row(name, 0).len();
        (0..width)
            .map(|column| {
                let rows = first..first + x.len();
                let column: Vec<Number> = rows.map(|k| self.row(name, k)[column]).collect();
                tape.dot(x, &column)
            })
            .collect()
    }
}

/// A model in training.
pub struct Model {
    pub spec: Spec,
    pub weights: Tensors,
    /// Moving averages of the recurrent parameters.
    pub averages: Tensors,
    /// States of the optimizer under the names `accumulator`, `velocity`, `first`, `second`.
    pub optimizer: BTreeMap<&'static str, Tensors>,
    /// `h` and `c` by layer, then stream.
    pub states: Vec<Vec<[Vec<f64>; 2]>>,
    steps: usize,
}

/// Results of one step.
pub struct Shown {
    /// Mean loss of a token.
    pub loss: f64,
    /// Gradient norm before clipping.
    pub norm: f64,
}

impl Model {
    pub fn new(spec: &Spec, weights: Tensors) -> Model {
        let filled = |value: f64| -> Tensors {
            let fill = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f64>))| {
                (name.clone(), (shape.clone(), vec![value; values.len()]))
            };
            weights.iter().map(fill).collect()
        };
        let mut optimizer = BTreeMap::from([
            ("accumulator", filled(1.0)),
            ("velocity", filled(0.0)),
            ("first", filled(0.0)),
            ("second", filled(0.0)),
        ]);
        for (state, tensors) in &mut optimizer {
            let has_state = |name: &str| match spec.update_of(name).0 {
                "adagrad" => *state == "accumulator",
                "momentum" => *state == "velocity",
                "adam" => ["first", "second"].contains(state),
                _ => false,
            };
            tensors.retain(|name, _| has_state(name));
        }
        let mut averages = weights.clone();
        averages.retain(|name, _| spec.ema > 0.0 && is_recurrent(name));
        let mut model = Model {
            spec: spec.clone(),
            weights,
            averages,
            optimizer,
            states: Vec::new(),
            steps: 0,
        };
        model.reset();
        for layer in &mut model.states {
            *layer = vec![layer.clone(); spec.devices].concat();
        }
        model
    }

    fn reset(&mut self) {
        let zero = [vec![0.0; self.spec.output()], vec![0.0; self.spec.hidden]];
        self.states = vec![vec![zero; self.spec.batch]; self.spec.cells.len()];
    }

    /// New `h` and `c` of layer `k`.
    fn cell(
        &self,
        tape: &mut Tape,
        leaves: &Leaves,
        k: usize,
        x: &[Number],
        [h, c]: &[Vec<Number>; 2],
    ) -> [Vec<Number>; 2] {
        let hidden = self.spec.hidden;
        let gates = format!("layers.{k}.gates");
        let weight = format!("{gates}.weight");
        let joined = [x, h.as_slice()].concat();
        let z: Vec<Number> = match self.spec.cells[k] {
            Cell::Lstmp => leaves.product(tape, &joined, &weight, 0),
            Cell::Flstm(_) => {
                let small = leaves.product(tape, &joined, &format!("{gates}.factor_in"), 0);
                leaves.product(tape, &small, &format!("{gates}.factor_out"), 0)
            }
            Cell::Glstm(groups) => {
                let mut gate: [Vec<Number>; 4] = Default::default();
                for g in 0..groups {
                    let (i, p) = (x.len() / groups, h.len() / groups);
                    let slice = [&x[g * i..(g + 1) * i], &h[g * p..(g + 1) * p]].concat();
                    let r = leaves.product(tape, &slice, &weight, g * slice.len());
                    for (gate, part) in gate.iter_mut().zip(r.chunks(hidden / groups)) {
                        gate.extend(part);
                    }
                }
                gate.concat()
            }
        };
        let bias = leaves.of(&format!("{gates}.bias"));
        let z: Vec<Number> = z.iter().zip(bias).map(|(z, b)| tape.add(*z, *b)).collect();
        let mut next = Vec::new();
        let mut m = Vec::new();
        for u in 0..hidden {
            let [i, j, f, o] = [0, 1, 2, 3].map(|gate| z[gate * hidden + u]);
            let f = tape.shift(f, self.spec.forget_bias);
            let (i, j, f, o) = (
                tape.sigmoid(i),
                tape.tanh(j),
                tape.sigmoid(f),
                tape.sigmoid(o),
            );
            let (kept, new) = (tape.multiply(f, c[u]), tape.multiply(i, j));
            let cell = tape.add(kept, new);
            next.push(cell);
            let squashed = tape.tanh(cell);
            m.push(tape.multiply(o, squashed));
        }
        if self.spec.projection > 0 {
            m = leaves.product(tape, &m, &format!("layers.{k}.projection.weight"), 0);
        }
        [m, next]
    }

    /// The losses of the pairs of one unroll. Updates the states.
    fn forward(
        &mut self,
        tape: &mut Tape,
        leaves: &Leaves,
        unroll: &Unroll,
        loss: &Loss,
    ) -> Vec<Number> {
        if unroll.reset {
            self.reset();
        }
        let mut losses = Vec::new();
        for (b, pairs) in unroll.pairs.iter().enumerate() {
            let mut states: Vec<[Vec<Number>; 2]> = Vec::new();
            for layer in &self.states {
                states.push(layer[b].each_ref().map(|state| {
                    let leaves = state.iter().map(|value| tape.leaf(*value));
                    leaves.collect()
                }));
            }
            for (input, target) in pairs.iter().flatten() {
                let mut x = leaves.row("embedding.weight", *input).to_vec();
                for (k, state) in states.iter_mut().enumerate() {
                    *state = self.cell(tape, leaves, k, &x, state);
                    let h = &state[0];
                    x = if self.spec.residual && x.len() == h.len() {
                        x.iter().zip(h).map(|(x, h)| tape.add(*x, *h)).collect()
                    } else {
                        h.clone()
                    };
                }
                losses.push(loss(tape, leaves, &x, *target));
            }
            for (layer, state) in self.states.iter_mut().zip(states) {
                layer[b] = state.map(|state| state.iter().map(|x| tape.value(*x)).collect());
            }
        }
        losses
    }

    pub fn vocabulary(&self) -> usize {
        self.weights["embedding.weight"].0[0]
    }

    pub fn softmax_table(&self) -> &'static str {
        if self.spec.tied {
            "embedding.weight"
        } else {
            "softmax.weight"
        }
    }

    /// Total negative log-likelihood and number of targets, computed with the moving averages where they exist and the
    /// initial parameters have a weight of at most 0.1 in them.
    pub fn evaluate(&self, unrolls: impl IntoIterator<Item = Unroll>) -> (f64, usize) {
        let mut weights = self.weights.clone();
        if self.spec.ema.powi(self.steps as i32) <= 0.1 {
            weights.extend(self.averages.clone());
        }
        let mut model = Model::new(&self.spec, weights);
        let (mut nll, mut targets) = (0.0, 0);
        for unroll in unrolls {
            let mut tape = Tape::default();
            let leaves = Leaves::new(&mut tape, &model.weights);
            let loss = model.exact();
            let losses = model.forward(&mut tape, &leaves, &unroll, &*loss);
            nll += losses.iter().map(|loss| tape.value(*loss)).sum::<f64>();
            targets += losses.len();
        }
        (nll, targets)
    }

    /// One training step. Each device has its own streams and candidates, and with the recipe `paper` its own norm.
    pub fn step(&mut self, unroll: &Unroll) -> Shown {
        let (own, devices) = (self.spec.batch, self.spec.devices);
        let (mut inputs, mut classes_seen) = (BTreeSet::new(), BTreeSet::new());
        let (mut total, mut tokens, mut largest) = (0.0, 0.0, 0.0_f64);
        // Sums of the gradients of all devices, each scaled and clipped on its device.
        let mut gradients: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let all_states = std::mem::take(&mut self.states);
        let mut states_after = vec![Vec::new(); all_states.len()];
        for device in 0..devices {
            let columns = device * own..(device + 1) * own;
            let unroll = Unroll {
                pairs: unroll.pairs[columns.clone()].to_vec(),
                reset: unroll.reset,
            };
            self.states = all_states
                .iter()
                .map(|layer| layer[columns.clone()].to_vec())
                .collect();
            let mut tape = Tape::default();
            let leaves = Leaves::new(&mut tape, &self.weights);
            for (input, target) in unroll.pairs.iter().flatten().flatten() {
                inputs.insert(*input);
                classes_seen.insert(*target);
            }
            let losses = match self.spec.samples {
                None => {
                    classes_seen = (0..self.vocabulary()).collect();
                    let loss = self.exact();
                    self.forward(&mut tape, &leaves, &unroll, &*loss)
                }
                Some(samples) => {
                    // The candidates are random, so they come from the sampler of the program.
                    let mut sampler =
                        CandidateSampler::new(self.vocabulary(), samples).expect("a sampler");
                    let own = if self.spec.plain { 0 } else { device as u64 };
                    let step = self.steps as u64 | own << 40;
                    let mut stream = Stream::new(self.spec.seed, Purpose::Candidates, step);
                    let drawn = sampler.draw(&mut stream);
                    let candidates: Vec<usize> = drawn.ids.iter().map(|id| *id as usize).collect();
                    classes_seen.extend(&candidates);
                    let loss = self.sampled(candidates, drawn.tries);
                    self.forward(&mut tape, &leaves, &unroll, &loss)
                }
            };
            tokens += losses.len() as f64;
            let mut sum = tape.leaf(0.0);
            for loss in losses {
                sum = tape.add(sum, loss);
            }
            total += tape.value(sum);
            let slopes = tape.derivatives(sum);
            let streams = own as f64;
            let scale = |name: &str| match (self.spec.plain, name) {
                // The gradient of the mean over all tokens, which is known once all devices are done.
                (true, _) => 1.0,
                (false, "embedding.weight") if !self.spec.tied => 1.0,
                (false, _) => 1.0 / streams,
            };
            let mut of_device: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
            for (name, (_, numbers)) in &leaves.0 {
                let scaled = numbers.iter().map(|x| slopes.by(*x) * scale(name));
                of_device.insert(name, scaled.collect());
            }
            let recurrent = of_device.iter().filter(|(name, _)| is_recurrent(name));
            let norm = norm_of(recurrent.map(|(_, gradient)| gradient));
            let clip = self.spec.clip;
            largest = largest.max(norm);
            for (name, gradient) in of_device {
                let factor = match (self.spec.plain, is_recurrent(name)) {
                    (false, true) if clip > 0.0 && norm > clip => clip / norm / devices as f64,
                    (false, true) => 1.0 / devices as f64,
                    _ => 1.0,
                };
                let sum = gradients
                    .entry(name.clone())
                    .or_insert_with(|| vec![0.0; gradient.len()]);
                for (sum, g) in sum.iter_mut().zip(gradient) {
                    *sum += factor * g;
                }
            }
            for (after, layer) in states_after.iter_mut().zip(&mut self.states) {
                after.append(layer);
            }
        }
        self.states = states_after;
        let mut norm = largest;
        if self.spec.plain {
            gradients.values_mut().flatten().for_each(|g| *g /= tokens);
            norm = norm_of(gradients.values());
            if self.spec.clip > 0.0 && norm > self.spec.clip {
                let factor = self.spec.clip / norm;
                gradients.values_mut().flatten().for_each(|g| *g *= factor);
            }
        }
        self.steps += 1;
        for (name, gradient) in &gradients {
            // Rows of tables that the step does not use keep their values and their optimizer states.
            let rows = match name.as_str() {
                "embedding.weight" if self.spec.tied => {
                    Some(inputs.union(&classes_seen).copied().collect())
                }
                "embedding.weight" => Some(inputs.clone()),
                "softmax.weight" | "softmax.bias" => Some(classes_seen.clone()),
                _ => None,
            };
            self.update(name, gradient, rows);
        }
        let decay = self.spec.ema;
        for (name, (_, average)) in &mut self.averages {
            for (average, weight) in average.iter_mut().zip(&self.weights[name].1) {
                *average = decay * *average + (1.0 - decay) * weight;
            }
        }
        Shown {
            loss: total / tokens,
            norm,
        }
    }

    fn update(&mut self, name: &str, gradient: &[f64], rows: Option<BTreeSet<usize>>) {
        let (shape, weights) = self.weights.get_mut(name).expect("a parameter");
        let width = gradient.len() / shape[0];
        let (optimizer, lr) = self.spec.update_of(name);
        let mut state = |which: &'static str| {
            let tensors = self
                .optimizer
                .get_mut(which)
                .expect("an optimizer's tensor");
            std::mem::take(&mut tensors.get_mut(name).expect("a parameter").1)
        };
        let touched = |k: usize| rows.as_ref().is_none_or(|rows| rows.contains(&(k / width)));
        let all = (0..gradient.len()).filter(|k| touched(*k));
        let mut states: Vec<(&'static str, Vec<f64>)> = Vec::new();
        match optimizer {
            "sgd" => all.for_each(|k| weights[k] -= lr * gradient[k]),
            "adagrad" => {
                let mut a = state("accumulator");
                for k in all {
                    a[k] += gradient[k] * gradient[k];
                    weights[k] -= lr * gradient[k] / a[k].sqrt();
                }
                states.push(("accumulator", a));
            }
            "momentum" => {
                let mut v = state("velocity");
                for k in all {
                    v[k] = 0.9 * v[k] + gradient[k];
                    weights[k] -= lr * v[k];
                }
                states.push(("velocity", v));
            }
            "adam" => {
                let (mut m, mut v) = (state("first"), state("second"));
                let t = self.steps as i32;
                for k in all {
                    m[k] = 0.9 * m[k] + 0.1 * gradient[k];
                    v[k] = 0.999 * v[k] + 0.001 * gradient[k] * gradient[k];
                    let (first, second) = (
                        m[k] / (1.0 - 0.9f64.powi(t)),
                        v[k] / (1.0 - 0.999f64.powi(t)),
                    );
                    weights[k] -= lr * first / (second.sqrt() + 1e-8);
                }
                states.push(("first", m));
                states.push(("second", v));
            }
            other => panic!("no optimizer {other}"),
        }
        for (which, values) in states {
            let tensors = self
                .optimizer
                .get_mut(which)
                .expect("an optimizer's tensor");
            tensors.get_mut(name).expect("a parameter").1 = values;
        }
    }
}

/// Norm of all gradients together.
fn norm_of<'a>(gradients: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    gradients.flatten().map(|g| g * g).sum::<f64>().sqrt()
}
