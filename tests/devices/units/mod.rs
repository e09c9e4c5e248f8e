//! Products and cells on matrix units of 16 x 16, which no software adapter has: the same text with emulated units, in every case,
//! against the `f64` twin. All forms of a kernel give the same bits, so an executor may choose any of them.

mod emulation;

use libtest_mimic::Failed;
use wlstm::device::GpuExecutor;
use wlstm::device::single::{Layout, compare, fill, reference, rounded, run_case};
use wlstm::kernel::{Case, Halves, Kernel};
use wlstm::kernels::catalogue;

use crate::common::{Gpu, SEED, Trial, gpus, left_out, on_gpus_that};

pub use emulation::emulated;

pub fn trials() -> Vec<Trial> {
    let bases: Vec<_> = catalogue()
        .filter(|kernel| kernel.on_units_for.is_some())
        .collect();
    assert!(!bases.is_empty(), "some kernel is for matrix units");
    let trials = bases.into_iter().flat_map(|base| {
        let name = format!("emulated::{}", base.name);
        on_software(&name, move |gpu| all_forms(base, gpu))
    });
    trials.collect()
}

/// One trial for each software adapter. One that cannot emulate units is left out, or a failure with `REQUIRE_GPU=1`.
pub fn on_software(
    name: &str,
    check: impl Fn(&Gpu) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    let is_software = |gpu: &&Gpu| !gpu.adapter.summary.is_hardware();
    let can = |gpu: &Gpu| {
        let summary = &gpu.adapter.summary;
        summary.f16 && summary.max_workgroup_bytes >= emulation::WORKGROUP_BYTES
    };
    let cannot = gpus().iter().filter(is_software).filter(|gpu| !can(gpu));
    let mut trials: Vec<_> = cannot
        .map(|gpu| {
            let reason = "this adapter lacks f16 or 32 KiB of workgroup memory";
            left_out(format!("{name}::{}", gpu.slug), reason)
        })
        .collect();
    trials.extend(on_gpus_that(
        move |gpu| is_software(&gpu) && can(gpu),
        name,
        check,
    ));
    trials
}

/// Compares the emulated forms of a kernel with the twin and with each other. The results are stored in `f32`, whose bits show
/// more, and those of the kernel itself also in `f16`.
fn all_forms(base: &'static Kernel, gpu: &Gpu) -> Result<(), Failed> {
    let (forms, all) = (emulated(base), base.all_halves());
    let operands = (2..base.bindings.len()).fold(all, Halves::without);
    let mut cases = (base.cases)();
    cases.retain(|case| !case.timed);
    for form in &forms {
        let of_form = cases.iter().filter(|case| has(form, case));
        assert!(of_form.count() > 1, "{} has too few cases", form.name);
    }
    for case in &cases {
        result(base, forms[0], case, all, gpu)?;
        let mut first = None;
        // The first form is for all sizes.
        for form in forms.iter().filter(|form| has(form, case)) {
            let bits = result(base, form, case, operands, gpu)?;
            if *first.get_or_insert_with(|| bits.clone()) != bits {
                let names = [form, &forms[0]].map(|form| form.name).join(" and ");
                return Err(format!("{}: the bits of {names} differ", case.label).into());
            }
        }
    }
    Ok(())
}

/// The bits that a form computes, which must agree with the twin.
fn result(
    base: &Kernel,
    form: &'static Kernel,
    case: &Case,
    halves: Halves,
    gpu: &Gpu,
) -> Result<Vec<u32>, Failed> {
    let contents = rounded(fill(base, case, SEED), halves);
    let want = reference(base, case, &contents);
    let run = |executor: &mut GpuExecutor| {
        run_case(executor, form, case, &contents, Layout::Apart, halves)
    };
    let got = gpu.with(run)?;
    match compare(form, case, &got, &want, halves) {
        Some(worst) if !worst.is_tolerable() => {
            Err(format!("{}, {}: {worst}", form.name, case.label).into())
        }
        _ => Ok(got.iter().flatten().map(|x| x.to_bits()).collect()),
    }
}

/// Whether a case is one of a form.
fn has(form: &Kernel, case: &Case) -> bool {
    (form.cases)().iter().any(|own| own.label == case.label)
}
