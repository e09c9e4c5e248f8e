use super::*;
use crate::device::Hardware;
use crate::graph::builder::Builder;
use crate::graph::memory::Limits;
use crate::kernel::{
    Change, Changes, DeviceTraits, Halves, MatrixUnits, Params as _, UnitOperands,
};
use crate::kernels::lstm::cell_forward;
use crate::kernels::matmul::product;
use crate::kernels::{catalogue, forms};

const HARDWARE: Candidates = Candidates {
    traits: DeviceTraits {
        fuses: false,
        unit: None,
        subgroup: None,
        workgroup_bytes: 0,
    },
    is_hardware: true,
    without: Changes::NONE,
};

const SOFTWARE: Candidates = Candidates {
    is_hardware: false,
    ..HARDWARE
};

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
        candidates: HARDWARE,
        most: u64::MAX,
    }
}

#[test]
fn forms_of_a_change_that_is_off_are_no_candidates() {
    static PART: Kernel = Kernel {
        part_of: &[Change::Cells, Change::DoubleBuffer],
        ..Kernel::DEFAULT
    };
    let with = |changes: &[Change]| Candidates {
        without: changes.iter().copied().collect(),
        ..HARDWARE
    };
    assert!(with(&[]).includes(&PART) && with(&[Change::Units]).includes(&PART));
    assert!(!with(&[Change::DoubleBuffer]).includes(&PART));
    assert!(!with(&[Change::Units, Change::Cells]).includes(&PART));
    assert!(with(&Change::ALL).includes(&product::KERNEL));
    // What each change switches off, among the forms of products and of cells.
    for (change, word) in [(Change::DoubleBuffer, "double"), (Change::Units, "of 64x")] {
        let forms = |without: &[Change]| {
            let candidates = Candidates {
                traits: DeviceTraits {
                    unit: Some(MatrixUnits {
                        side: 16,
                        subgroup: 32,
                        workgroup_bytes: 1 << 17,
                        vector_bytes: 16,
                    }),
                    workgroup_bytes: 1 << 17,
                    ..HARDWARE.traits
                },
                ..with(without)
            };
            let named = catalogue().filter(|form| form.name.contains(word));
            let named = named.filter(|form| form.part_of.contains(&change));
            let runs: Vec<_> = named.filter(|form| candidates.includes(form)).collect();
            let of = |stem| {
                runs.iter()
                    .filter(|form| form.name.starts_with(stem))
                    .count()
            };
            [of("matmul/"), of("lstm/")]
        };
        assert!(forms(&[]).iter().all(|&count| count > 1), "{change:?}");
        assert_eq!(forms(&[change]), [0, 0]);
    }
}

#[test]
fn forms_for_hardware_are_no_candidates_on_software() {
    static STAGED: Kernel = Kernel {
        for_hardware: true,
        ..Kernel::DEFAULT
    };
    assert!(HARDWARE.includes(&STAGED) && !SOFTWARE.includes(&STAGED));
    assert!(SOFTWARE.includes(&product::KERNEL));
}

#[test]
fn without_measurements_a_gpu_runs_forms_that_stage_vectors() {
    let mut builder = Builder::new("products and cells", &Limits::COMMON);
    let x = builder.real_input("x", [8 * 1024]);
    let y = builder.output("y", [8 * 1024]);
    let state = builder.state("c", [8 * 1024]);
    for (label, first) in [("aligned", 0), ("odd", 1)] {
        let x = x.part(first, 64 * 64);
        let params = product::Params::dense(64, 64, 64);
        let y = y.part(0, 64 * 64);
        builder.step(label, &product::KERNEL, &params, &[x, x, x, y]);
    }
    for (label, batch) in [("many streams", 64), ("few streams", 4)] {
        let params = cell_forward::Params {
            batch,
            hidden: 16,
            groups: 1,
            depth: 16,
            weight_group: 0,
            accumulate: 0,
            forget_bias: 1.0,
        };
        let units = 16 * batch as usize;
        let (left, weight, bias) = (x.part(0, units), x.part(0, 1024), x.part(0, 64));
        let (z, m) = (y.part(0, 4 * units), y.part(4 * units, units));
        let slices = [left, weight, bias, z, left, state.part(0, units), m];
        builder.step(label, &cell_forward::KERNEL, &params, &slices);
    }
    let plan = builder.finish();
    let names = |candidates: Candidates| {
        let steps = candidates.unmeasured(&plan).steps;
        let names: Vec<&str> = steps.iter().map(|step| step.kernel.name).collect();
        names.join(", ")
    };
    assert_eq!(
        names(HARDWARE),
        "matmul/product_vector, matmul/product_tiled 128x64, \
         lstm/cell_forward vector 64x64 double, lstm/cell_forward"
    );
    assert_eq!(
        names(SOFTWARE),
        "matmul/product, matmul/product, lstm/cell_forward, lstm/cell_forward"
    );
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
    let operands = UnitOperands::Halves;
    tuning.results.set_unit_vectors(operands, 8);
    tuning.results.save();
    for tuning in [tuning, open("1.0")] {
        assert_eq!(tuning.results.unit_vectors(operands), Some(8));
        assert_eq!(tuning.results.unit_vectors(UnitOperands::Split), None);
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
    assert_eq!(open("1.1").results.unit_vectors(operands), None);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "{ nonsense").unwrap();
    }
    assert!(open("1.0").unknown(&plan).is_some());
}
