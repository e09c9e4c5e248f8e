//! The command: runs the measurements.

use std::path::Path;

use serde::Serialize;

use super::super::args::Invocation;
use super::super::executors::{executor_options, kernel_executor};
use super::super::messages::note;
use super::super::output;
use super::super::plan::vocabulary_size;
use super::super::preparation::Preparation;
use super::args::{BenchArgs, BenchCommand, BenchKernelsArgs, BenchStepArgs};
use super::baseline::{self, Compared, kernel_ratios, step_ratios};
use super::steps::{CellTimes, cell_table, step_text};
use super::tables::kernel_text;
use crate::bench::baseline::{KernelRatios, StepRatios};
use crate::bench::kernels::{KernelTimes, Part, kernels, measured};
use crate::bench::step::{Length, settings, step};
use crate::cell::CELLS;
use crate::config::Config;
use crate::device::{Executor, ExecutorOptions, MemoryModel};
use crate::error::{Error, Result};
use crate::job::training_executors;
use crate::kernel::Change;
use crate::kernels::pointwise::copy;

/// The built-in model.
const MODEL: &str = include_str!("../../../configs/bench.toml");

/// Measures and prints.
pub(in crate::cli) fn run(arguments: &BenchArgs, invocation: &Invocation) -> Result<()> {
    match &arguments.what {
        None => run_all(arguments, invocation),
        Some(BenchCommand::Kernels(which)) => run_kernels(arguments, which, invocation),
        Some(BenchCommand::Step(which)) => run_step(arguments, which, invocation),
    }
}

/// The executors that train with a configuration.
fn executors(
    arguments: &BenchArgs,
    config: &Config,
    invocation: &Invocation,
    without: &[Change],
    quiet: bool,
) -> Result<Vec<Box<dyn Executor>>> {
    let mut preparation = Preparation::new(quiet);
    let options = ExecutorOptions {
        without: without.iter().copied().collect(),
        ..executor_options(invocation, quiet)
    };
    training_executors(&[&arguments.device], config, &options, &mut |event| {
        preparation.show(event);
    })
}

fn show(arguments: &BenchArgs, document: &impl Serialize, text: &str) -> Result<()> {
    if arguments.json {
        output::print_json(document)
    } else {
        output::print(text.as_bytes())
    }
}

/// Kernels and cells, as `--json` prints them.
#[derive(Serialize)]
struct Everything {
    kernels: Compared<KernelTimes, KernelRatios>,
    steps: Vec<Compared<CellTimes, StepRatios>>,
}

/// The cells to measure: the name of each in the results, and its overrides of the model.
fn cells() -> Vec<(&'static str, Vec<String>)> {
    let mut cells = Vec::new();
    for kind in CELLS {
        let cell = format!("model.cell={}", kind.name());
        match kind.size_key() {
            None => cells.push((kind.name(), vec![cell])),
            Some(key) => cells.extend(key.bench.iter().map(|(name, size)| {
                let size = format!("{}={size}", key.key);
                (*name, vec![cell.clone(), size])
            })),
        }
    }
    cells
}

fn run_all(arguments: &BenchArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let baseline = baseline::read(arguments.baseline.as_ref())?;
    let baseline = baseline.as_ref();
    let mut executor = kernel_executor(&arguments.device, invocation)?;
    // Without f16 in hardware, mixed precision is emulated and its time is not meaningful.
    let has_f16 = executor.runs(&copy::KERNEL, copy::KERNEL.all_halves());
    let precisions: &[&str] = if has_f16 { &["f32", "mixed"] } else { &["f32"] };
    let mut models = Vec::new();
    for (cell, changes) in cells() {
        for &precision in precisions {
            let mut changes = changes.clone();
            changes.push(format!("train.precision={precision}"));
            let config = Config::parse(MODEL, "configs/bench.toml", Path::new("."), &changes)?;
            models.push((cell, precision, config));
        }
    }
    if let Some(baseline) = baseline {
        baseline.require_kernels()?;
        for (_, _, config) in &models {
            baseline.require_settings(&settings(config, config.data.vocab_size))?;
        }
    }
    let kernels = kernels(executor.as_mut(), &[Part::Cases, Part::Micro], "")?;
    drop(executor);
    let kernels = Compared {
        baseline: baseline.map(|all| all.of_kernels(&kernels)).transpose()?,
        times: kernels,
    };
    let mut steps = Vec::new();
    for (cell, precision, config) in models {
        note(
            quiet,
            &format!("Measuring steps of {cell}, {precision} ..."),
        );
        let words = config.data.vocab_size;
        let executors = executors(arguments, &config, invocation, &[], true)?;
        let times = step(executors, &config, words, Length::default(), false)?;
        steps.push(Compared {
            baseline: baseline.map(|all| all.of_step(&times)).transpose()?,
            times: CellTimes { cell, times },
        });
    }
    let ratios = kernels.baseline.as_ref();
    let ratios = ratios.map(kernel_ratios).unwrap_or_default();
    let text = format!(
        "{}{ratios}\n{}",
        kernel_text(&kernels.times),
        cell_table(&steps)
    );
    show(arguments, &Everything { kernels, steps }, &text)
}

fn run_kernels(
    arguments: &BenchArgs,
    which: &BenchKernelsArgs,
    invocation: &Invocation,
) -> Result<()> {
    let filter = &which.filter;
    let mut names: Vec<_> = measured().map(|kernel| kernel.name).collect();
    if !names.iter().any(|name| name.contains(filter)) {
        names.dedup();
        let what = format!("no kernel that is measured has `{filter}` in its name");
        return Err(
            Error::usage(what).help(format!("give part of one of these: {}", names.join(", ")))
        );
    }
    let baseline = baseline::read(arguments.baseline.as_ref())?;
    if let Some(baseline) = &baseline {
        baseline.require_kernels()?;
    }
    let parts: &[Part] = match (&which.only[..], &**filter) {
        ([], "") => &Part::ALL,
        ([], _) => &[Part::Cases, Part::Products],
        (only, _) => only,
    };
    let mut executor = kernel_executor(&arguments.device, invocation)?;
    let times = kernels(executor.as_mut(), parts, filter)?;
    if times.is_empty() {
        let what = format!("this device does not run the kernel `{filter}`");
        return Err(Error::device(what).help("`wlstm devices` lists the features of each device"));
    }
    let ratios = match &baseline {
        Some(baseline) => Some(baseline.of_kernels(&times)?),
        None => None,
    };
    let text = kernel_text(&times) + &ratios.as_ref().map(kernel_ratios).unwrap_or_default();
    let compared = Compared {
        times,
        baseline: ratios,
    };
    show(arguments, &compared, &text)
}

fn run_step(arguments: &BenchArgs, which: &BenchStepArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let config = Config::load(&which.config, &which.overrides.set)?;
    let words = vocabulary_size(&config, quiet)?.words;
    let baseline = baseline::read(arguments.baseline.as_ref())?;
    if let Some(baseline) = &baseline {
        baseline.require_settings(&settings(&config, words))?;
    }
    let executors = executors(arguments, &config, invocation, &which.without, quiet)?;
    let mut models = executors
        .iter()
        .map(|executor| executor.memory_info().model);
    if models.all(|model| model == MemoryModel::Host) {
        for change in which.without.iter().filter(|change| change.is_for_gpus()) {
            let name = change.name();
            note(
                quiet,
                &format!("`--without {name}` has no effect on the CPU."),
            );
        }
    }
    let length = Length {
        steps: which.steps as usize,
        seconds: which.seconds,
        ..Length::default()
    };
    let times = step(executors, &config, words, length, which.profile)?;
    let ratios = match &baseline {
        Some(baseline) => Some(baseline.of_step(&times)?),
        None => None,
    };
    let ratios_text = |ratios| step_ratios(ratios, &times.without);
    let text = step_text(&times) + &ratios.as_ref().map(ratios_text).unwrap_or_default();
    let compared = Compared {
        times,
        baseline: ratios,
    };
    show(arguments, &compared, &text)
}
