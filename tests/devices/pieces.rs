//! Plans for GPUs split products with few blocks into pieces and compute the products of cells in separate steps. Their results
//! agree with those of the plans for the CPU: on the CPU in `f64` and `f32`, and on every GPU.

use std::sync::Arc;

use crate::common::{Gpu, Trial, on_every_gpu};
use libtest_mimic::Failed;
use wlstm::config::Config;
use wlstm::device::{CpuExecutor, Data, Executor, GpuExecutor, Inputs};
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::{Plan, Role, Storage};
use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::matmul::sum_pieces;
use wlstm::train::update::{round_parameters, training_plan};

/// Multiprocessors that a GPU is assumed to have.
const MULTIPROCESSORS: usize = 32;

const VOCABULARY: usize = 24;
const STEPS: usize = 3;

/// Large enough that the projection and the gradients of outputs and factors are split into pieces.
fn config(cell: &str, precision: &str) -> Config {
    config_of(cell, precision, 2, false)
}

/// Enough steps that the gradients of weights are split too, with gates that are kept or recomputed.
fn long_config(cell: &str, recompute: bool) -> Config {
    config_of(cell, "f32", 32, recompute)
}

fn config_of(cell: &str, precision: &str, unroll: usize, recompute: bool) -> Config {
    let text = format!(
        "[model]\nlayers = 2\nembedding = 8\nprojection = 8\nhidden = 1040\ndropout = 0.0\n{cell}\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"x.txt\"]\n[train]\nbatch = 16\nunroll = {unroll}\nrecompute = {recompute}\nlearning_rate = 0.2\nclip_norm = 10.0\nema = 0.99\n\
         optimizer = \"adagrad\"\nrecipe = \"paper\"\nsteps = 3\nprecision = \"{precision}\"\n"
    );
    Config::parse(&text, "pieces", &std::env::temp_dir(), &[]).expect("a valid configuration")
}

/// Numbers between -1 and 1.
fn numbers(seed: u64, len: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    })
}

fn inputs(config: &Config, plan: &Plan, step: usize) -> Inputs {
    let rows = config.train.batch * config.train.unroll;
    let words = |seed| -> Vec<u32> {
        let draw = numbers(seed, rows);
        draw.map(|x| ((x + 1.0) / 2.0 * VOCABULARY as f32) as u32)
            .collect()
    };
    let (inputs, targets) = (words(2 * step as u64 + 1), words(2 * step as u64 + 2));
    let mut made: Inputs = vec![
        ("rows.embedding", Data::Index(row_index(&inputs))),
        ("inputs", Data::Index(inputs)),
        ("targets", Data::Index(targets)),
        (
            "control",
            Data::Real(vec![0.2, 10.0, 0.99, 0.0, 0.0, 1.0, 1.0]),
        ),
    ];
    made.retain(|(name, _)| plan.find(name).is_some());
    made
}

/// Persistent tensors after some steps, by name.
type After<R> = Vec<(String, Vec<R>)>;

/// Trains on a device from fixed parameters. Returns the names of the persistent tensors.
fn train(device: &mut dyn Executor, config: &Config, plan: Plan) -> Result<Vec<String>, Failed> {
    let failed = |error: wlstm::error::Error| Failed::from(error.chain().to_string());
    let plan = Arc::new(plan);
    let id = device.load(plan.clone()).map_err(failed)?;
    // Copies in `f16` follow their parameters.
    let kept = plan.tensors().filter(|(_, info)| {
        info.is_persistent() && info.storage != Storage::Persistent(Role::Rounded)
    });
    // Small enough that rounding errors do not grow over many steps.
    let scale = if config.train.unroll > 2 { 0.1 } else { 0.3 };
    let mut names = Vec::new();
    for (k, (_, info)) in kept.enumerate() {
        let len = info.shape.len();
        let values: Vec<f32> = match info.name.as_str() {
            // The scale, and the steps since its last change.
            name if name.ends_with("loss_scale") => vec![1024.0, 0.0],
            // Not zero, because the update divides by the square root.
            name if name.contains("optimizer") => vec![1.0; len],
            _ => numbers(k as u64 + 7, len).map(|x| scale * x).collect(),
        };
        device.write(&info.name, &values).map_err(failed)?;
        names.push(info.name.clone());
    }
    round_parameters(device, &plan).map_err(failed)?;
    for step in 0..STEPS {
        device
            .run(id, &inputs(config, &plan, step))
            .map_err(failed)?;
        device.fetch().map_err(failed)?;
    }
    Ok(names)
}

fn read<E: Executor>(device: &mut E, names: Vec<String>) -> Result<After<f64>, Failed> {
    let values = names.into_iter().map(|name| {
        let values = device
            .read(&name)
            .map_err(|error| error.chain().to_string())?;
        Ok((name, values.into_iter().map(f64::from).collect()))
    });
    values.collect()
}

fn compare(got: &After<f64>, want: &After<f64>, tolerance: f64) -> Result<(), Failed> {
    assert_eq!(got.len(), want.len());
    for ((name, got), (other, want)) in got.iter().zip(want) {
        assert_eq!(name, other);
        assert!(want.iter().all(|x| x.is_finite()), "`{name}`");
        let largest = want.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
        for (k, (x, y)) in got.iter().zip(want).enumerate() {
            let close = (x - y).abs() <= tolerance * largest;
            if !close {
                return Err(format!("`{name}`[{k}] is {x}, not {y}").into());
            }
        }
    }
    Ok(())
}

fn wide(limits: Limits) -> Limits {
    Limits {
        multiprocessors: MULTIPROCESSORS,
        ..limits
    }
}

fn plans(config: &Config, limits: Limits) -> (Plan, Plan) {
    let plan = |limits: &Limits| training_plan(config, VOCABULARY, limits, false);
    let (narrow, wide) = (plan(&limits), plan(&wide(limits)));
    let pieces = |plan: &Plan| {
        let sums = plan
            .steps
            .iter()
            .filter(|s| s.kernel == &sum_pieces::KERNEL);
        sums.count()
    };
    assert_eq!(pieces(&narrow), 0);
    // At least the projections of all steps and layers, and the gradients of the previous step.
    assert!(pieces(&wide) >= 6, "{} products in pieces", pieces(&wide));
    (narrow, wide)
}

/// Gradients of weights in pieces, with gates that are kept and with gates that are recomputed.
fn long(
    cell: &str,
    limits: Limits,
    tolerance: f64,
    after: impl Fn(&Config, Plan) -> Result<After<f64>, Failed>,
) -> Result<(), Failed> {
    let kept = long_config(cell, false);
    let again = long_config(cell, true);
    let (narrow, wide_kept) = plans(&kept, limits);
    let wide_again = training_plan(&again, VOCABULARY, &wide(limits), false);
    let gradients = |plan: &Plan| {
        let sums = plan
            .steps
            .iter()
            .filter(|s| s.kernel == &sum_pieces::KERNEL && s.label.contains("weight gradient"));
        sums.count()
    };
    let want = after(&kept, narrow)?;
    for (config, plan) in [(&kept, wide_kept), (&again, wide_again)] {
        assert!(gradients(&plan) > 0, "no gradient is split into pieces");
        compare(&after(config, plan)?, &want, tolerance)?;
    }
    Ok(())
}

fn in_double(config: &Config, plan: Plan) -> Result<After<f64>, Failed> {
    let mut device = CpuExecutor::<f64>::new();
    let names = train(&mut device, config, plan)?;
    let values = |name: String| {
        let values = device.tensor(&name).to_vec();
        (name, values)
    };
    Ok(names.into_iter().map(values).collect())
}

fn on<E: Executor>(mut device: E, config: &Config, plan: Plan) -> Result<After<f64>, Failed> {
    let names = train(&mut device, config, plan)?;
    read(&mut device, names)
}

fn open(gpu: &Gpu) -> Result<GpuExecutor, Failed> {
    Ok(GpuExecutor::new(&gpu.adapter).map_err(|error| error.chain().to_string())?)
}

/// The limits of a GPU without its number of multiprocessors, so that no product is split.
fn limits(gpu: &Gpu) -> Result<Limits, Failed> {
    Ok(Limits {
        multiprocessors: 0,
        ..open(gpu)?.limits()
    })
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, cell) in [
        ("lstmp", "cell = \"lstmp\""),
        ("flstm", "cell = \"flstm\"\nfactor = 12"),
        ("glstm", "cell = \"glstm\"\ngroups = 2"),
    ] {
        let trial = |what: &str, run: fn(&'static str) -> Result<(), Failed>| {
            Trial::test(format!("{name}::{what}"), move || run(cell))
        };
        for precision in ["f32", "mixed"] {
            trials.push(Trial::test(
                format!("{name}::{precision}::cpu-f64"),
                move || {
                    let config = config(cell, precision);
                    let (narrow, wide) = plans(&config, Limits::HOST);
                    let want = in_double(&config, narrow)?;
                    compare(&in_double(&config, wide)?, &want, 1e-9)
                },
            ));
        }
        trials.push(trial("cpu-f32", |cell| {
            let config = config(cell, "f32");
            let (narrow, wide) = plans(&config, Limits::HOST);
            let after = |plan| on(CpuExecutor::<f32>::new(), &config, plan);
            compare(&after(wide)?, &after(narrow)?, 1e-4)
        }));
        trials.extend(on_every_gpu(name, move |gpu| {
            let config = config(cell, "f32");
            let (narrow, wide) = plans(&config, limits(gpu)?);
            let after = |plan| on(open(gpu)?, &config, plan);
            compare(&after(wide)?, &after(narrow)?, 1e-4)
        }));
        trials.push(trial("long::cpu-f64", |cell| {
            long(cell, Limits::HOST, 1e-9, in_double)
        }));
        trials.extend(on_every_gpu(&format!("{name}::long"), move |gpu| {
            long(cell, limits(gpu)?, 1e-4, |config, plan| {
                on(open(gpu)?, config, plan)
            })
        }));
    }
    trials
}
