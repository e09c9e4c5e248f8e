//! The option --baseline: ratios to an earlier measurement.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::output;
use crate::bench::baseline::{Baseline, KernelRatios, StepRatios};
use crate::error::{Error, Result};
use crate::files::read_regular;
use crate::report::{Column, Table};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A measurement, and its ratios to an earlier one if there is one.
#[derive(Serialize)]
pub(super) struct Compared<T, R> {
    #[serde(flatten)]
    pub times: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<R>,
}

/// Reads the file of --baseline, if it is given.
pub(super) fn read(file: Option<&PathBuf>) -> Result<Option<Baseline>> {
    let parse = |file: &Path| {
        let bytes = read_regular(file, MAX_BYTES).map_err(|error| {
            Error::data(format!("cannot read the baseline `{}`", file.display()))
                .because(error)
                .help("give a file with the output of --json")
        })?;
        let text = String::from_utf8_lossy(&bytes);
        Baseline::parse(&text, &file.display().to_string())
    };
    file.map(|file| parse(file)).transpose()
}

fn heading(file: &str, device: &str) -> String {
    format!("\nspeed relative to `{file}` ({device})\n")
}

/// Names of optimizations as they follow what was measured.
fn without<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match &names[..] {
        [] => String::new(),
        names => format!(", without {}", names.join(", ")),
    }
}

/// A speed relative to an earlier one.
pub(super) fn ratio(speed: f64) -> String {
    format!("{speed:.2}")
}

/// The ratios of a step that was measured without these optimizations.
pub(super) fn step_ratios(ratios: &StepRatios, now: &[&str]) -> String {
    let columns = [Column::words("part"), Column::numbers("times as fast")];
    let mut table = Table::new(columns);
    table.row([format!("step{}", without(now)), ratio(ratios.speed)]);
    for group in &ratios.groups {
        table.row([group.group.to_owned(), ratio(group.speed)]);
    }
    let before = format!("{}{}", ratios.device, without(&ratios.without));
    let heading = heading(&ratios.file, &before);
    format!("{heading}{}", table.text(output::terminal_width()))
}

/// The ratios of kernels and products.
pub(super) fn kernel_ratios(ratios: &KernelRatios) -> String {
    let mut text = heading(&ratios.file, &ratios.device);
    if !ratios.kernels.is_empty() {
        let words = ["kernel", "case", "precision"].map(Column::words);
        let numbers = [Column::numbers("times as fast")];
        let mut table = Table::new(words.into_iter().chain(numbers));
        for case in &ratios.kernels {
            let words = [case.kernel, case.case, case.precision].map(str::to_owned);
            table.row(words.into_iter().chain([ratio(case.speed)]));
        }
        text += &table.text(output::terminal_width());
    }
    if !ratios.products.is_empty() {
        let words = ["product", "precision", "fastest form", "before"].map(Column::words);
        let numbers = [Column::numbers("times as fast")];
        let mut table = Table::new(words.into_iter().chain(numbers));
        for product in &ratios.products {
            let words = [
                product.shape,
                product.precision,
                product.form,
                &product.form_before,
            ];
            let words = words.map(str::to_owned);
            table.row(words.into_iter().chain([ratio(product.speed)]));
        }
        text += &table.text(output::terminal_width());
    }
    text
}
