//! Every kernel, every case, against the `f64` twin: the shader on every adapter, the `f32` twin, and the implementation for the
//! CPU. Outputs are filled with NaN before, slices are fenced, and deliberately wrong kernels must be rejected.

use crate::common::{Gpu, SEED, Trial, gpus, on_every_gpu, on_gpus_that, without_units};
use libtest_mimic::Failed;
use wlstm::device::GpuExecutor;
use wlstm::device::single::{Layout, compare, fill, reference, rounded, run_case, run_on_host};
use wlstm::error::Kind;
use wlstm::kernel::{Case, CpuFn, DeviceTraits, Halves, Kernel, Twin};
use wlstm::kernels::{catalogue, forms, is_form, pointwise::add};
use wlstm::real::Real;
use wlstm::validate::kernels::{self as validate, Coverage, LAYOUTS};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kernel in catalogue() {
        for case in (kernel.cases)() {
            trials.extend(parity(kernel, case));
        }
    }
    trials.extend(rejections());
    trials.extend(same_bits());
    trials
}

/// The trials of one case.
fn parity(kernel: &'static Kernel, case: Case) -> Vec<Trial> {
    let name = format!("{}::{}", kernel.name, case.label.replace(' ', "_"));
    let mut trials = Vec::new();
    // Other forms have the twin of their base, which has these trials.
    if !is_form(kernel) {
        let twin = format!("{name}::twin");
        trials.push(on_host(twin, kernel, case.clone(), kernel.twin.single));
        if let Some(cpu) = kernel.cpu {
            trials.push(on_host(format!("{name}::cpu"), kernel, case.clone(), cpu));
        }
    }
    if lacks_units(kernel) {
        trials.push(without_units(format!("{name}::gpu")));
        return trials;
    }
    // Variants that are left out in software are compared with the base once: see `same_bits`.
    let chosen = move |case: &Case, gpu: &Gpu| -> Vec<Halves> {
        let coverage = if gpu.adapter.summary.is_hardware() {
            Coverage::Full
        } else {
            Coverage::Reduced
        };
        let runs = |halves: &Halves| runs(kernel, *halves, gpu);
        validate::chosen(kernel, case, coverage)
            .into_iter()
            .filter(runs)
            .collect()
    };
    let of_case = case.clone();
    let takes = move |gpu: &Gpu| !chosen(&of_case, gpu).is_empty();
    trials.extend(on_gpus_that(takes, &name.clone(), move |gpu| {
        let name = format!("{name}::{}", gpu.slug);
        for halves in chosen(&case, gpu) {
            let contents = rounded(fill(kernel, &case, SEED), halves);
            let want = reference(kernel, &case, &contents);
            for layout in LAYOUTS {
                gpu.with(|executor| run_case(executor, kernel, &case, &contents, layout, halves))
                    .and_then(|got| judge(kernel, &case, &got, &want, halves))
                    .map_err(|failed| {
                        let prefix = format!("buffers {layout:?}, {halves:?}: ");
                        explain(&name, &prefix, failed)
                    })?;
            }
        }
        Ok(())
    }));
    trials
}

/// Whether a kernel is for matrix units, and there are GPUs but none with such units.
pub fn lacks_units(kernel: &Kernel) -> bool {
    let every = kernel.all_halves();
    let none = !gpus().iter().any(|gpu| runs(kernel, every, gpu));
    kernel.needs_units() && !gpus().is_empty() && none
}

/// Whether a GPU runs a kernel with these halves.
pub fn runs(kernel: &Kernel, halves: Halves, gpu: &Gpu) -> bool {
    let summary = &gpu.adapter.summary;
    let traits = DeviceTraits {
        fuses: true,
        unit: summary.unit(),
        subgroup: summary.subgroup(),
        workgroup_bytes: summary.max_workgroup_bytes,
    };
    let f16 = halves.is_empty() || summary.f16;
    f16 && kernel.takes_operands(halves) && kernel.requires.are_met_by(traits)
}

fn on_host(name: String, kernel: &'static Kernel, case: Case, run: CpuFn<f32>) -> Trial {
    Trial::test(name.clone(), move || {
        let contents = fill(kernel, &case, SEED);
        let got = run_on_host(kernel, run, &case.params, &contents);
        let want = reference(kernel, &case, &contents);
        judge(kernel, &case, &got, &want, Halves::NONE).map_err(|failed| explain(&name, "", failed))
    })
}

/// Fails unless every element is within the tolerance of the case.
fn judge<R: Real>(
    kernel: &Kernel,
    case: &Case,
    got: &[Vec<R>],
    want: &[Vec<f64>],
    halves: Halves,
) -> Result<(), Failed> {
    match compare(kernel, case, got, want, halves) {
        Some(worst) if !worst.is_tolerable() => Err(worst.into()),
        _ => Ok(()),
    }
}

fn explain(name: &str, prefix: &str, failed: Failed) -> Failed {
    let message = failed.message().unwrap_or_default();
    format!(
        "{prefix}{message}\nrerun: cargo test --release --test devices -- --exact 'parity::{name}'"
    )
    .into()
}

/// The forms of a kernel give the same bits, so an executor may choose any of them.
fn same_bits() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kernel in catalogue().filter(|kernel| forms(kernel, Halves::NONE).count() > 1) {
        let every = kernel.all_halves();
        if lacks_units(kernel) {
            trials.push(without_units(format!("forms::{}::gpu", kernel.name)));
            continue;
        }
        trials.extend(on_every_gpu(
            &format!("forms::{}", kernel.name),
            move |gpu| {
                for (case, halves) in (kernel.cases)()
                    .into_iter()
                    .flat_map(|case| [Halves::NONE, every].map(|halves| (case.clone(), halves)))
                {
                    if !runs(kernel, halves, gpu) {
                        continue;
                    }
                    let contents = rounded(fill(kernel, &case, SEED), halves);
                    let bits = |form: &'static Kernel| {
                        let run = |executor: &mut GpuExecutor| {
                            run_case(executor, form, &case, &contents, Layout::Apart, halves)
                        };
                        gpu.with(run).map(|results| {
                            let bits =
                                |slice: &Vec<f32>| slice.iter().map(|x| x.to_bits()).collect();
                            results.iter().map(bits).collect::<Vec<Vec<u32>>>()
                        })
                    };
                    let first = bits(kernel)?;
                    let fits = |form: &&'static Kernel| {
                        let mut lanes = form.bindings.iter().map(|binding| binding.lanes);
                        let whole = case.buffers.iter().all(|fill| {
                            fill.len().is_multiple_of(lanes.next().expect("a binding"))
                        });
                        whole && form.supports(&case.params) && runs(form, halves, gpu)
                    };
                    for other in forms(kernel, halves).skip(1).filter(fits) {
                        if bits(other)? != first {
                            return Err(
                                format!("{} has other bits: {}", other.name, case.label).into()
                            );
                        }
                    }
                }
                Ok(())
            },
        ));
    }
    assert!(!trials.is_empty(), "some kernel has several forms");
    trials
}

/// `pointwise/add` with another shader or another `f32` twin.
fn wrong(name: &'static str, wgsl: String, single: CpuFn<f32>) -> &'static Kernel {
    let right = &add::KERNEL;
    assert!(
        wgsl != right.wgsl || single as usize != right.twin.single as usize,
        "{name} is right"
    );
    Box::leak(Box::new(Kernel {
        name,
        wgsl: Box::leak(wgsl.into_boxed_str()),
        twin: Twin {
            single,
            double: right.twin.double,
        },
        bindings: right.bindings,
        snippets: right.snippets,
        fields: right.fields,
        constants: right.constants,
        grid: right.grid,
        cpu: right.cpu,
        cases: right.cases,
        ..Kernel::DEFAULT
    }))
}

/// Deliberately wrong kernels. A trial fails if its kernel is accepted.
fn rejections() -> Vec<Trial> {
    let (source, twin) = (add::KERNEL.wgsl, add::KERNEL.twin.single);
    let changed = |name, from: &str, to: &str| {
        assert!(
            source.contains(from),
            "`{from}` is no longer in pointwise/add.wgsl"
        );
        wrong(name, source.replace(from, to), twin)
    };
    let value = "f32(x[starts.x + i]) + f32(y[starts.y + i])";
    let shaders = [
        changed(
            "skips_its_last_element",
            "i >= params.len",
            "i + 1u >= params.len",
        ),
        changed(
            "has_a_wrong_constant",
            value,
            "f32(x[starts.x + i]) + 1.00001 * f32(y[starts.y + i])",
        ),
        changed(
            "gives_nan",
            value,
            "bitcast<f32>(0x7fc00000u + starts.x * 0u)",
        ),
        changed(
            "reads_the_element_before",
            "y[starts.y + i]",
            "y[starts.y + i - 1u]",
        ),
        changed(
            "writes_before_its_slice",
            "sum[starts.sum + i]",
            "sum[starts.sum + i - 1u]",
        ),
    ];
    let case = |k: usize| (add::KERNEL.cases)().swap_remove(k);
    let mut trials = Vec::new();
    for kernel in shaders {
        let name = format!("rejected::{}", kernel.name);
        trials.extend(on_every_gpu(&name, move |gpu| {
            let case = case(1);
            let contents = fill(kernel, &case, SEED);
            let want = reference(kernel, &case, &contents);
            for layout in LAYOUTS {
                let run = |executor: &mut GpuExecutor| match run_case(
                    executor,
                    kernel,
                    &case,
                    &contents,
                    layout,
                    Halves::NONE,
                ) {
                    Ok(got) => Ok(judge(kernel, &case, &got, &want, Halves::NONE).is_ok()),
                    Err(error) if error.kind() == Kind::Mismatch => Ok(false),
                    Err(error) => Err(error),
                };
                refused(gpu.with(run)?)?;
            }
            Ok(())
        }));
    }
    let skips: CpuFn<f32> = |raw, buffers| {
        let (x, y, sum) = (buffers.read("x"), buffers.read("y"), buffers.write("sum"));
        for i in 0..raw[0] as usize - 1 {
            sum[i] = x[i] + y[i];
        }
    };
    let drifts: CpuFn<f32> = |raw, buffers| {
        let (x, y, sum) = (buffers.read("x"), buffers.read("y"), buffers.write("sum"));
        for i in 0..raw[0] as usize {
            sum[i] = x[i] + y[i] + 1e-5;
        }
    };
    for (name, run) in [
        ("skips_its_last_element", skips),
        ("has_a_wrong_constant", drifts),
    ] {
        let kernel = wrong(name, source.to_owned(), run);
        trials.push(Trial::test(format!("rejected::{name}::twin"), move || {
            let case = case(1);
            let contents = fill(kernel, &case, SEED);
            let got = run_on_host(kernel, run, &case.params, &contents);
            let want = reference(kernel, &case, &contents);
            refused(judge(kernel, &case, &got, &want, Halves::NONE).is_ok())
        }));
    }
    trials
}

fn refused(accepted: bool) -> Result<(), Failed> {
    if accepted {
        return Err("a wrong kernel was accepted".into());
    }
    Ok(())
}
