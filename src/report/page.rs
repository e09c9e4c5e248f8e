//! The report of runs: one self-contained HTML page for screens, phones and printers. It loads no fonts and no images.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::comparison::{ComparisonRow, comparison_rows, comparison_table, unknown_words};
use super::curves::plots;
use super::plot::style;
use super::run::RunData;
use super::table::{Column, Table};
use super::text::escaped;
use crate::numbers::{bytes, duration, grouped};

/// The style sheet of the page, besides that of the plots.
const STYLE: &str = include_str!("page.css");

const COMPARISON_NOTE: &str = "<p class=\"note\"><b>times</b>: speed relative to the first model. <b>by FLOPs</b>: the speed-up that its \
     FLOP count alone would allow. <b>reached</b>: the share of it that was achieved. <b>perplexity</b>: the best on the \
     validation text (lower is better); <b>last</b>: the one at the end. <b>memory</b>: bytes of device memory for training and \
     validation.</p>\n";

const UNLEARNED_NOTE: &str = "<p class=\"note\"><b>none learned</b>: many targets of the validation text are unknown words, but the \
     training text has none, so the model cannot predict them and its perplexity means little. \
     <code>data.min_count</code> or <code>data.vocab_size</code> makes rare words unknown.</p>\n";

/// The HTML page of some runs.
pub fn page(title: &str, runs: &[RunData]) -> String {
    let rows = comparison_rows(runs);
    let mut body = String::new();
    let _ = writeln!(body, "<h1>{}</h1>", escaped(title));
    add_machines(&mut body, runs);
    if runs.len() > 1 {
        body += "<h2>Comparison</h2>\n";
        // A phone shows the first two or three columns.
        let first = ["perplexity", rows[0].unit, "times"];
        add_table(&mut body, comparison_table(&rows).with_first(&first));
        body += COMPARISON_NOTE;
    }
    body += "<h2>Runs</h2>\n";
    add_table(&mut body, facts(runs, &rows));
    if rows.iter().any(|row| row.unlearned) {
        body += UNLEARNED_NOTE;
    }
    add_plots(&mut body, runs);
    add_samples(&mut body, runs);
    add_configurations(&mut body, runs);
    let _ = writeln!(
        body,
        "<footer>Made by wlstm {} from <code>metrics.jsonl</code>.</footer>",
        env!("CARGO_PKG_VERSION")
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n",
        escaped(title),
        style()
    )
}

/// The devices and machines of all runs, each once.
fn add_machines(body: &mut String, runs: &[RunData]) {
    let mut devices: Vec<String> = Vec::new();
    for device in runs.iter().flat_map(|run| &run.record.devices) {
        let device = escaped(device);
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    if !devices.is_empty() {
        let devices = devices.join("; ");
        let _ = writeln!(body, "<p class=\"device\">Trained on {devices}.</p>");
    }
    let systems: BTreeSet<&str> = runs.iter().map(|run| run.system.as_str()).collect();
    for system in systems.into_iter().filter(|system| !system.is_empty()) {
        let _ = writeln!(body, "<p class=\"device\">{}.</p>", escaped(system));
    }
}

fn add_table(body: &mut String, table: Table) {
    let _ = writeln!(body, "<div class=\"wide\">{}</div>", table.html());
}

fn add_plots(body: &mut String, runs: &[RunData]) {
    let plots = plots(runs);
    if plots.is_empty() {
        return;
    }
    *body += "<h2>Curves</h2>\n<div class=\"plots\">\n";
    for plot in plots {
        let _ = writeln!(body, "<figure>{}</figure>", plot.inline());
    }
    *body += "</div>\n";
}

fn add_samples(body: &mut String, runs: &[RunData]) {
    let samples = runs
        .iter()
        .filter_map(|run| Some((&run.label, run.sample.as_ref()?)));
    for (k, (label, sample)) in samples.enumerate() {
        if k == 0 {
            *body += "<h2>Samples</h2>\n";
        }
        let (label, sample) = (escaped(label), escaped(sample));
        let _ = writeln!(
            body,
            "<h3>{label}</h3>\n<blockquote><pre>{sample}</pre></blockquote>"
        );
    }
}

fn add_configurations(body: &mut String, runs: &[RunData]) {
    *body += "<h2>Configuration</h2>\n";
    for run in runs {
        let (label, toml) = (escaped(&run.label), escaped(&run.toml));
        let _ = writeln!(
            body,
            "<details><summary>{label}</summary>\n<pre>{toml}</pre></details>"
        );
    }
}

/// The table of all runs. Columns without information are left out.
fn facts(runs: &[RunData], rows: &[ComparisonRow]) -> Table {
    let has_memory = runs.iter().any(|run| !run.memory.is_empty());
    let has_skipped = runs.iter().any(|run| run.skipped > 0);
    let has_unknown = rows.iter().any(|row| row.unknown > Some(0.0));
    // The most important columns come first, because a phone shows only these.
    let mut columns = vec![
        Column::words("run"),
        Column::numbers("best perplexity"),
        Column::numbers("last"),
    ];
    columns.extend(has_unknown.then(|| Column::numbers("unknown words")));
    columns.push(Column::words("state"));
    let numbers = ["steps", "time", "parameters", "FLOPs per word"];
    columns.extend(numbers.map(Column::numbers));
    columns.extend(has_memory.then(|| Column::numbers("memory")));
    columns.extend(has_skipped.then(|| Column::numbers("skipped steps")));
    let mut table = Table::new(columns);
    for (run, row) in runs.iter().zip(rows) {
        let state = match (run.status(), &run.reason) {
            ("finished", Some(reason)) => format!("finished: {reason}"),
            (status, _) => status.to_owned(),
        };
        let mut cells = vec![
            run.label.clone(),
            run.best().map_or("-".to_owned(), |best| {
                format!("{:.2} (step {})", best.perplexity, grouped(best.step))
            }),
            run.valids
                .last()
                .map_or("-".to_owned(), |last| format!("{:.2}", last.perplexity)),
        ];
        cells.extend(has_unknown.then(|| unknown_words(row)));
        cells.extend([
            state,
            grouped(run.step()),
            duration(run.seconds()),
            grouped(run.parameters),
            grouped(run.cost().flops_per_word),
        ]);
        cells.extend(has_memory.then(|| row.memory.map_or("-".to_owned(), bytes)));
        cells.extend(has_skipped.then(|| grouped(run.skipped)));
        table.row(cells);
    }
    table
}
