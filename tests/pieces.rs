//! Plans for GPUs, whose products of few blocks are made in pieces and those of cells apart: they compute what the plans for the
//! CPU do, on the CPU in `f64` and `f32`, and on every GPU.

mod common;

use std::sync::Arc;

use common::on_every_gpu;
use libtest_mimic::{Arguments, Failed, Trial};
use wlstm::config::Config;
use wlstm::device::{CpuExecutor, Data, Executor, GpuExecutor, Inputs};
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::{Place, Plan};
use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::matmul::sum_pieces;
use wlstm::train::update::training_plan;

/// What a GPU is said to keep busy.
const WORKGROUPS: usize = 64;

const VOCABULARY: usize = 24;
const STEPS: usize = 3;

/// Large enough that the projection, both factors and the gradients of all cells go in pieces.
fn config(cell: &str, precision: &str) -> Config {
    let text = format!(
        "[model]\nlayers = 2\nembedding = 8\nprojection = 8\nhidden = 1040\ndropout = 0.0\n{cell}\n[softmax]\nkind = \"full\"\n\
         [data]\ntrain = [\"x.txt\"]\n[train]\nbatch = 16\nunroll = 2\nlearning_rate = 0.2\nclip_norm = 10.0\nema = 0.99\n\
         optimizer = \"adagrad\"\nrecipe = \"paper\"\nsteps = 3\nprecision = \"{precision}\"\n"
    );
    Config::parse(&text, "pieces", &std::env::temp_dir(), &[]).expect("a good configuration")
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

/// What the tensors that stay hold after some steps, by name.
type After<R> = Vec<(String, Vec<R>)>;

/// Trains from the same parameters on a device.
fn train(device: &mut dyn Executor, config: &Config, plan: Plan) -> Result<Vec<String>, Failed> {
    let failed = |error: wlstm::error::Error| Failed::from(error.chain().to_string());
    let plan = Arc::new(plan);
    let id = device.load(plan.clone()).map_err(failed)?;
    let kept = plan
        .tensors()
        .filter(|(_, info)| info.place == Place::Persistent);
    let mut names = Vec::new();
    for (k, (_, info)) in kept.enumerate() {
        let value = |x: f32| match info.name.as_str() {
            name if name.contains("loss_scale") => 1024.0,
            // What is divided by, or of the moving average.
            name if name.contains("optimizer") => 1.0,
            _ => 0.3 * x,
        };
        let values: Vec<f32> = match info.name.ends_with("loss_scale") {
            true => vec![1024.0, 0.0],
            false => numbers(k as u64 + 7, info.shape.len()).map(value).collect(),
        };
        device.write(&info.name, &values).map_err(failed)?;
        names.push(info.name.clone());
    }
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
        let largest = want.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
        for (k, (x, y)) in got.iter().zip(want).enumerate() {
            if (x - y).abs() > tolerance * largest || x.is_nan() {
                return Err(format!("`{name}`[{k}] is {x}, not {y}").into());
            }
        }
    }
    Ok(())
}

fn wide(limits: Limits) -> Limits {
    Limits {
        workgroups: WORKGROUPS,
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
    // At the least the projections of all steps and layers, and what goes back to the step before.
    assert!(pieces(&wide) >= 6, "{} products in pieces", pieces(&wide));
    (narrow, wide)
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, cell) in [
        ("lstmp", "cell = \"lstmp\""),
        ("flstm", "cell = \"flstm\"\nfactor = 12"),
        ("glstm", "cell = \"glstm\"\ngroups = 2"),
    ] {
        for precision in ["f32", "mixed"] {
            trials.push(Trial::test(
                format!("pieces::{name}::{precision}::cpu-f64"),
                move || {
                    let config = config(cell, precision);
                    let (narrow, wide) = plans(&config, Limits::HOST);
                    let after = |plan| -> Result<After<f64>, Failed> {
                        let mut device = CpuExecutor::<f64>::new();
                        let names = train(&mut device, &config, plan)?;
                        let values = |name: String| {
                            let values = device.tensor(&name).to_vec();
                            (name, values)
                        };
                        Ok(names.into_iter().map(values).collect())
                    };
                    compare(&after(wide)?, &after(narrow)?, 1e-9)
                },
            ));
        }
        trials.push(Trial::test(format!("pieces::{name}::cpu-f32"), move || {
            let config = config(cell, "f32");
            let (narrow, wide) = plans(&config, Limits::HOST);
            let after = |plan| {
                let mut device = CpuExecutor::<f32>::new();
                let names = train(&mut device, &config, plan)?;
                read(&mut device, names)
            };
            compare(&after(wide)?, &after(narrow)?, 1e-4)
        }));
        trials.extend(on_every_gpu(&format!("pieces::{name}"), move |gpu| {
            let open = || GpuExecutor::new(&gpu.adapter).map_err(|e| e.chain().to_string());
            let config = config(cell, "f32");
            let (narrow, wide) = {
                let limits = Limits {
                    workgroups: 0,
                    ..open()?.limits()
                };
                plans(&config, limits)
            };
            let after = |plan| {
                let mut device = open()?;
                let names = train(&mut device, &config, plan)?;
                read(&mut device, names)
            };
            compare(&after(wide)?, &after(narrow)?, 1e-4)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
