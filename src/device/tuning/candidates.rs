//! The forms of kernels that a device can run, and the one that it runs without measurements.

use crate::graph::plan::{Plan, Step};
use crate::kernel::{Changes, DeviceTraits, Kernel};

/// The forms that a device can run.
#[derive(Clone, Copy, Debug)]
pub struct Candidates {
    /// The properties of the device that decide which forms it can run.
    pub traits: DeviceTraits,
    /// Whether it is hardware.
    pub is_hardware: bool,
    /// The changes whose forms are no candidates.
    pub without: Changes,
}

impl Candidates {
    /// The candidates for a step, its own kernel first.
    pub fn of(&self, plan: &Plan, step: &Step) -> Vec<&'static Kernel> {
        let forms = plan.forms(step);
        forms.filter(|form| self.includes(form)).collect()
    }

    /// Whether the device can run a form, and the form is for such a device and no part of a change that is switched off.
    pub fn includes(&self, form: &Kernel) -> bool {
        let is_off = form.part_of.iter().any(|&part| self.without.has(part));
        let is_for_device = self.is_hardware || !form.for_hardware;
        form.requires.are_met_by(self.traits) && is_for_device && !is_off
    }

    /// The plan with each step in the form that runs without measurements. On hardware, forms that stage vectors in workgroup
    /// memory are the fastest in nearly all measurements: see [`Kernel::unmeasured`]. On software adapters each kernel runs itself.
    pub fn unmeasured(&self, plan: &Plan) -> Plan {
        if !self.is_hardware {
            return plan.clone();
        }
        let chosen = |step: &Step| {
            let runs = |form: &&Kernel| form.unmeasured.is_some_and(|runs| runs(&step.params));
            let forms = self.of(plan, step);
            let form = forms.iter().rev().find(|form| runs(form));
            form.map_or_else(|| step.clone(), |form| step.by(form))
        };
        Plan {
            steps: plan.steps.iter().map(chosen).collect(),
            ..plan.clone()
        }
    }
}
