//! The tables of kernels and of models.

use super::document::Trained;
use crate::report::{Column, Table};
use crate::validate::golden::Difference;
use crate::validate::kernels::{KernelReport, LargestError};

fn mark(agrees: bool) -> &'static str {
    if agrees { "ok" } else { "WRONG" }
}

/// A row for each kernel that was run.
pub(super) fn kernel_table(kernels: &[KernelReport]) -> Table {
    let mut table = Table::new([
        Column::words("kernel"),
        Column::words(""),
        Column::numbers("runs"),
        Column::numbers("absolute"),
        Column::numbers("relative"),
        Column::numbers("ulp"),
        Column::numbers("of tol.").optional(),
        Column::numbers("us").optional(),
        Column::numbers("rate").optional(),
        Column::words("largest ulp error at").optional(),
    ]);
    for found in kernels.iter().filter(|found| found.left_out.is_none()) {
        let error = |place: &Option<LargestError>| match place {
            Some(place) => format!("{:.1e}", place.error),
            None => "0".to_owned(),
        };
        let ulp = match &found.ulp {
            Some(place) if place.error < 1e6 => format!("{:.1}", place.error),
            other => error(other),
        };
        let (time, rate) = match &found.timed {
            Some(timed) if timed.flops_per_second > 0.0 => (
                format!("{:.1}", timed.seconds * 1e6),
                format!("{:.1} GFLOP/s", timed.flops_per_second / 1e9),
            ),
            Some(timed) => (
                format!("{:.1}", timed.seconds * 1e6),
                format!("{:.1} GB/s", timed.bytes_per_second / 1e9),
            ),
            None => (String::new(), String::new()),
        };
        let place = found.ulp.as_ref().map(|place| {
            format!(
                "{}[{}], case {} ({})",
                place.binding, place.element, place.case, place.variant
            )
        });
        table.row([
            found.kernel.to_owned(),
            mark(found.failure.is_none()).to_owned(),
            found.runs.to_string(),
            error(&found.absolute),
            error(&found.relative),
            ulp,
            format!("{:.0} %", 100.0 * found.of_tolerance),
            time,
            rate,
            place.unwrap_or_default(),
        ]);
    }
    table
}

/// A row for each model and precision.
pub(super) fn training_table(training: &[Trained]) -> Table {
    let mut table = Table::new([
        Column::words("model"),
        Column::words("precision"),
        Column::words(""),
        Column::numbers("tensors").optional(),
        Column::numbers("worst"),
        Column::numbers("tolerance"),
        Column::words("at").optional(),
    ]);
    for trained in training {
        let of_worst = |show: fn(&Difference) -> String| {
            let worst = trained.worst.as_ref();
            worst.map(show).unwrap_or_default()
        };
        table.row([
            trained.model.to_owned(),
            trained.precision.to_owned(),
            mark(trained.agrees).to_owned(),
            trained.tensors.to_string(),
            of_worst(|worst| format!("{:.1e}", worst.error)),
            of_worst(|worst| format!("{:.0e}", worst.tolerance)),
            of_worst(|worst| format!("{}[{}]", worst.tensor, worst.element)),
        ]);
    }
    table
}
