//! Notes that explain the table of a comparison.

use super::measure::Measure;
use super::ranking::common_measure;
use super::row::ComparisonRow;
use super::table::comparison_table;
use crate::numbers::{bits, decimal};

/// Sentences to print below the table: whether perplexities can be compared, the seeds of the means, models without enough complete
/// runs, the models within the spread of the seeds, lower bounds, and the number of streams.
pub fn comparison_notes(rows: &[ComparisonRow]) -> Vec<String> {
    let parts = [
        incomparable(rows),
        seeds(rows),
        missing_seeds(rows),
        unknown_spread(rows),
        within_spread(rows),
        lower_bound(rows),
        streams(rows),
    ];
    parts.into_iter().flatten().collect()
}

/// The table in Markdown, with the notes below it.
pub fn comparison_markdown(rows: &[ComparisonRow]) -> String {
    let notes = comparison_notes(rows);
    let notes = notes.iter().map(|note| format!("\n{note}\n"));
    comparison_table(rows).markdown() + &notes.collect::<String>()
}

fn is_comparable(rows: &[ComparisonRow]) -> bool {
    common_measure(rows) == Measure::Perplexity
}

/// The names of models, for a sentence.
fn names(models: &[&str]) -> String {
    let names: Vec<String> = models.iter().map(|model| format!("`{model}`")).collect();
    names.join(", ")
}

fn incomparable(rows: &[ComparisonRow]) -> Option<String> {
    if let Some(key) = rows.iter().find_map(|row| row.other_text) {
        return Some(format!(
            "The validation texts differ (data.{key}), so neither perplexities nor bits per byte can be compared."
        ));
    }
    let has_bits = rows.iter().any(|row| row.bits_per_byte.is_some());
    (!is_comparable(rows) && has_bits).then(|| {
        "The models do not predict the same tokens, so their perplexities cannot be compared: compare bits per byte (lower is \
         better)."
            .to_owned()
    })
}

fn seeds(rows: &[ComparisonRow]) -> Option<String> {
    let seeds_of = |row: &ComparisonRow| Some(row.over_seeds.as_ref()?.seeds.clone());
    let first = rows.iter().find_map(seeds_of)?;
    let names = |seeds: &[u64]| {
        let names: Vec<String> = seeds.iter().map(u64::to_string).collect();
        names.join(", ")
    };
    if rows.iter().filter_map(seeds_of).all(|seeds| seeds == first) {
        return Some(format!(
            "Numbers are means over {} seeds ({}), with ± the sample standard deviation.",
            first.len(),
            names(&first)
        ));
    }
    let of_model =
        |row: &ComparisonRow| Some(format!("`{}` {}", row.model, names(&seeds_of(row)?)));
    let all: Vec<String> = rows.iter().filter_map(of_model).collect();
    Some(format!(
        "Numbers are means over the seeds of each model ({}), with ± the sample standard deviation.",
        all.join("; ")
    ))
}

/// The models whose means exclude a run.
fn missing_seeds(rows: &[ComparisonRow]) -> Option<String> {
    let missing = |row: &ComparisonRow| {
        let seeds = row.over_seeds.as_ref()?;
        let all = seeds.seeds.len();
        (seeds.measured < all).then(|| format!("`{}` has {} of {all}", row.model, seeds.measured))
    };
    let all: Vec<String> = rows.iter().filter_map(missing).collect();
    let has_none =
        |row: &ComparisonRow| matches!(&row.over_seeds, Some(seeds) if seeds.measured == 0);
    let so_far = if rows.iter().any(has_none) {
        " Without one, steps and speeds are means over all runs so far."
    } else {
        ""
    };
    (!all.is_empty()).then(|| {
        format!(
            "Means are over complete runs, which trained to the end of the budget and neither failed nor diverged: {}.{so_far}",
            all.join(", ")
        )
    })
}

/// The models without a standard deviation.
fn unknown_spread(rows: &[ComparisonRow]) -> Option<String> {
    let is_unknown =
        |row: &&ComparisonRow| matches!(&row.over_seeds, Some(seeds) if seeds.measured == 1);
    let unknown: Vec<&str> = rows
        .iter()
        .filter(is_unknown)
        .map(|row| row.model.as_str())
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "The spread of the seeds is not known for {}, with one complete run: differences from it may be chance.",
            names(&unknown)
        )
    })
}

/// The models whose difference from the best one may be chance.
fn within_spread(rows: &[ComparisonRow]) -> Option<String> {
    let show = |value: f64| {
        if is_comparable(rows) {
            decimal(value)
        } else {
            bits(value, false)
        }
    };
    let mut best = None;
    let near = |row: &ComparisonRow| {
        let from_best = row.over_seeds.as_ref()?.from_best.as_ref()?;
        best = Some(from_best.best.clone());
        from_best.within_spread.then(|| {
            format!(
                "`{}` (difference {}, margin {})",
                row.model,
                show(from_best.difference),
                show(from_best.margin)
            )
        })
    };
    let near: Vec<String> = rows.iter().filter_map(near).collect();
    let best = best.filter(|_| !near.is_empty())?;
    Some(format!(
        "The difference between `{best}` and each of these models is not significant (Welch's t-test at 95 % confidence): {}. \
         Each model is compared with the best one only. More seeds can reveal smaller differences.",
        near.join(", ")
    ))
}

fn lower_bound(rows: &[ComparisonRow]) -> Option<String> {
    let is_bounded =
        |row: &&ComparisonRow| row.bits_per_byte.is_some() && row.bits_per_byte_is_lower_bound;
    let bounded: Vec<&str> = rows
        .iter()
        .filter(is_bounded)
        .map(|row| row.model.as_str())
        .collect();
    let ranking = if is_comparable(rows) {
        String::new()
    } else {
        format!(
            " Models with a lower bound are not ranked: {}.",
            names(&bounded)
        )
    };
    (!bounded.is_empty()).then(|| {
        format!(
            "at least: a lower bound. The validation text has unknown words, and the bits that identify these words are not \
             counted.{ranking}"
        )
    })
}

fn streams(rows: &[ComparisonRow]) -> Option<String> {
    let first = rows.first()?.streams;
    let is_measured = rows.iter().any(|row| row.perplexity.is_some());
    let is_same = rows.iter().all(|row| row.streams == first);
    if !is_measured {
        return None;
    }
    Some(if is_same {
        let streams = if first == 1 {
            "1 stream"
        } else {
            &format!("{first} streams")
        };
        format!("All models were validated in {streams}.")
    } else {
        let each: Vec<String> = rows.iter().map(|row| row.streams.to_string()).collect();
        format!(
            "The models were validated in different numbers of streams ({}), which changes perplexities of contiguous text.",
            each.join(", ")
        )
    })
}
