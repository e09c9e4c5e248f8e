//! Models that were trained with several seeds.

use super::measure::Measure;
use super::row::{ComparisonRow, FromBest, OverSeeds};
use super::statistics::{deviation, mean, standard_error};
use crate::report::run::RunData;

/// The runs of each model, in the order of their first runs.
pub fn groups(runs: &[RunData]) -> Vec<Vec<&RunData>> {
    let mut groups: Vec<Vec<&RunData>> = Vec::new();
    for run in runs {
        let same = |group: &&mut Vec<&RunData>| run.model.is_some() && group[0].model == run.model;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// Whether the means include a run. A run that failed or diverged did not train as long as the others.
fn counts(row: &ComparisonRow) -> bool {
    row.perplexity.is_some() && !matches!(row.status.as_str(), "failed" | "diverged" | "not begun")
}

/// The row of a model from the rows of its runs, at least two.
pub fn over_seeds(label: String, seeds: Vec<u64>, runs: Vec<ComparisonRow>) -> ComparisonRow {
    let measured: Vec<&ComparisonRow> = runs.iter().filter(|row| counts(row)).collect();
    let values = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| -> Vec<f64> {
        measured.iter().filter_map(|row| of(row)).collect()
    };
    let mean_of = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| {
        let values = values(of);
        (!values.is_empty()).then(|| mean(&values))
    };
    let deviation_of = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| deviation(&values(of));
    let finite = |of: fn(&ComparisonRow) -> f64| {
        let values = runs.iter().map(of).filter(|value| value.is_finite());
        mean(&values.collect::<Vec<f64>>())
    };
    let whole = |of: fn(&ComparisonRow) -> u64| {
        let sum: u64 = runs.iter().map(of).fold(0, u64::saturating_add);
        sum / runs.len() as u64
    };
    let first = &runs[0];
    // If one pair has no value, there is no mean.
    let pairs: Option<Vec<f64>> = measured.iter().map(|row| row.sooner).collect();
    let words_per_second = finite(|row| row.words_per_second);
    ComparisonRow {
        model: label,
        steps: whole(|row| row.steps),
        words: whole(|row| row.words),
        seconds: finite(|row| row.seconds),
        words_per_second,
        speedup: finite(|row| row.speedup),
        share_reached: finite(|row| row.share_reached),
        perplexity: mean_of(&|row| row.perplexity),
        perplexity_step: None,
        perplexity_targets: measured.first().and_then(|row| row.perplexity_targets),
        last_perplexity: mean_of(&|row| row.last_perplexity),
        bits_per_byte: mean_of(&|row| row.bits_per_byte),
        last_bits_per_byte: mean_of(&|row| row.last_bits_per_byte),
        bits_per_byte_is_lower_bound: measured.iter().any(|row| row.bits_per_byte_is_lower_bound),
        sooner: pairs
            .filter(|pairs| !pairs.is_empty())
            .map(|pairs| mean(&pairs)),
        unknown: mean_of(&|row| row.unknown),
        unlearned: measured.iter().any(|row| row.unlearned),
        unigram: measured.first().and_then(|row| row.unigram),
        memory: runs.iter().filter_map(|row| row.memory).max(),
        status: status(&runs),
        over_seeds: Some(OverSeeds {
            measured: measured.len(),
            perplexity_deviation: deviation_of(&|row| row.perplexity),
            last_perplexity_deviation: deviation_of(&|row| row.last_perplexity),
            bits_per_byte_deviation: deviation_of(&|row| row.bits_per_byte),
            last_bits_per_byte_deviation: deviation_of(&|row| row.last_bits_per_byte),
            from_best: None,
            seeds,
            runs: runs.clone(),
        }),
        ..first.clone()
    }
}

/// The status of all runs: `finished`, or the number of runs in each other status.
fn status(runs: &[ComparisonRow]) -> String {
    let mut others: Vec<(&str, usize)> = Vec::new();
    for row in runs.iter().filter(|row| row.status != "finished") {
        match others.iter_mut().find(|(status, _)| *status == row.status) {
            Some((_, count)) => *count += 1,
            None => others.push((&row.status, 1)),
        }
    }
    let all = runs.len();
    let part = |(status, count): &(&str, usize)| format!("{count} of {all} {status}");
    match others.as_slice() {
        [] => "finished".to_owned(),
        [(status, count)] if *count == all => (*status).to_owned(),
        others => others.iter().map(part).collect::<Vec<_>>().join(", "),
    }
}

/// Sets the distance of every model from the best one.
pub fn compare_with_best(rows: &mut [ComparisonRow], measure: Measure) {
    let value = |row: &ComparisonRow| match measure {
        Measure::Perplexity => row.perplexity,
        Measure::BitsPerByte => row.bits_per_byte,
    };
    let values = |row: &ComparisonRow| -> Vec<f64> {
        let runs = row.over_seeds.iter().flat_map(|seeds| &seeds.runs);
        runs.filter(|row| counts(row)).filter_map(value).collect()
    };
    let best = rows
        .iter()
        .enumerate()
        .filter_map(|(k, row)| Some((k, value(row)?)))
        .min_by(|(_, x), (_, y)| x.total_cmp(y));
    let Some((best, lowest)) = best else {
        return;
    };
    let (of_best, label) = (values(&rows[best]), rows[best].model.clone());
    for (k, row) in rows.iter_mut().enumerate() {
        let Some(own) = value(row).filter(|_| k != best) else {
            continue;
        };
        let (Some(error), difference) = (standard_error(&of_best, &values(row)), own - lowest)
        else {
            continue;
        };
        if let Some(seeds) = &mut row.over_seeds {
            seeds.from_best = Some(FromBest {
                best: label.clone(),
                difference,
                standard_error: error,
                within_spread: difference < 2.0 * error,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::notes::comparison_notes;

    fn row(seed: u64, perplexity: f64, status: &str) -> ComparisonRow {
        ComparisonRow {
            model: format!("m, seed {seed}"),
            hidden: 8,
            recurrent_parameters: 1,
            parameters: 2,
            flops_per_word: 6,
            steps: 10,
            words: 100,
            seconds: 1.0,
            unit: "words/s",
            words_per_second: 100.0,
            speedup: 1.0,
            speedup_by_flops: 1.0,
            share_reached: 1.0,
            sooner: Some(0.5),
            perplexity: Some(perplexity),
            perplexity_step: Some(10),
            perplexity_targets: Some(50),
            last_perplexity: Some(perplexity),
            perplexity_is_comparable: true,
            bits_per_byte: Some(1.0),
            last_bits_per_byte: Some(1.0),
            bits_per_byte_is_lower_bound: false,
            streams: 4,
            unknown: Some(0.0),
            unlearned: false,
            unigram: None,
            memory: Some(7),
            status: status.to_owned(),
            run: "m".into(),
            over_seeds: None,
        }
    }

    fn model(label: &str, runs: Vec<ComparisonRow>) -> ComparisonRow {
        let seeds = (1..=runs.len() as u64).collect();
        over_seeds(label.to_owned(), seeds, runs)
    }

    #[test]
    fn a_failed_seed_is_told_and_not_in_the_means() {
        let mut runs = vec![
            row(1, 10.0, "finished"),
            row(2, 900.0, "diverged"),
            row(3, 14.0, "finished"),
        ];
        let found = model("m", runs.clone());
        assert_eq!(found.perplexity, Some(12.0));
        assert_eq!(found.status, "1 of 3 diverged");
        let seeds = found.over_seeds.as_ref().expect("seeds");
        assert_eq!((seeds.measured, seeds.seeds.len()), (2, 3));
        assert_eq!(seeds.perplexity_deviation, Some(8.0_f64.sqrt()));
        let notes = comparison_notes(&[found]).join(" ");
        assert!(notes.contains("`m` has 2 of 3"), "{notes}");
        // A seed that never got as far as the first model.
        assert_eq!(model("m", runs.clone()).sooner, Some(0.5));
        runs[2].sooner = None;
        assert_eq!(model("m", runs.clone()).sooner, None);
        runs.iter_mut()
            .for_each(|run| run.status = "failed".to_owned());
        let none = model("m", runs);
        assert_eq!((none.perplexity, none.status.as_str()), (None, "failed"));
    }

    #[test]
    fn differences_below_twice_their_standard_error_are_named() {
        let finished = |perplexities: [f64; 3]| {
            let run = |(k, perplexity)| row(k as u64, perplexity, "finished");
            perplexities.into_iter().enumerate().map(run).collect()
        };
        let mut rows = [
            model("near", finished([10.0, 11.0, 12.0])),
            model("best", finished([9.0, 10.0, 11.0])),
            model("far", finished([12.0, 13.0, 14.0])),
        ];
        compare_with_best(&mut rows, Measure::Perplexity);
        let from_best = |k: usize| {
            rows[k]
                .over_seeds
                .as_ref()
                .and_then(|s| s.from_best.as_ref())
        };
        assert!(from_best(1).is_none());
        // Both deviations are 1, so the standard error is sqrt(1 / 3 + 1 / 3).
        for (k, difference, within) in [(0, 1.0, true), (2, 3.0, false)] {
            let found = from_best(k).expect("a difference");
            assert!((found.difference - difference).abs() < 1e-12);
            assert!((found.standard_error - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
            assert_eq!(found.within_spread, within);
        }
        let notes = comparison_notes(&rows).join(" ");
        assert!(
            notes.contains("`best` is no better than `near` (1.00 < 2 * 0.82):"),
            "{notes}"
        );
    }
}
