//! Tuning: finds the fastest form of a kernel for each size. It is measured once per adapter and driver, and
//! stored in a file.
//!
//! The results of all forms of a kernel are bitwise identical, so the choice affects only the time. Without measurements
//! (tuning is off, or the device has no timestamps) the first form runs.

mod results;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use results::{TuningResults, widths_key};

use super::adapter::AdapterSummary;
use crate::error::Result;
use crate::graph::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use crate::kernel::{Access, Changes, DeviceTraits, Kernel};
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
    /// The properties of the device that decide which forms it can run.
    traits: DeviceTraits,
    /// Whether it is hardware.
    is_hardware: bool,
    /// The changes whose forms are no candidates.
    without: Changes,
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
        traits: DeviceTraits,
        without: Changes,
        cache: Option<PathBuf>,
    ) -> Tuning {
        Tuning {
            results: TuningResults::open(summary, cache),
            traits,
            is_hardware: summary.is_hardware(),
            without,
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

    /// The candidate forms of a step: those that the device can run, that are no part of a change that is switched off, and that
    /// support both the step and its measured size.
    fn forms(&self, plan: &Plan, step: &Step) -> Vec<&'static Kernel> {
        let part = self.part(step).params;
        let forms = plan.forms(step);
        let fits = |form: &&Kernel| self.considers(form) && form.supports(&part);
        forms.filter(fits).collect()
    }

    /// Whether the device can run a form, and the form is for such a device and no part of a change that is switched off.
    fn considers(&self, form: &Kernel) -> bool {
        let is_off = form.part_of.is_some_and(|part| self.without.has(part));
        let is_for_device = self.is_hardware || !form.for_hardware;
        form.requires.are_met_by(self.traits) && is_for_device && !is_off
    }

    /// A step at the size at which it is measured.
    fn part(&self, step: &Step) -> Step {
        let mut step = step.clone();
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

#[cfg(test)]
mod tests {

    use super::*;
    use crate::device::Hardware;
    use crate::graph::builder::Builder;
    use crate::graph::memory::Limits;
    use crate::kernel::{Change, Halves, Params as _};
    use crate::kernels::forms;
    use crate::kernels::lstm::cell_forward;
    use crate::kernels::matmul::product;

    /// A form of the product.
    fn tiled() -> &'static Kernel {
        let mut forms = forms(&product::KERNEL, Halves::NONE);
        forms
            .find(|form| form.name == "matmul/product_tiled")
            .expect("a form")
    }

    fn plan() -> Plan {
        let mut builder = Builder::new("two products", &Limits::HOST);
        let x = builder.real_input("x", [64]);
        let y = builder.output("y", [64]);
        let z = builder.output("z", [64]);
        let params = product::Params::dense(8, 8, 8);
        builder.step("first", &product::KERNEL, &params, &[x, x, x, y]);
        builder.step("again", &product::KERNEL, &params, &[x, x, x, z]);
        let params = product::Params::dense(4, 4, 8);
        builder.step("second", &product::KERNEL, &params, &[x, x, x, y]);
        builder.finish()
    }

    fn summary(driver: &str) -> AdapterSummary {
        AdapterSummary {
            index: 0,
            name: "a card".into(),
            vendor_id: 0,
            vendor: String::new(),
            hardware: Hardware::Discrete,
            backend: "vulkan".into(),
            driver: driver.into(),
            driver_info: String::new(),
            max_binding_bytes: 0,
            max_buffer_bytes: 0,
            max_workgroup_bytes: 0,
            f16: false,
            subgroups: false,
            subgroup_min: 0,
            subgroup_max: 0,
            multiprocessors: None,
            matrix_units: Vec::new(),
            timestamps: true,
        }
    }

    fn tuning(driver: &str, folder: Option<PathBuf>) -> Tuning {
        Tuning {
            results: TuningResults::open(&summary(driver), folder),
            traits: DeviceTraits::default(),
            is_hardware: true,
            without: Changes::NONE,
            most: u64::MAX,
        }
    }

    #[test]
    fn forms_of_a_change_that_is_off_are_no_candidates() {
        static PART: Kernel = Kernel {
            part_of: Some(Change::DoubleBuffer),
            ..Kernel::DEFAULT
        };
        let with = |changes: &[Change]| Tuning {
            without: changes.iter().copied().collect(),
            ..tuning("1.0", None)
        };
        assert!(with(&[]).considers(&PART) && with(&[Change::Units]).considers(&PART));
        assert!(!with(&[Change::Units, Change::DoubleBuffer]).considers(&PART));
        assert!(with(&Change::ALL).considers(&product::KERNEL));
    }

    #[test]
    fn forms_for_hardware_are_no_candidates_on_software() {
        static STAGED: Kernel = Kernel {
            for_hardware: true,
            ..Kernel::DEFAULT
        };
        let on = |is_hardware| Tuning {
            is_hardware,
            ..tuning("1.0", None)
        };
        assert!(on(true).considers(&STAGED) && !on(false).considers(&STAGED));
        assert!(on(false).considers(&product::KERNEL));
    }

    #[test]
    fn measurements_write_no_recurrent_state() {
        let mut builder = Builder::new("one time step", &Limits::COMMON);
        let mut tensor = |name, len: usize| builder.activation(name, [len]);
        let (h, w, bias) = (tensor("h", 64), tensor("w", 1024), tensor("bias", 128));
        let (z, before, m) = (tensor("z", 256), tensor("before", 64), tensor("m", 64));
        let state = builder.state("c", [2, 32]);
        let params = cell_forward::Params {
            batch: 2,
            hidden: 32,
            groups: 1,
            depth: 8,
            weight_group: 0,
            accumulate: 0,
            forget_bias: 1.0,
        };
        let slices = [h.part(0, 16), w, bias, z, before, state, m];
        builder.step("cell", &cell_forward::KERNEL, &params, &slices);
        let plan = builder.finish();
        let unknown = tuning("1.0", None).unknown(&plan).unwrap().plan;
        assert!(unknown.steps.len() > 1);
        unknown.check();
        for step in &unknown.steps {
            let changed = step.slices.iter().zip(&slices);
            let changed: Vec<bool> = changed.map(|(is, was)| is.tensor != was.tensor).collect();
            assert_eq!(changed, [false, false, false, false, false, true, false]);
        }
    }

    #[test]
    fn what_cannot_take_a_form_has_the_best_of_the_others() {
        let mut builder = Builder::new("one size, two places", &Limits::HOST);
        let x = builder.real_input("x", [65]);
        let y = builder.output("y", [64]);
        let z = builder.output("z", [64]);
        let params = product::Params::dense(8, 8, 8);
        let [even, odd] = [x.part(0, 64), x.part(1, 64)];
        builder.step("even", &product::KERNEL, &params, &[even, even, even, y]);
        builder.step("odd", &product::KERNEL, &params, &[odd, odd, odd, z]);
        let plan = builder.finish();
        let mut tuning = tuning("1.0", None);
        let unknown = tuning.unknown(&plan).unwrap();
        let steps = &unknown.plan.steps;
        // The more specialised a form, the faster.
        let seconds = |step: &Step| match step.kernel.name {
            "matmul/product_vector" => 1.0,
            "matmul/product_tiled" => 2.0,
            _ => 3.0,
        };
        let profile = || Ok(steps.iter().map(seconds).collect());
        tuning.measure(&unknown, profile).unwrap();
        let tuned = tuning.apply(&plan);
        let names: Vec<&str> = tuned.steps.iter().map(|step| step.kernel.name).collect();
        assert_eq!(names, ["matmul/product_vector", "matmul/product_tiled"]);
    }

    #[test]
    fn parts_that_are_measured_are_smaller_and_take_the_same_forms() {
        let mut builder = Builder::new("a large product", &Limits::HOST);
        let x = builder.real_input("x", [1000 * 1200]);
        let y = builder.output("y", [8 * 1000 * 1000]);
        let params = product::Params {
            pieces: 8,
            ..product::Params::dense(1000, 1000, 1200)
        };
        let slices = [x, x, x, y];
        builder.step("large", &product::KERNEL, &params, &slices);
        let plan = builder.finish();
        let mut tuning = tuning("1.0", None);
        let whole = tuning.forms(&plan, &plan.steps[0]);
        for most in [1 << 28, 1 << 20, 1 << 9, 1] {
            tuning.most = most;
            let part = tuning.part(&plan.steps[0]);
            let params: &product::Params = product::Params::of(&part.params);
            assert!(params.multiply_adds() <= most.max(512), "{params:?}");
            // The part keeps its number of pieces.
            assert_eq!(params.in_pieces(params.pieces).pieces, params.pieces);
            assert_eq!(tuning.forms(&plan, &plan.steps[0]), whole);
        }
    }

    #[test]
    fn the_fastest_form_is_kept_for_the_adapter_and_its_driver() {
        let folder = tempfile::tempdir().unwrap();
        let open = |driver| tuning(driver, Some(folder.path().into()));
        let (plan, mut tuning) = (plan(), open("1.0"));
        let unknown = tuning.unknown(&plan).unwrap();
        // Two sizes in all forms.
        let names: Vec<&str> = unknown
            .plan
            .steps
            .iter()
            .map(|step| step.kernel.name)
            .collect();
        let forms = forms(&product::KERNEL, Halves::NONE);
        let forms = forms.filter(|form| form.requires.are_met_by(DeviceTraits::default()));
        let forms: Vec<&str> = forms.map(|form| form.name).collect();
        assert_eq!(names, [forms.clone(), forms.clone()].concat());
        let (count, plain, other) = (forms.len(), product::KERNEL.name, tiled().name);
        let at = forms.iter().position(|form| *form == other).unwrap();
        let run = |quick: [(usize, f64); 3]| {
            let mut seconds = vec![9.0; 2 * count];
            for (at, time) in quick {
                seconds[at] = time;
            }
            seconds
        };
        let mut runs = [
            run([(0, 3.0), (count, 2.0), (count + at, 5.0)]),
            run([(at, 2.0), (0, 9.0), (count, 9.0)]),
            run([(0, 9.0); 3]),
        ]
        .into_iter();
        let profile = || Ok(runs.next().unwrap());
        tuning.measure(&unknown, profile).unwrap();
        tuning
            .results
            .set_trusted(&product::KERNEL, Halves::NONE, true);
        tuning
            .results
            .set_trusted(&product::KERNEL, product::KERNEL.all_halves(), false);
        tuning.results.save();
        for tuning in [tuning, open("1.0")] {
            assert!(tuning.unknown(&plan).is_none());
            assert_eq!(
                tuning.results.trusts(&product::KERNEL, Halves::NONE),
                Some(true)
            );
            let all = product::KERNEL.all_halves();
            assert_eq!(tuning.results.trusts(&product::KERNEL, all), Some(false));
            assert_eq!(tuning.results.trusts(tiled(), Halves::NONE), None);
            let tuned = tuning.apply(&plan);
            let names: Vec<&str> = tuned.steps.iter().map(|step| step.kernel.name).collect();
            assert_eq!(names, [other, other, plain]);
            tuned.check();
        }
        assert!(open("1.1").unknown(&plan).is_some());
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::write(entry.unwrap().path(), "{ nonsense").unwrap();
        }
        assert!(open("1.0").unknown(&plan).is_some());
    }
}
