//! The rows of a comparison, from its runs.

use super::measure::{Measure, measure};
use super::ranking::common_measure;
use super::row::ComparisonRow;
use super::seeds::{SeedRun, compare_with_best, groups, over_seeds};
use super::sooner::sooner;
use crate::config::Tokens;
use crate::metrics::Valid;
use crate::report::run::RunData;

/// Compares the models of several runs with the first one.
pub fn comparison_rows(runs: &[RunData]) -> Vec<ComparisonRow> {
    let groups = groups(runs);
    let Some(first) = groups.first() else {
        return Vec::new();
    };
    let mut rows: Vec<ComparisonRow> = groups.iter().map(|group| model(first, group)).collect();
    let measure = common_measure(&rows);
    if rows.iter().all(|row| row.other_text.is_none()) {
        compare_with_best(&mut rows, measure);
    }
    rows
}

/// The row of a model. Each run is compared with the run of the first model with the same seed.
fn model(first: &[&RunData], runs: &[&RunData]) -> ComparisonRow {
    let seed = |run: &RunData| run.config.train.seed;
    let baseline = |run: &RunData| first.iter().copied().find(|other| seed(other) == seed(run));
    let row = |run: &RunData| row(baseline(run).unwrap_or(first[0]), run);
    match (runs, &runs[0].model) {
        ([_, _, ..], Some(label)) => {
            let runs = runs.iter().map(|run| {
                let has_baseline = baseline(run).is_some_and(RunData::is_complete);
                SeedRun::new(seed(run), row(run), has_baseline)
            });
            over_seeds(label.clone(), runs.collect())
        }
        _ => row(runs[0]),
    }
}

/// The row of a run.
fn row(first: &RunData, run: &RunData) -> ComparisonRow {
    let cost = run.cost();
    let measure = measure(&first.config.data, &run.config.data);
    let is_same = is_on_same_text(first, run);
    let is_comparable = measure == Ok(Measure::Perplexity) || is_same;
    let tokens = run.config.data.tokens;
    // Tokens of two vocabularies of subwords have different lengths.
    let has_same_tokens =
        first.config.data.tokens == tokens && (tokens != Tokens::Bpe || is_comparable);
    let words_per_second = run.words_per_second();
    let (speedup, speedup_by_flops) = if has_same_tokens {
        (
            words_per_second / first.words_per_second(),
            first.cost().flops_per_word as f64 / cost.flops_per_word as f64,
        )
    } else {
        (f64::NAN, f64::NAN)
    };
    let (best, last) = (run.best(), run.last_valid());
    ComparisonRow {
        model: run.label.clone(),
        hidden: run.config.model.hidden,
        recurrent_parameters: cost.recurrent,
        parameters: cost.parameters,
        flops_per_word: cost.flops_per_word,
        steps: run.step(),
        words: run.words(),
        seconds: run.seconds(),
        unit: run.config.data.tokens.unit(),
        words_per_second,
        speedup,
        speedup_by_flops,
        share_reached: speedup / speedup_by_flops,
        sooner: sooner(first, run, is_comparable),
        perplexity: best.map(|valid| valid.perplexity),
        perplexity_step: best.map(|valid| valid.step),
        perplexity_targets: best.map(|valid| valid.targets),
        last_perplexity: last.map(|valid| valid.perplexity),
        perplexity_is_comparable: is_comparable,
        other_text: measure.err().filter(|_| !is_same),
        bits_per_byte: best.and_then(|valid| valid.bits_per_byte),
        last_bits_per_byte: last.and_then(|valid| valid.bits_per_byte),
        bits_per_byte_is_lower_bound: best.is_some_and(Valid::is_lower_bound),
        streams: run.config.train.validation_streams(),
        unknown: last.and_then(Valid::share_unknown),
        unlearned: last.is_some_and(Valid::is_unlearned),
        unigram: best.and_then(|valid| valid.unigram),
        memory: (!run.memory.is_empty()).then(|| run.memory.iter().sum()),
        complete: run.is_complete(),
        status: run.status().to_owned(),
        run: run.folder.clone(),
        over_seeds: None,
    }
}

/// Whether the validations of two runs show that both are on the same tokens of the same text, although the configurations may name
/// them differently.
fn is_on_same_text(first: &RunData, run: &RunData) -> bool {
    let size = |run: &RunData| {
        let last = run.last_valid()?;
        Some((last.bytes?, last.targets, last.unknown?))
    };
    size(first).is_some_and(|of_first| size(run) == Some(of_first))
}
