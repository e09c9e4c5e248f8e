//! Reduces the gradients of several devices, on the host.
//!
//! Each gradient is reduced as soon as every device has completed it, while the backward pass continues.
//! Dense gradients become their mean or their sum; sparse gradients are concatenated, with the rows of all
//! devices.
//!
//! The recipe `paper` clips the recurrent gradients of each device by their joint norm before the mean. That norm
//! is known only when the last of them is complete. They are therefore fetched during the backward pass and
//! reduced after it.

use half::f16;

use crate::config::{Config, Recipe};
use crate::device::{Executor, ReadAfter};
use crate::error::Result;
use crate::team;
use crate::train::collective::Collective;
use crate::train::update::{DividedPlans, PendingGradient};

/// Elements of a gradient in one task.
const TASK: usize = 1 << 16;

/// Reduces gradients. Its buffers are as large as the model and are reused: allocating new pages would take longer than the sums.
pub(super) struct GradientReduction {
    /// All devices of the run.
    devices: usize,
    gradients: Vec<PendingGradient>,
    /// For each device of this process and each gradient, the step of the last micro-batch's plan that completes it. Devices with
    /// other limits have other steps.
    completed: Vec<Vec<usize>>,
    clip_norm: f64,
    recipe: Recipe,
    mixed: bool,
    /// The loss scale of the step.
    loss_scale: f64,
    /// The gradient that was fetched last, of each device of this process.
    fetched: Vec<Vec<f32>>,
    /// Gradients that wait for the norm, of each device of this process.
    unclipped: Vec<Vec<Vec<f32>>>,
    /// A dense gradient, reduced.
    reduced: Vec<f32>,
    /// A sparse gradient of all devices.
    rows: Vec<f32>,
    /// With the recipe `paper`: the norm of the recurrent gradients of every device of the run, before clipping.
    norms: Vec<f64>,
}

impl GradientReduction {
    /// Of a run of `devices` devices. Those of this process have the `plans`.
    pub fn new(config: &Config, devices: usize, plans: &[&DividedPlans]) -> GradientReduction {
        let gradients = plans[0].gradients.clone();
        for plans in plans {
            let mut order = gradients.iter().zip(&plans.gradients);
            let same = order.all(|(one, other)| one.parameter == other.parameter);
            assert!(same, "all devices complete gradients in the same order");
        }
        let clipped = gradients.iter().filter(|gradient| gradient.clipped).count();
        let steps =
            |plans: &&DividedPlans| plans.gradients.iter().map(|g| g.completed_by).collect();
        GradientReduction {
            devices,
            completed: plans.iter().map(steps).collect(),
            clip_norm: config.train.clip_norm,
            recipe: config.train.recipe,
            mixed: config.train.precision.stores_halves(),
            loss_scale: 1.0,
            fetched: vec![Vec::new(); plans.len()],
            unclipped: vec![vec![Vec::new(); clipped]; plans.len()],
            reduced: Vec::new(),
            rows: Vec::new(),
            norms: Vec::new(),
            gradients,
        }
    }

    /// The factor of the losses of the next step.
    pub fn set_loss_scale(&mut self, scale: f64) {
        self.loss_scale = scale;
    }

    /// What device `k` of this process reads during its last micro-batch: each gradient, as soon as it is complete.
    pub fn reads(&self, k: usize) -> Vec<ReadAfter<'_>> {
        let gradients = self.gradients.iter().zip(&self.completed[k]);
        gradients
            .map(|(gradient, step)| ReadAfter {
                step: *step,
                name: &gradient.tensor,
                len: gradient.len,
            })
            .collect()
    }

    /// Reduces all gradients, in the order in which they are completed, and sends them to the devices of this process.
    pub fn reduce(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        collective: &mut dyn Collective,
    ) -> Result<()> {
        let first = collective.rank() * executors.len();
        let mut squares = vec![0.0; self.devices];
        let ones = vec![1.0; executors.len()];
        let mut reduced = std::mem::take(&mut self.reduced);
        let mut clipped = 0;
        for gradient in &self.gradients {
            for (executor, fetched) in executors.iter_mut().zip(&mut self.fetched) {
                fetched.clear();
                executor.finish_read(fetched)?;
            }
            if gradient.sparse {
                self.rows.clear();
                self.fetched.iter().for_each(|own| self.rows.extend(own));
                collective.all_gather(&mut self.rows, self.mixed)?;
                send(executors, &gradient.joined, &self.rows)?;
            } else if gradient.clipped {
                let devices = self.fetched.iter_mut().zip(&mut self.unclipped);
                for (k, (fetched, unclipped)) in devices.enumerate() {
                    squares[first + k] += sum_squares(fetched);
                    std::mem::swap(fetched, &mut unclipped[clipped]);
                }
                clipped += 1;
            } else {
                let own = self.fetched.iter().map(Vec::as_slice);
                let own: Vec<&[f32]> = own.collect();
                self.reduce_dense(gradient, &own, &ones, collective, &mut reduced)?;
                send(executors, &gradient.joined, &reduced)?;
            }
        }
        // All ranks get all norms, so that all report the same.
        collective.all_reduce_f64(&mut squares)?;
        self.norms = match self.recipe {
            Recipe::Paper => {
                let norm = |sum: &f64| sum.sqrt() / self.loss_scale;
                squares.iter().map(norm).collect()
            }
            Recipe::Plain => Vec::new(),
        };
        let own = self.norms.iter().skip(first).take(executors.len());
        let factors: Vec<f32> = own.map(|norm| self.clip_factor(*norm)).collect();
        let clipped = self.gradients.iter().filter(|gradient| gradient.clipped);
        for (k, gradient) in clipped.enumerate() {
            let own = self.unclipped.iter().map(|device| device[k].as_slice());
            let own: Vec<&[f32]> = own.collect();
            self.reduce_dense(gradient, &own, &factors, collective, &mut reduced)?;
            send(executors, &gradient.joined, &reduced)?;
        }
        self.reduced = reduced;
        Ok(())
    }

    /// The factor that clips gradients of this norm.
    fn clip_factor(&self, norm: f64) -> f32 {
        if self.clip_norm > 0.0 && norm > self.clip_norm {
            (self.clip_norm / norm) as f32
        } else {
            1.0
        }
    }

    /// The mean or the sum of `factor * gradient` over all devices of the run. `own` and `factors` are those of this process.
    fn reduce_dense(
        &self,
        gradient: &PendingGradient,
        own: &[&[f32]],
        factors: &[f32],
        collective: &mut dyn Collective,
        reduced: &mut Vec<f32>,
    ) -> Result<()> {
        // Scale by 1/N first, so that partial sums cannot overflow `f16`.
        let share = if gradient.summed {
            1.0
        } else {
            1.0 / self.devices as f32
        };
        reduced.clear();
        reduced.resize(own[0].len(), 0.0);
        team::chunks(reduced, TASK, |k, sum| {
            for (values, factor) in own.iter().zip(factors) {
                let factor = share * factor;
                for (sum, x) in sum.iter_mut().zip(&values[k * TASK..]) {
                    *sum += factor * x;
                }
            }
        });
        collective.all_reduce(reduced, self.mixed)?;
        if self.mixed {
            team::chunks(reduced, TASK, |_, sum| {
                for x in sum {
                    *x = f16::from_f32(*x).to_f32();
                }
            });
        }
        Ok(())
    }

    /// With the recipe `paper`: the largest norm of a device in the last step; NaN if one is NaN.
    pub fn largest_norm(&self) -> Option<f64> {
        let larger = |x: f64, y: f64| if y > x || y.is_nan() { y } else { x };
        self.norms.iter().copied().reduce(larger)
    }
}

fn send(executors: &mut [Box<dyn Executor>], name: &str, values: &[f32]) -> Result<()> {
    executors
        .iter_mut()
        .try_for_each(|executor| executor.send(name, values))
}

/// The sum of the squares, in an order that does not depend on the number of threads.
fn sum_squares(values: &[f32]) -> f64 {
    let mut sums = vec![0.0; values.len().div_ceil(TASK)];
    team::chunks(&mut sums, 1, |k, sum| {
        let values = &values[k * TASK..values.len().min((k + 1) * TASK)];
        sum[0] = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    });
    sums.iter().sum()
}
