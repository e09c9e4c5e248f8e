//! `wlstm bench`: how fast a device trains.

use std::fmt::Write;

use super::arguments::{Bench, BenchStep, BenchWhat};
use super::context::executor;
use super::plan::vocabulary_size;
use super::progress::grouped;
use crate::bench::step::{Length, StepProfile, StepTimes, step};
use crate::config::Config;
use crate::error::Result;

/// Measures and prints.
pub(super) fn run(arguments: &Bench, quiet: bool) -> Result<()> {
    match &arguments.what {
        Some(BenchWhat::Step(one)) => run_step(arguments, one, quiet),
        None => todo!(),
    }
}

fn run_step(arguments: &Bench, one: &BenchStep, quiet: bool) -> Result<()> {
    let config = Config::load(&one.config, &one.overrides.set)?;
    let (words, _) = vocabulary_size(&config, quiet)?;
    let executor = executor(&[&arguments.device], quiet)?;
    let length = Length {
        steps: one.steps as usize,
        seconds: one.seconds,
        ..Length::default()
    };
    let times = step(executor, &config, words, length, one.profile)?;
    if arguments.json {
        return super::print_json(&times);
    }
    super::print(text(&times).as_bytes())
}

fn text(times: &StepTimes) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(out, "{name:<40}{value:>20}").expect("strings take everything");
    };
    line("words per second", grouped(times.words_per_second as u64));
    line("words per step", grouped(times.words as u64));
    line(
        "milliseconds per step, median",
        format!("{:.2}", times.seconds_per_step * 1e3),
    );
    line(
        "milliseconds per step, shortest",
        format!("{:.2}", times.seconds_shortest * 1e3),
    );
    line("steps measured", times.steps.to_string());
    line(
        "GFLOP/s of the model",
        format!("{:.1}", times.flops_per_second / 1e9),
    );
    line("dispatches per step", times.dispatches.to_string());
    line(
        "host's share of a step",
        format!("{:.1} %", times.host_share * 100.0),
    );
    line("loss of the last step", format!("{:.4}", times.loss));
    if let Some(profile) = &times.profile {
        out.push('\n');
        out.push_str(&table(profile));
    }
    out
}

fn table(profile: &StepProfile) -> String {
    let mut out = format!(
        "{:<26}{:<22}{:>6}{:>10}{:>8}{:>10}{:>8}\n",
        "kernel", "purpose", "calls", "ms", "share", "GFLOP/s", "GB/s"
    );
    for kernel in &profile.kernels {
        let flops = match kernel.flops_per_second {
            0.0 => String::new(),
            flops => format!("{:.1}", flops / 1e9),
        };
        writeln!(
            out,
            "{:<26}{:<22}{:>6}{:>10.3}{:>6.1} %{:>10}{:>8.1}",
            kernel.kernel,
            kernel.purpose,
            kernel.calls,
            kernel.seconds * 1e3,
            kernel.share * 100.0,
            flops,
            kernel.bytes_per_second / 1e9,
        )
        .expect("strings take everything");
    }
    writeln!(
        out,
        "{:<54}{:>10.3}   by {}",
        "all",
        profile.seconds * 1e3,
        profile.clock
    )
    .expect("strings take everything");
    out
}
