//! `wlstm bench`: how fast a device trains.

mod args;

pub(super) use self::args::BenchArgs;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use self::args::{BenchCommand, BenchStepArgs};
use super::args::Invocation;
use super::context::{kernel_executor, training_executors};
use super::messages::note;
use super::output;
use super::plan::vocabulary_size;
use crate::bench::kernels::{KernelTimes, kernels, measured};
use crate::bench::peaks::Peaks;
use crate::bench::profile::StepProfile;
use crate::bench::step::{Length, StepTimes, step};
use crate::cell::CELLS;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernel::Halves;
use crate::kernels::pointwise::copy;
use crate::numbers::{grouped, percent};
use crate::report::{Column, Table};

/// The model that is measured when nothing is said.
const MODEL: &str = include_str!("../../../configs/bench.toml");

/// The cells that are timed, with what they change of the model: their names are those of the results.
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

/// Measures and prints.
pub(super) fn run(arguments: &BenchArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    match &arguments.what {
        Some(BenchCommand::Step(one)) => run_step(arguments, one, quiet),
        Some(BenchCommand::Kernels(some)) => {
            let mut names: Vec<_> = measured().map(|kernel| kernel.name).collect();
            if !names.iter().any(|name| name.contains(&some.filter)) {
                names.dedup();
                let what = format!("no kernel that is measured is called `{}`", some.filter);
                return Err(
                    Error::usage(what).help(format!("part of one of these: {}", names.join(", ")))
                );
            }
            let mut executor = kernel_executor(&[&arguments.device], quiet)?;
            let times = kernels(executor.as_mut(), &some.filter)?;
            if times.kernels.is_empty() {
                let what = format!("this device does not run the kernel `{}`", some.filter);
                return Err(Error::device(what).help("`wlstm devices` says what each device has"));
            }
            show(arguments, &times, kernel_table(&times))
        }
        None => run_all(arguments, quiet),
    }
}

fn show(arguments: &BenchArgs, document: &impl Serialize, text: String) -> Result<()> {
    if arguments.json {
        output::print_json(document)
    } else {
        output::print(text.as_bytes())
    }
}

/// What is measured when nothing is said.
#[derive(Serialize)]
struct Everything {
    kernels: KernelTimes,
    steps: Vec<Cell>,
}

/// A cell of the built-in model.
#[derive(Serialize)]
struct Cell {
    cell: &'static str,
    #[serde(flatten)]
    times: StepTimes,
}

fn run_all(arguments: &BenchArgs, quiet: bool) -> Result<()> {
    let mut executor = kernel_executor(&[&arguments.device], quiet)?;
    let kernels = kernels(executor.as_mut(), "")?;
    // Where mixed precision is only played, its time means nothing.
    let has_halves = executor.runs(&copy::KERNEL, Halves::all(&copy::KERNEL));
    drop(executor);
    let precisions: &[&str] = if has_halves {
        &["f32", "mixed"]
    } else {
        &["f32"]
    };
    let mut steps = Vec::new();
    for (cell, changes) in cells() {
        for &precision in precisions {
            note(
                quiet,
                &format!("Measuring steps of {cell}, {precision} ..."),
            );
            let mut changes = changes.clone();
            changes.push(format!("train.precision={precision}"));
            let config = Config::parse(MODEL, "configs/bench.toml", Path::new("."), &changes)?;
            let words = config.data.vocab_size;
            let executors = training_executors(&[&arguments.device], &config, true)?;
            let times = step(executors, &config, words, Length::default(), false)?;
            steps.push(Cell { cell, times });
        }
    }
    let mut text = kernel_table(&kernels);
    let words = ["cell", "precision"].map(Column::words);
    let numbers = ["words/s", "ms a step", "GFLOP/s"].map(Column::numbers);
    let mut table = Table::new(words.into_iter().chain(numbers));
    for Cell { cell, times } in &steps {
        table.row([
            (*cell).to_owned(),
            times.precision.to_owned(),
            grouped(times.words_per_second as u64),
            format!("{:.2}", times.seconds_per_step * 1e3),
            format!("{:.1}", times.flops_per_second / 1e9),
        ]);
    }
    text += &format!("\n{}", table.text(output::terminal_width()));
    show(arguments, &Everything { kernels, steps }, text)
}

fn run_step(arguments: &BenchArgs, one: &BenchStepArgs, quiet: bool) -> Result<()> {
    let config = Config::load(&one.config, &one.overrides.set)?;
    let (words, _) = vocabulary_size(&config, quiet)?;
    let executors = training_executors(&[&arguments.device], &config, quiet)?;
    let length = Length {
        steps: one.steps as usize,
        seconds: one.seconds,
        ..Length::default()
    };
    let times = step(executors, &config, words, length, one.profile)?;
    show(arguments, &times, step_text(&times))
}

fn step_text(times: &StepTimes) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(out, "{name:<40}{value:>20}").expect("strings take everything");
    };
    line("precision", times.precision.to_owned());
    line("words per second", grouped(times.words_per_second as u64));
    line("words per step", grouped(times.words as u64));
    let milliseconds = |seconds: f64| format!("{:.2}", seconds * 1e3);
    line(
        "milliseconds per step, median",
        milliseconds(times.seconds_per_step),
    );
    line(
        "milliseconds per step, shortest",
        milliseconds(times.seconds_shortest),
    );
    line("steps measured", times.steps.to_string());
    line(
        "GFLOP/s of the model",
        format!("{:.1}", times.flops_per_second / 1e9),
    );
    line("dispatches per step", times.dispatches.to_string());
    line(
        "host's share of a step",
        format!("{:.2} %", times.host_share * 100.0),
    );
    line("loss of the last step", format!("{:.4}", times.loss));
    if let Some(profile) = &times.profile {
        out.push('\n');
        out.push_str(&profile_table(profile));
    }
    out
}

fn peak_lines(peaks: &Peaks) -> String {
    let units = peaks.unit_flops_per_second.map(|flops| {
        let flops = flops / 1e9;
        format!(", {flops:.1} GFLOP/s of matrix units")
    });
    format!(
        "peak: {:.1} GFLOP/s in registers{}, {:.1} GB/s in a copy\n",
        peaks.flops_per_second / 1e9,
        units.unwrap_or_default(),
        peaks.bytes_per_second / 1e9
    )
}

/// GFLOP/s; nothing where there is no product.
fn gflops(flops_per_second: f64) -> String {
    if flops_per_second == 0.0 {
        String::new()
    } else {
        format!("{:.1}", flops_per_second / 1e9)
    }
}

fn kernel_table(times: &KernelTimes) -> String {
    let words = ["kernel", "case", "precision"].map(Column::words);
    let numbers = ["us", "GFLOP/s", "GB/s", "of peak"].map(Column::numbers);
    let mut table = Table::new(words.into_iter().chain(numbers));
    for time in &times.kernels {
        table.row([
            time.kernel.to_owned(),
            time.case.to_owned(),
            time.precision.to_owned(),
            format!("{:.1}", time.seconds * 1e6),
            gflops(time.flops_per_second),
            format!("{:.1}", time.bytes_per_second / 1e9),
            format!("{:.0} %", time.share_of_peak * 100.0),
        ]);
    }
    let table = table.text(output::terminal_width());
    format!("{}\n{}\n{table}", times.device, peak_lines(&times.peaks))
}

fn profile_table(profile: &StepProfile) -> String {
    let words = ["kernel", "purpose"].map(Column::words);
    let numbers = ["calls", "ms", "share", "GFLOP/s", "GB/s", "of peak"].map(Column::numbers);
    let mut table = Table::new(words.into_iter().chain(numbers));
    for kernel in &profile.kernels {
        table.row([
            kernel.kernel.to_owned(),
            kernel.purpose.to_owned(),
            kernel.calls.to_string(),
            format!("{:.3}", kernel.seconds * 1e3),
            percent(kernel.share),
            gflops(kernel.flops_per_second),
            format!("{:.1}", kernel.bytes_per_second / 1e9),
            format!("{:.0} %", kernel.share_of_peak * 100.0),
        ]);
    }
    format!(
        "{}{}all: {:.3} ms by {}\n",
        peak_lines(&profile.peaks),
        table.text(output::terminal_width()),
        profile.seconds * 1e3,
        profile.clock
    )
}
