//! Tuning: finds the fastest form of a kernel for each size. It is measured once per adapter and driver, and
//! stored in a file.
//!
//! The results of all forms of a kernel are bitwise identical, so the choice affects only the time. Without measurements
//! (tuning is off, or the device has no timestamps) a fixed rule chooses: [`Candidates::unmeasured`].

mod candidates;
mod results;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

pub(super) use candidates::Candidates;
pub(super) use results::TuningResults;
use results::widths_key;

use super::adapter::AdapterSummary;
use crate::error::Result;
use crate::graph::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use crate::kernel::{Access, Kernel};
use crate::tensor::Shape;

/// Runs of each form; the shortest counts.
pub(super) const TIMES: usize = 3;

/// The largest number of multiply-adds of a product that is measured on a software adapter. Larger products are measured at a
/// reduced size of similar proportions: at the sizes of the paper, all forms would take minutes.
const MAX_ON_SOFTWARE: u64 = 1 << 28;

/// The choice of forms for one adapter.
#[derive(Debug)]
pub(super) struct Tuning {
    /// The results of measurements.
    pub results: TuningResults,
    /// The forms that the device can run.
    candidates: Candidates,
    /// The largest number of multiply-adds of a product that is measured.
    most: u64,
}

/// Forms to measure.
pub(super) struct Unknown {
    /// A plan with one step per step and form to measure.
    pub plan: Plan,
    /// The key of each of its steps.
    keys: Vec<String>,
}

impl Tuning {
    /// Loads the results of earlier runs from a cache folder. A file that cannot be read is replaced.
    pub fn open(
        summary: &AdapterSummary,
        candidates: Candidates,
        cache: Option<PathBuf>,
    ) -> Tuning {
        Tuning {
            results: TuningResults::open(summary, cache),
            candidates,
            most: if summary.is_hardware() {
                u64::MAX
            } else {
                MAX_ON_SOFTWARE
            },
        }
    }

    /// The steps of a plan whose fastest form is unknown, each in all its forms; `None` if all are known. The
    /// result is a plan over the same tensors, whose steps write only what the given plan writes before it
    /// reads, and scratch tensors instead of recurrent states.
    pub fn unknown(&self, plan: &Plan) -> Option<Unknown> {
        let (mut steps, mut keys): (Vec<Step>, Vec<String>) = (Vec::new(), Vec::new());
        let mut measured = Plan {
            name: format!("{} (tuning)", plan.name),
            steps: Vec::new(),
            ..plan.clone()
        };
        let mut seen = HashSet::new();
        for step in &plan.steps {
            let forms = self.forms(plan, step);
            let key = key(plan, step, &forms);
            let known = forms.len() == 1 || self.results.fastest(&key).is_some();
            if known || !seen.insert(key.clone()) {
                continue;
            }
            let part = without_states(&mut measured, self.part(step));
            steps.extend(forms.into_iter().map(|form| part.by(form)));
            keys.extend(std::iter::repeat_n(key, steps.len() - keys.len()));
        }
        (!steps.is_empty()).then_some(Unknown {
            plan: Plan { steps, ..measured },
            keys,
        })
    }

    /// The candidate forms of a step that also support its measured size.
    fn forms(&self, plan: &Plan, step: &Step) -> Vec<&'static Kernel> {
        let part = self.part(step).params;
        let mut forms = self.candidates.of(plan, step);
        forms.retain(|form| form.supports(&part));
        forms
    }

    /// A step at the size at which it is measured.
    fn part(&self, step: &Step) -> Step {
        let mut step = Step {
            condition: None,
            ..step.clone()
        };
        if let Some(reduced) = step.kernel.reduced {
            step.params = reduced(&step.params, self.most);
        }
        step
    }

    /// Measures the steps of [`Tuning::unknown`] and stores the fastest form of each. Calls `profile`, which
    /// returns the seconds of each step, [`TIMES`] times.
    pub fn measure(
        &mut self,
        unknown: &Unknown,
        mut profile: impl FnMut() -> Result<Vec<f64>>,
    ) -> Result<()> {
        let steps = &unknown.plan.steps;
        let mut best = vec![f64::INFINITY; steps.len()];
        for _ in 0..TIMES {
            for (best, seconds) in best.iter_mut().zip(profile()?) {
                *best = best.min(seconds);
            }
        }
        // From a step to its fastest form.
        let mut fastest: BTreeMap<String, (f64, &str)> = BTreeMap::new();
        for ((step, key), seconds) in steps.iter().zip(&unknown.keys).zip(best) {
            tracing::trace!(key, form = step.kernel.name, seconds, "measured");
            let place = fastest
                .entry(key.clone())
                .or_insert((f64::INFINITY, step.kernel.name));
            if seconds < place.0 {
                *place = (seconds, step.kernel.name);
            }
        }
        for (key, (seconds, form)) in fastest {
            tracing::debug!(key, form, seconds, "tuned");
            self.results.set_fastest(key, form);
        }
        self.results.save();
        Ok(())
    }

    /// The plan with each step in its fastest form.
    pub fn apply(&self, plan: &Plan) -> Plan {
        let chosen = |step: &Step| {
            let forms = self.forms(plan, step);
            let name = self.results.fastest(&key(plan, step, &forms));
            let form = name.and_then(|name| forms.iter().find(|form| form.name == name));
            form.map_or_else(|| step.clone(), |form| step.by(form))
        };
        Plan {
            steps: plan.steps.iter().map(chosen).collect(),
            ..plan.clone()
        }
    }
}

/// The step with a new tensor of the plan, in an arena of its own, instead of each recurrent state that it writes: the state may
/// be that of a run, whose next step reads it.
fn without_states(plan: &mut Plan, mut step: Step) -> Step {
    for (binding, slice) in step.kernel.bindings.iter().zip(&mut step.slices) {
        let info = plan.tensor(slice.tensor);
        let is_state = info.storage == Storage::Persistent(Role::RecurrentState);
        if !is_state || binding.access == Access::Read {
            continue;
        }
        let scratch = TensorInfo {
            name: format!("scratch.{}", plan.tensors.len()),
            shape: Shape::from([slice.len]),
            dtype: info.dtype,
            storage: Storage::Arena {
                arena: plan.arenas.len(),
                offset: 0,
            },
            piece: slice.len,
        };
        plan.arenas.push(plan.u32s(&scratch));
        *slice = Slice {
            tensor: TensorId(plan.tensors.len() as u32),
            offset: 0,
            len: slice.len,
        };
        plan.tensors.push(scratch);
    }
    step
}

/// The key of a step in the results: its candidate forms (which depend on the alignment of its slices), the element sizes of its
/// bindings, and its params, which hold all sizes.
fn key(plan: &Plan, step: &Step, forms: &[&Kernel]) -> String {
    let names: Vec<&str> = forms.iter().map(|form| form.name).collect();
    let bytes = widths_key(step.kernel, plan.halves(step));
    let params: Vec<String> = step.params.iter().map(u32::to_string).collect();
    format!("{} {bytes} {}", names.join(", "), params.join(" "))
}
