//! The table of a comparison, for display and for programs.

use std::collections::BTreeSet;

use super::row::ComparisonRow;
use crate::numbers::{bits, bytes, decimal, grouped, percent};
use crate::report::table::{Column, Table};

/// The table of a comparison for display. Columns without information are left out: perplexities that were not measured, and
/// the status if all runs have finished.
pub fn comparison_table(rows: &[ComparisonRow]) -> Table {
    let has_perplexity = rows.iter().any(|row| row.perplexity.is_some());
    let has_memory = rows.iter().any(|row| row.memory.is_some());
    let has_unknown = rows.iter().any(|row| row.unknown > Some(0.0));
    // Without the first row, whose share is 1.
    let has_sooner = rows.iter().skip(1).any(|row| row.sooner.is_some());
    let has_hidden = rows.iter().any(|row| row.hidden != rows[0].hidden);
    // An interrupted run may have validated only on part of the text.
    let targets: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row.perplexity_targets)
        .collect();
    // The metrics of old versions have none.
    let has_bits = rows.iter().any(|row| row.bits_per_byte.is_some());
    let is_comparable = rows.iter().all(|row| row.perplexity_is_comparable) || !has_bits;
    let has_targets = targets.len() > 1;
    let has_status = rows.iter().any(|row| row.status != "finished");
    let mut columns = vec![Column::words("model")];
    columns.extend(has_hidden.then(|| Column::numbers("hidden").optional()));
    columns.extend(["recurrent", "parameters", "steps", unit(rows)].map(Column::numbers));
    // There is no comparison for a single model.
    let has_ratios = rows.len() > 1;
    if has_ratios {
        columns.extend(["times", "by FLOPs", "reached"].map(Column::numbers));
    }
    columns.extend(has_sooner.then(|| Column::numbers("sooner")));
    if has_perplexity && is_comparable {
        columns.push(Column::numbers("perplexity"));
        columns.push(Column::numbers("last").optional());
        columns.extend(has_bits.then(|| Column::numbers("bits/byte").optional()));
    } else if has_perplexity {
        columns.push(Column::numbers("bits/byte"));
        columns.push(Column::numbers("last").optional());
        columns.push(Column::numbers("perplexity").optional());
    }
    columns.extend(has_targets.then(|| Column::numbers("targets")));
    columns.extend(has_unknown.then(|| Column::numbers("unknown")));
    columns.extend(has_memory.then(|| Column::numbers("memory")));
    columns.extend(has_status.then(|| Column::words("status")));
    let mut table = Table::new(columns);
    for row in rows {
        let (speed, share) = (row.words_per_second, row.share_reached);
        let mut cells = vec![row.model.clone()];
        cells.extend(has_hidden.then(|| grouped(row.hidden as u64)));
        cells.extend([
            grouped(row.recurrent_parameters),
            grouped(row.parameters),
            grouped(row.steps),
            finite(speed, grouped(speed.round() as u64)),
        ]);
        if has_ratios {
            cells.extend([
                number(row.speedup),
                number(row.speedup_by_flops),
                finite(share, format!("{:.0} %", 100.0 * share)),
            ]);
        }
        cells.extend(has_sooner.then(|| sooner(row)));
        if has_perplexity {
            if is_comparable {
                cells.extend([best_perplexity(row), last_perplexity(row)]);
                cells.extend(has_bits.then(|| best_bits(row)));
            } else {
                cells.extend([best_bits(row), last_bits(row), best_perplexity(row)]);
            }
        }
        if has_targets {
            cells.push(row.perplexity_targets.map_or("-".to_owned(), grouped));
        }
        if has_unknown {
            cells.push(unknown_words(row));
        }
        if has_memory {
            cells.push(row.memory.map_or("-".to_owned(), bytes));
        }
        if has_status {
            cells.push(row.status.clone());
        }
        table.row(cells);
    }
    table
}

/// The unit of the speeds of all rows.
fn unit(rows: &[ComparisonRow]) -> &'static str {
    match rows {
        [first, others @ ..] if others.iter().all(|row| row.unit == first.unit) => first.unit,
        [] => "words/s",
        _ => "tokens/s",
    }
}

fn finite(value: f64, text: String) -> String {
    if value.is_finite() {
        text
    } else {
        "-".to_owned()
    }
}

fn number(value: f64) -> String {
    finite(value, decimal(value))
}

/// A number, with its standard deviation over several seeds.
fn spread(text: String, deviation: Option<f64>, format: impl Fn(f64) -> String) -> String {
    match deviation {
        Some(deviation) => format!("{text} ± {}", format(deviation)),
        None => text,
    }
}

fn sooner(row: &ComparisonRow) -> String {
    let deviation = row.over_seeds.as_ref().and_then(|s| s.sooner_deviation);
    let sooner = number(row.sooner.unwrap_or(f64::NAN));
    spread(sooner, deviation, decimal)
}

/// The best perplexity of a row.
fn best_perplexity(row: &ComparisonRow) -> String {
    let deviation = row.over_seeds.as_ref().and_then(|s| s.perplexity_deviation);
    let perplexity = number(row.perplexity.unwrap_or(f64::NAN));
    spread(perplexity, deviation, decimal)
}

fn last_perplexity(row: &ComparisonRow) -> String {
    let seeds = row.over_seeds.as_ref();
    let deviation = seeds.and_then(|s| s.last_perplexity_deviation);
    let perplexity = number(row.last_perplexity.unwrap_or(f64::NAN));
    spread(perplexity, deviation, decimal)
}

/// The bits per byte of the best validation of a row.
pub fn best_bits(row: &ComparisonRow) -> String {
    let seeds = row.over_seeds.as_ref();
    let deviation = seeds.and_then(|s| s.bits_per_byte_deviation);
    bits_cell(row, row.bits_per_byte, deviation)
}

fn last_bits(row: &ComparisonRow) -> String {
    let seeds = row.over_seeds.as_ref();
    let deviation = seeds.and_then(|s| s.last_bits_per_byte_deviation);
    bits_cell(row, row.last_bits_per_byte, deviation)
}

fn bits_cell(row: &ComparisonRow, value: Option<f64>, deviation: Option<f64>) -> String {
    let format = |value| bits(value, row.bits_per_byte_is_lower_bound);
    let text = value.map_or_else(|| "-".to_owned(), format);
    spread(text, deviation, |deviation| bits(deviation, false))
}

/// The share of unknown words, and whether training had none.
pub fn unknown_words(row: &ComparisonRow) -> String {
    let share = row.unknown.map_or("-".to_owned(), percent);
    if row.unlearned {
        format!("{share}, none learned")
    } else {
        share
    }
}

/// The table of a comparison for programs, as CSV: all columns, numbers with all digits.
pub fn comparison_csv(rows: &[ComparisonRow]) -> String {
    let names = [
        "model",
        "recurrent_parameters",
        "parameters",
        "steps",
        "words",
        "seconds",
        "words_per_second",
        "speedup",
        "speedup_by_flops",
        "share_reached",
        "perplexity",
        "perplexity_step",
        "last_perplexity",
        "unknown",
        "unlearned",
        "memory",
        "status",
        "run",
        "unigram",
        "perplexity_targets",
        "bits_per_byte",
        "last_bits_per_byte",
        "bits_per_byte_is_lower_bound",
        "sooner",
        "hidden",
        "flops_per_word",
        "streams",
        "seeds",
        "perplexity_deviation",
        "last_perplexity_deviation",
        "bits_per_byte_deviation",
        "last_bits_per_byte_deviation",
        "sooner_deviation",
        "complete",
    ];
    let mut table = Table::new(names.map(Column::words));
    let number = |value: f64| {
        if value.is_finite() {
            value.to_string()
        } else {
            String::new()
        }
    };
    let real = |value: Option<f64>| value.map(number).unwrap_or_default();
    let whole = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in rows {
        let seeds = row.over_seeds.as_ref();
        table.row([
            row.model.clone(),
            row.recurrent_parameters.to_string(),
            row.parameters.to_string(),
            row.steps.to_string(),
            row.words.to_string(),
            number(row.seconds),
            number(row.words_per_second),
            number(row.speedup),
            number(row.speedup_by_flops),
            number(row.share_reached),
            real(row.perplexity),
            whole(row.perplexity_step),
            real(row.last_perplexity),
            real(row.unknown),
            row.unlearned.to_string(),
            whole(row.memory),
            row.status.clone(),
            row.run.display().to_string(),
            real(row.unigram),
            whole(row.perplexity_targets),
            real(row.bits_per_byte),
            real(row.last_bits_per_byte),
            row.bits_per_byte_is_lower_bound.to_string(),
            real(row.sooner),
            row.hidden.to_string(),
            row.flops_per_word.to_string(),
            row.streams.to_string(),
            seeds.map_or(1, |seeds| seeds.measured).to_string(),
            real(seeds.and_then(|seeds| seeds.perplexity_deviation)),
            real(seeds.and_then(|seeds| seeds.last_perplexity_deviation)),
            real(seeds.and_then(|seeds| seeds.bits_per_byte_deviation)),
            real(seeds.and_then(|seeds| seeds.last_bits_per_byte_deviation)),
            real(seeds.and_then(|seeds| seeds.sooner_deviation)),
            row.complete.to_string(),
        ]);
    }
    table.csv()
}
