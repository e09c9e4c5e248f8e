//! The measurements of kernels as text.

use super::super::output;
use crate::bench::kernels::KernelTimes;
use crate::bench::micro::Micro;
use crate::bench::peaks::Peaks;
use crate::bench::products::ProductTime;
use crate::report::{Column, Table};

/// The peaks of a device, in a line.
pub(super) fn peak_lines(peaks: &Peaks) -> String {
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
pub(super) fn gflops(flops_per_second: f64) -> String {
    if flops_per_second == 0.0 {
        String::new()
    } else {
        format!("{:.1}", flops_per_second / 1e9)
    }
}

/// All parts that were measured.
pub(super) fn kernel_text(times: &KernelTimes) -> String {
    let mut text = format!("{}\n{}", times.device, peak_lines(&times.peaks));
    if let Some(micro) = &times.micro {
        text = format!("{text}\n{}", micro_tables(micro));
    }
    if !times.products.is_empty() {
        text = format!("{text}\n{}", product_table(&times.products));
    }
    if !times.kernels.is_empty() {
        text = format!("{text}\n{}", case_table(times));
    }
    text
}

/// Kernels one by one.
fn case_table(times: &KernelTimes) -> String {
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
    table.text(output::terminal_width())
}

/// The products of the paper's models, one form per line, the fastest marked.
fn product_table(products: &[ProductTime]) -> String {
    let words = ["product", "precision", "form", ""].map(Column::words);
    let numbers = ["us", "TFLOP/s", "of peak"].map(Column::numbers);
    let mut table = Table::new(words.into_iter().chain(numbers));
    for product in products {
        for form in &product.forms {
            table.row([
                product.shape.to_owned(),
                product.precision.to_owned(),
                form.kernel.to_owned(),
                if form.is_fastest { "*" } else { "" }.to_owned(),
                format!("{:.1}", form.seconds * 1e6),
                format!("{:.3}", form.flops_per_second / 1e12),
                format!("{:.1} %", form.share_of_peak * 100.0),
            ]);
        }
    }
    let reduced = if products.iter().any(|product| product.reduced) {
        ", at reduced sizes"
    } else {
        ""
    };
    format!(
        "products of the paper's models{reduced}; * marks the fastest form\n{}",
        table.text(output::terminal_width())
    )
}

fn micro_tables(micro: &Micro) -> String {
    let columns = [Column::words("copy"), Column::numbers("bytes per thread")];
    let numbers = ["MiB", "ms", "GB/s"].map(Column::numbers);
    let mut copies = Table::new(columns.into_iter().chain(numbers));
    for copy in &micro.copies {
        copies.row([
            copy.kernel.to_owned(),
            copy.bytes_per_thread.to_string(),
            (copy.bytes >> 20).to_string(),
            format!("{:.3}", copy.seconds * 1e3),
            format!("{:.1}", copy.bytes_per_second / 1e9),
        ]);
    }
    let columns = [Column::words("short dispatches")];
    let numbers = ["number", "us each"].map(Column::numbers);
    let mut dispatches = Table::new(columns.into_iter().chain(numbers));
    for dispatch in &micro.dispatches {
        dispatches.row([
            match dispatch.buffers {
                "one" => "all on one buffer".to_owned(),
                other => format!("on {other} buffers"),
            },
            dispatch.dispatches.to_string(),
            format!("{:.2}", dispatch.seconds * 1e6),
        ]);
    }
    let width = output::terminal_width();
    format!("{}\n{}", copies.text(width), dispatches.text(width))
}
