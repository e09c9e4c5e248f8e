//! The table of a comparison.

use super::run::Compared;
use super::table::{Column, Table};
use crate::numbers::{bytes, grouped, percent};

/// The table for people. Columns that say nothing are left out: perplexities that were not measured, a status that all share.
pub fn comparison(lines: &[Compared]) -> Table {
    let has_perplexity = lines.iter().any(|line| line.perplexity.is_some());
    let has_memory = lines.iter().any(|line| line.memory.is_some());
    let has_unknown = lines.iter().any(|line| line.unknown > Some(0.0));
    let has_status = lines.iter().any(|line| line.status != "finished");
    let mut columns = vec![Column::words("model")];
    let unit = lines.first().map_or("words/s", |line| line.unit);
    columns.extend(
        [
            "recurrent",
            "parameters",
            "steps",
            unit,
            "times",
            "by FLOPs",
            "reached",
        ]
        .map(Column::numbers),
    );
    if has_perplexity {
        columns.push(Column::numbers("perplexity"));
        columns.push(Column::numbers("last").optional());
    }
    columns.extend(has_unknown.then(|| Column::numbers("unknown")));
    columns.extend(has_memory.then(|| Column::numbers("memory")));
    columns.extend(has_status.then(|| Column::words("status")));
    let mut table = Table::new(columns);
    let number = |value: f64, digits: usize| match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => "-".to_owned(),
    };
    for line in lines {
        let mut cells = vec![
            line.model.clone(),
            grouped(line.recurrent_parameters),
            grouped(line.parameters),
            grouped(line.steps),
            match line.words_per_second.is_finite() {
                true => grouped(line.words_per_second.round() as u64),
                false => "-".to_owned(),
            },
            number(line.speedup, 2),
            number(line.speedup_by_flops, 2),
            match line.share_reached.is_finite() {
                true => format!("{:.0} %", 100.0 * line.share_reached),
                false => "-".to_owned(),
            },
        ];
        if has_perplexity {
            for perplexity in [line.perplexity, line.last_perplexity] {
                cells.push(number(perplexity.unwrap_or(f64::NAN), 2));
            }
        }
        if has_unknown {
            cells.push(unknown(line.unknown, line.unlearned));
        }
        if has_memory {
            cells.push(line.memory.map_or("-".to_owned(), bytes));
        }
        if has_status {
            cells.push(line.status.clone());
        }
        table.row(cells);
    }
    table
}

/// The share of unknown words, and whether none was trained on.
pub(super) fn unknown(share: Option<f64>, unlearned: bool) -> String {
    let share = share.map_or("-".to_owned(), percent);
    match unlearned {
        true => format!("{share}, none learned"),
        false => share,
    }
}

/// The table for programs: all columns, numbers with all their digits.
pub fn comparison_csv(lines: &[Compared]) -> String {
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
    ];
    let mut table = Table::new(names.map(Column::words));
    let number = |value: f64| match value.is_finite() {
        true => value.to_string(),
        false => String::new(),
    };
    let whole = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    for line in lines {
        table.row([
            line.model.clone(),
            line.recurrent_parameters.to_string(),
            line.parameters.to_string(),
            line.steps.to_string(),
            line.words.to_string(),
            number(line.seconds),
            number(line.words_per_second),
            number(line.speedup),
            number(line.speedup_by_flops),
            number(line.share_reached),
            line.perplexity.map(number).unwrap_or_default(),
            whole(line.perplexity_step),
            line.last_perplexity.map(number).unwrap_or_default(),
            line.unknown.map(number).unwrap_or_default(),
            line.unlearned.to_string(),
            whole(line.memory),
            line.status.clone(),
            line.run.display().to_string(),
        ]);
    }
    table.csv()
}
