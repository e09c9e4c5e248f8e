//! The comparison of several runs: one row for each, with the columns of the table in the paper, measured.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::run::RunData;
use super::table::{Column, Table};
use crate::metrics::Valid;
use crate::numbers::{bytes, decimal, grouped, percent};

/// A row of a comparison. The speed-ups are relative to the first row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Name of the model.
    pub model: String,
    /// Parameters of the recurrent layers.
    pub recurrent_parameters: u64,
    /// All parameters.
    pub parameters: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Words trained on.
    pub words: u64,
    /// Training time in seconds.
    pub seconds: f64,
    /// Unit of the speed: `words/s` or `chars/s`.
    pub unit: &'static str,
    /// Words per second.
    pub words_per_second: f64,
    /// Speed relative to the first row.
    pub speedup: f64,
    /// The speed-up that the FLOP count alone would allow.
    pub speedup_by_flops: f64,
    /// The share of it that was achieved: `speedup / speedup_by_flops`.
    pub share_reached: f64,
    /// The best validation perplexity.
    pub perplexity: Option<f64>,
    /// The step at which it was measured.
    pub perplexity_step: Option<u64>,
    /// The number of targets of both perplexities.
    pub perplexity_targets: Option<u64>,
    /// The last validation perplexity.
    pub last_perplexity: Option<f64>,
    /// The share of unknown words among the targets of the last validation.
    pub unknown: Option<f64>,
    /// Whether that share is large but the model was trained on no unknown word, so that the perplexity is not
    /// meaningful.
    pub unlearned: bool,
    /// The perplexity of the unigram model of the training text on the targets of the best validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unigram: Option<f64>,
    /// Device memory for training and validation in bytes.
    pub memory: Option<u64>,
    /// `finished`, `running`, `killed`, `interrupted`, `diverged`, `failed` or `not begun`.
    pub status: String,
    /// The run folder.
    pub run: PathBuf,
}

/// Compares several runs with the first one.
pub fn comparison_rows(runs: &[RunData]) -> Vec<ComparisonRow> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let (first_speed, first_flops) = (first.words_per_second(), first.cost().flops_per_word);
    let row = |run: &RunData| {
        let cost = run.cost();
        let words_per_second = run.words_per_second();
        let speedup = words_per_second / first_speed;
        let speedup_by_flops = first_flops as f64 / cost.flops_per_word as f64;
        let (best, last) = (run.best(), run.last_valid());
        ComparisonRow {
            model: run.label.clone(),
            recurrent_parameters: cost.recurrent,
            parameters: cost.parameters,
            steps: run.step(),
            words: run.words(),
            seconds: run.seconds(),
            unit: run.config.data.tokens.unit(),
            words_per_second,
            speedup,
            speedup_by_flops,
            share_reached: speedup / speedup_by_flops,
            perplexity: best.map(|valid| valid.perplexity),
            perplexity_step: best.map(|valid| valid.step),
            perplexity_targets: best.map(|valid| valid.targets),
            last_perplexity: last.map(|valid| valid.perplexity),
            unknown: last.and_then(Valid::share_unknown),
            unlearned: last.is_some_and(Valid::is_unlearned),
            unigram: best.and_then(|valid| valid.unigram),
            memory: (!run.memory.is_empty()).then(|| run.memory.iter().sum()),
            status: run.status().to_owned(),
            run: run.folder.clone(),
        }
    };
    runs.iter().map(row).collect()
}

/// The table of a comparison for display. Columns without information are left out: perplexities that were not measured, and
/// the status if all runs have finished.
pub fn comparison_table(rows: &[ComparisonRow]) -> Table {
    let has_perplexity = rows.iter().any(|row| row.perplexity.is_some());
    let has_memory = rows.iter().any(|row| row.memory.is_some());
    let has_unknown = rows.iter().any(|row| row.unknown > Some(0.0));
    // An interrupted run may have validated only on part of the text.
    let targets: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row.perplexity_targets)
        .collect();
    let has_targets = targets.len() > 1;
    let has_status = rows.iter().any(|row| row.status != "finished");
    let mut columns = vec![Column::words("model")];
    let unit = rows.first().map_or("words/s", |row| row.unit);
    columns.extend(["recurrent", "parameters", "steps", unit].map(Column::numbers));
    // There is no comparison for a single model.
    let has_ratios = rows.len() > 1;
    if has_ratios {
        columns.extend(["times", "by FLOPs", "reached"].map(Column::numbers));
    }
    if has_perplexity {
        columns.push(Column::numbers("perplexity"));
        columns.push(Column::numbers("last").optional());
    }
    columns.extend(has_targets.then(|| Column::numbers("targets")));
    columns.extend(has_unknown.then(|| Column::numbers("unknown")));
    columns.extend(has_memory.then(|| Column::numbers("memory")));
    columns.extend(has_status.then(|| Column::words("status")));
    let mut table = Table::new(columns);
    let finite = |value: f64, text: String| {
        if value.is_finite() {
            text
        } else {
            "-".to_owned()
        }
    };
    let number = |value: f64| finite(value, decimal(value));
    for row in rows {
        let speed = row.words_per_second;
        let share = row.share_reached;
        let mut cells = vec![
            row.model.clone(),
            grouped(row.recurrent_parameters),
            grouped(row.parameters),
            grouped(row.steps),
            finite(speed, grouped(speed.round() as u64)),
        ];
        if has_ratios {
            cells.extend([
                number(row.speedup),
                number(row.speedup_by_flops),
                finite(share, format!("{:.0} %", 100.0 * share)),
            ]);
        }
        if has_perplexity {
            for perplexity in [row.perplexity, row.last_perplexity] {
                cells.push(number(perplexity.unwrap_or(f64::NAN)));
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

/// The share of unknown words, and whether the model was trained on none.
pub(super) fn unknown_words(row: &ComparisonRow) -> String {
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
    ];
    let mut table = Table::new(names.map(Column::words));
    let number = |value: f64| {
        if value.is_finite() {
            value.to_string()
        } else {
            String::new()
        }
    };
    let whole = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in rows {
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
            row.perplexity.map(number).unwrap_or_default(),
            whole(row.perplexity_step),
            row.last_perplexity.map(number).unwrap_or_default(),
            row.unknown.map(number).unwrap_or_default(),
            row.unlearned.to_string(),
            whole(row.memory),
            row.status.clone(),
            row.run.display().to_string(),
            row.unigram.map(number).unwrap_or_default(),
            whole(row.perplexity_targets),
        ]);
    }
    table.csv()
}
