//! Three training steps of twelve small models against values computed by automatic differentiation in `f64`: see
//! `wlstm::validate::golden`.
//!
//! `f64` on the CPU agrees to 1e-9, `f32` on the CPU and on every GPU to 2e-5 on losses and 1e-4 on the rest. So do the plans of
//! mixed precision and of "f32x3" in `f64`, where nothing is rounded: their gradients are those of a loss times a scale. Where
//! they are rounded to `f16`, which has a precision of 11 bits, losses agree to 2e-3 and the rest to 5e-2. The same tolerances
//! hold for plans that recompute the gates in the backward pass: all at once, two steps at a time, or step by step.

use std::sync::Arc;

use crate::common::{Gpu, Trial, on_every_gpu};
use libtest_mimic::Failed;
use wlstm::config::Precision;
use wlstm::device::{CpuExecutor, Executor, GpuExecutor};
use wlstm::error::Error;
use wlstm::graph::Graph;
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Plan;
use wlstm::graph::split::oversized;
use wlstm::kernel::UnitOperands;
use wlstm::train::update::{training_plan, training_plan_in};
use wlstm::validate::golden::{Golden, PreciseExecutor, Single, Tolerance, judge};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let files = std::fs::read_dir(folder).expect("the golden folder");
    assert_eq!(
        files.count(),
        Golden::names().count(),
        "the program has all golden models"
    );
    for name in Golden::names() {
        for precision in [Precision::F32, Precision::Mixed, Precision::F32x3] {
            trials.extend(of_model(name, precision));
        }
    }
    trials.extend(on_every_gpu("trusted", |gpu| trusted(gpu, Precision::F32)));
    trials.extend(on_every_gpu("recompute::bits", same_bits_recomputed));
    trials.extend(on_every_gpu("trusted::mixed", |gpu| {
        if gpu.adapter.summary.f16 {
            trusted(gpu, Precision::Mixed)
        } else {
            Ok(())
        }
    }));
    trials
}

/// A way to train a model, on any device.
type Check = fn(&Golden, &mut dyn PreciseExecutor, Precision, Tolerance) -> Result<(), Failed>;

fn of_model(name: &'static str, precision: Precision) -> Vec<Trial> {
    let mixed = precision.stores_halves();
    let single = if mixed {
        Tolerance::MIXED
    } else {
        Tolerance::SINGLE
    };
    let suffix = match precision {
        Precision::F32 => "",
        Precision::Mixed => "::mixed",
        Precision::F32x3 => "::f32x3",
    };
    let checks: [(&str, Check); 3] = [
        ("", check),
        ("::cut", check_cut),
        ("::recompute", check_recompute),
    ];
    let mut trials = Vec::new();
    for (way, check) in checks {
        // With "f32x3" plans differ from those in `f32` only by the loss scale.
        if precision == Precision::F32x3 && !way.is_empty() {
            continue;
        }
        let label = format!("{name}{suffix}{way}");
        trials.push(Trial::test(format!("{label}::cpu-f64"), move || {
            let golden = Golden::named(name);
            let mut device = CpuExecutor::<f64>::new();
            check(&golden, &mut device, precision, Tolerance::DOUBLE)?;
            // Step by step, and all at once.
            for steps in [1, usize::MAX].into_iter().filter(|_| way == "::recompute") {
                let mut device = CpuExecutor::<f64>::new();
                check_recompute_in(&golden, &mut device, precision, Tolerance::DOUBLE, steps)?;
            }
            Ok(())
        }));
        // In mixed precision, the test in `f64` covers the split plans.
        if way == "::cut" && mixed {
            continue;
        }
        if way != "::cut" {
            trials.push(Trial::test(format!("{label}::cpu-f32"), move || {
                let mut device = CpuExecutor::<f32>::new();
                check(
                    &Golden::named(name),
                    &mut Single(&mut device),
                    precision,
                    single,
                )
            }));
        }
        trials.extend(on_every_gpu(&label, move |gpu| {
            let summary = &gpu.adapter.summary;
            if mixed && !summary.f16 {
                return Ok(());
            }
            let operands = summary.unit().and_then(|_| unit_operands(precision));
            let opened = match operands {
                Some(operands) => GpuExecutor::with_units(&gpu.adapter, operands),
                None => GpuExecutor::new(&gpu.adapter),
            };
            let mut executor = opened.map_err(failed)?;
            check(
                &Golden::named(name),
                &mut Single(&mut executor),
                precision,
                single,
            )
        }));
    }
    trials
}

/// What matrix units multiply in this precision.
fn unit_operands(precision: Precision) -> Option<UnitOperands> {
    match precision {
        Precision::F32 => None,
        Precision::Mixed => Some(UnitOperands::Halves),
        Precision::F32x3 => Some(UnitOperands::Split),
    }
}

fn failed(error: Error) -> Failed {
    error.chain().to_string().into()
}

fn check(
    golden: &Golden,
    device: &mut dyn PreciseExecutor,
    precision: Precision,
    tolerance: Tolerance,
) -> Result<(), Failed> {
    let found = golden.check(device, precision, tolerance).map_err(failed)?;
    judge(golden.name(), &found).map_err(failed)
}

fn check_plan(
    golden: &Golden,
    device: &mut dyn PreciseExecutor,
    precision: Precision,
    plan: Plan,
    tolerance: Tolerance,
) -> Result<(), Failed> {
    let found = golden.compare(device, precision, plan, tolerance);
    judge(golden.name(), &found.map_err(failed)?).map_err(failed)
}

/// Recomputes the gates in the backward pass, two steps at a time.
fn check_recompute(
    golden: &Golden,
    device: &mut dyn PreciseExecutor,
    precision: Precision,
    tolerance: Tolerance,
) -> Result<(), Failed> {
    check_recompute_in(golden, device, precision, tolerance, 2)
}

/// Recomputes the gates in the backward pass, `steps` steps at a time.
fn check_recompute_in(
    golden: &Golden,
    device: &mut dyn PreciseExecutor,
    precision: Precision,
    tolerance: Tolerance,
    steps: usize,
) -> Result<(), Failed> {
    let (config, vocabulary) = (golden.config(precision), golden.vocabulary());
    let limits = device.executor().limits();
    let mut graph = Graph::new("train", &limits);
    graph.keep_gradients();
    graph.builder.publish("output");
    let rows = golden.batch().saturating_mul(steps);
    graph.builder.recompute_gates(rows);
    let plan = training_plan_in(graph, &config, vocabulary);
    let cells = |plan: &Plan| {
        let steps = plan.steps.iter();
        let cells = steps.filter(|step| step.kernel.name == "lstm/cell_forward");
        cells.count()
    };
    let kept = training_plan(&config, vocabulary, &limits, true);
    assert_eq!(
        cells(&plan),
        2 * cells(&kept),
        "every cell is computed twice"
    );
    check_plan(golden, device, precision, plan, tolerance)
}

/// Trains with the smallest binding limit that the model allows, so that plans split most tensors.
fn check_cut(
    golden: &Golden,
    device: &mut dyn PreciseExecutor,
    precision: Precision,
    tolerance: Tolerance,
) -> Result<(), Failed> {
    let (config, vocabulary) = (golden.config(precision), golden.vocabulary());
    let limits = device.executor().limits();
    let whole = training_plan(&config, vocabulary, &limits, true);
    let most = |slice| Limits {
        slice,
        arena: slice,
        ..limits
    };
    let plan_with = |slice| training_plan(&config, vocabulary, &most(slice), true);
    // Bindings begin at multiples of 64 elements.
    let mut sizes = (68..4096).step_by(4);
    let least = sizes.find(|&slice| oversized(&plan_with(slice), &most(slice)).is_none());
    let plan = plan_with(least.expect("some limit is enough"));
    let pieces = plan.tensors.iter().filter(|info| info.is_in_pieces());
    let (steps, pieces) = (plan.steps.len(), pieces.count());
    if steps < 2 * whole.steps.len() || pieces < 4 {
        return Err(format!("{steps} steps and {pieces} tensors in pieces at {least:?}").into());
    }
    check_plan(golden, device, precision, plan, tolerance)
}

/// Without the run-time checks of wgpu, kernels give the same bits. Each kernel is tried before its checks are dropped.
fn trusted(gpu: &Gpu, precision: Precision) -> Result<(), Failed> {
    let golden = Golden::named("glstm_sampled");
    let config = golden.config(precision);
    let bits = |executor: &mut GpuExecutor| {
        let plan = training_plan(&config, golden.vocabulary(), &executor.limits(), false);
        bits_of(executor, plan, &golden)
    };
    let open = || GpuExecutor::new(&gpu.adapter).map_err(failed);
    let want = bits(&mut open()?);
    let mut executor = open()?;
    executor.trust();
    let got = bits(&mut executor);
    let (good, tried) = executor.trusted();
    if good < 10 || good < tried {
        return Err(format!("{good} of {tried} kernels are trusted").into());
    }
    if got == want {
        Ok(())
    } else {
        Err("other bits without run-time checks".into())
    }
}

/// The bits of all outputs and parameters of three steps.
fn bits_of(executor: &mut GpuExecutor, plan: Plan, golden: &Golden) -> Vec<u64> {
    let plan = Arc::new(plan);
    let id = golden.load(executor, &plan).expect("a small plan");
    let mut found = Vec::new();
    for step in 0..3 {
        let inputs = golden.inputs(step, &plan);
        executor.run(id, &inputs).expect("a run");
        let outputs = executor.fetch().expect("outputs");
        let values = outputs.into_iter().flat_map(|(_, values)| values);
        found.extend(values.map(f64::to_bits));
    }
    for line in golden.parameters() {
        let values = executor.read(&line.name).expect("readable");
        found.extend(values.into_iter().map(|value| f64::from(value).to_bits()));
    }
    found
}

/// Recomputing the gates all at once gives the same bits as keeping them, if products are too small to be split into pieces.
fn same_bits_recomputed(gpu: &Gpu) -> Result<(), Failed> {
    for name in ["lstmp_sampled", "flstm", "glstm_sampled", "lstm_plain"] {
        let golden = Golden::named(name);
        let config = golden.config(Precision::F32);
        let open = || GpuExecutor::new(&gpu.adapter).map_err(failed);
        let bits = |executor: &mut GpuExecutor, recompute: bool| {
            let mut graph = Graph::new("train", &executor.limits());
            if recompute {
                graph.builder.recompute_gates(usize::MAX);
            }
            let plan = training_plan_in(graph, &config, golden.vocabulary());
            bits_of(executor, plan, &golden)
        };
        if bits(&mut open()?, true) != bits(&mut open()?, false) {
            return Err(format!("{name}: other bits with recomputed gates").into());
        }
    }
    Ok(())
}
