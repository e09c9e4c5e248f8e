//! Training steps as text.

use serde::Serialize;

use super::super::output;
use super::baseline::{Compared, ratio};
use super::tables::{gflops, peak_lines};
use crate::bench::baseline::StepRatios;
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

/// Steps of the built-in model with each cell. With an earlier measurement, the last column has the relative speeds.
pub(super) fn cell_table(steps: &[Compared<CellTimes, StepRatios>]) -> String {
    let words = ["cell", "precision"].map(Column::words);
    let compared = steps.iter().any(|step| step.baseline.is_some());
    let numbers = ["words/s", "ms/step", "GFLOP/s", "times as fast"].into_iter();
    let numbers = numbers.take(if compared { 4 } else { 3 });
    let mut table = Table::new(words.into_iter().chain(numbers.map(Column::numbers)));
    for step in steps {
        let CellTimes { cell, times } = &step.times;
        let cells = [
            (*cell).to_owned(),
            times.precision.to_owned(),
            grouped(times.words_per_second as u64),
            format!("{:.2}", times.seconds_per_step * 1e3),
            format!("{:.1}", times.flops_per_second / 1e9),
        ];
        let speed = step.baseline.iter().map(|ratios| ratio(ratios.speed));
        table.row(cells.into_iter().chain(speed));
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
    if let (Some(floor), Some(ratio)) = (times.floor_seconds, times.times_floor) {
        line("milliseconds per step, floor", milliseconds(floor));
        line("median over floor", format!("{ratio:.2}"));
    }
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
        out.push_str(&profile_tables(profile));
    }
    out
}

/// A time over its floor.
fn times(ratio: f64) -> String {
    format!("{ratio:.1}")
}

fn profile_tables(profile: &StepProfile) -> String {
    let numbers = ["ms", "share", "floor, ms", "over floor"].map(Column::numbers);
    let mut groups = Table::new([Column::words("part")].into_iter().chain(numbers));
    let milliseconds = |seconds: f64| format!("{:.3}", seconds * 1e3);
    for group in &profile.groups {
        groups.row([
            group.group.to_owned(),
            milliseconds(group.seconds),
            percent(group.seconds / profile.seconds),
            milliseconds(group.floor_seconds),
            times(group.times_floor),
        ]);
    }
    let words = ["kernel", "purpose"].map(Column::words);
    let numbers = [
        "calls",
        "ms",
        "share",
        "GFLOP/s",
        "GB/s",
        "of peak",
        "floor, ms",
        "over floor",
    ];
    let columns = words.into_iter().chain(numbers.map(Column::numbers));
    let mut kernels = Table::new(columns);
    for kernel in &profile.kernels {
        kernels.row([
            kernel.kernel.to_owned(),
            kernel.purpose.to_owned(),
            kernel.calls.to_string(),
            milliseconds(kernel.seconds),
            percent(kernel.share),
            gflops(kernel.flops_per_second),
            format!("{:.1}", kernel.bytes_per_second / 1e9),
            format!("{:.0} %", kernel.share_of_peak * 100.0),
            milliseconds(kernel.floor_seconds),
            kernel.times_floor.map(times).unwrap_or_default(),
        ]);
    }
    let width = output::terminal_width();
    format!(
        "{}{}\n{}all: {:.3} ms by {}, floor {:.3} ms\n",
        peak_lines(&profile.peaks),
        groups.text(width),
        kernels.text(width),
        profile.seconds * 1e3,
        profile.clock,
        profile.floor_seconds * 1e3
    )
}
