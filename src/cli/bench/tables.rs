//! The measurements as text.

use serde::Serialize;

use super::super::output;
use crate::bench::kernels::KernelTimes;
use crate::bench::peaks::Peaks;
use crate::bench::profile::StepProfile;
use crate::bench::step::StepTimes;
use crate::numbers::{grouped, percent};
use crate::report::{Column, Table};

/// Steps of the built-in model with one cell.
#[derive(Serialize)]
pub(super) struct CellTimes {
    pub cell: &'static str,
    #[serde(flatten)]
    pub times: StepTimes,
}

/// Steps of the built-in model with each cell.
pub(super) fn cell_table(steps: &[CellTimes]) -> String {
    let words = ["cell", "precision"].map(Column::words);
    let numbers = ["words/s", "ms/step", "GFLOP/s"].map(Column::numbers);
    let mut table = Table::new(words.into_iter().chain(numbers));
    for CellTimes { cell, times } in steps {
        table.row([
            (*cell).to_owned(),
            times.precision.to_owned(),
            grouped(times.words_per_second as u64),
            format!("{:.2}", times.seconds_per_step * 1e3),
            format!("{:.1}", times.flops_per_second / 1e9),
        ]);
    }
    table.text(output::terminal_width())
}

/// Steps of a configuration, one number per line.
pub(super) fn step_text(times: &StepTimes) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        out += &format!("{name:<40}{value:>20}\n");
    };
    line("precision", times.precision.to_owned());
    if !times.without.is_empty() {
        line("without", times.without.join(", "));
    }
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
        "host share of a step",
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

/// GFLOP/s; empty without a product.
fn gflops(flops_per_second: f64) -> String {
    if flops_per_second == 0.0 {
        String::new()
    } else {
        format!("{:.1}", flops_per_second / 1e9)
    }
}

/// Kernels one by one.
pub(super) fn kernel_table(times: &KernelTimes) -> String {
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
