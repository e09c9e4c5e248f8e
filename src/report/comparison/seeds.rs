//! Models that were trained with several seeds.

use super::measure::Measure;
use super::ranking::{best_row, rank};
use super::row::{ComparisonRow, FromBest, OverSeeds};
use super::statistics::{MeanDifference, deviation, mean};
use crate::report::run::RunData;

/// The runs of each model, in the order of their first runs. Models of two comparisons are different models, although they can have the
/// same name.
pub fn groups(runs: &[RunData]) -> Vec<Vec<&RunData>> {
    let mut groups: Vec<Vec<&RunData>> = Vec::new();
    for run in runs {
        let same = |group: &&mut Vec<&RunData>| {
            let first = group[0];
            run.model.is_some()
                && first.model == run.model
                && first.folder.parent() == run.folder.parent()
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// The complete runs; all runs if none is complete.
pub fn complete_or_all<T>(runs: &[T], is_complete: impl Fn(&T) -> bool) -> Vec<&T> {
    let complete: Vec<&T> = runs.iter().filter(|run| is_complete(run)).collect();
    if complete.is_empty() {
        return runs.iter().collect();
    }
    complete
}

/// A run of a model with several seeds.
pub struct SeedRun {
    seed: u64,
    row: ComparisonRow,
    has_baseline: bool,
}

impl SeedRun {
    /// The run with this seed. `has_baseline`: whether the run of the first model with this seed is complete. Otherwise the row has
    /// no numbers relative to it.
    pub fn new(seed: u64, mut row: ComparisonRow, has_baseline: bool) -> SeedRun {
        if !has_baseline {
            (row.speedup, row.share_reached, row.sooner) = (f64::NAN, f64::NAN, None);
        }
        SeedRun {
            seed,
            row,
            has_baseline,
        }
    }
}

/// The row of a model from its runs, at least two.
pub fn over_seeds(label: String, runs: Vec<SeedRun>) -> ComparisonRow {
    let complete: Vec<&SeedRun> = runs.iter().filter(|run| run.row.complete).collect();
    let values = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| -> Vec<f64> {
        complete.iter().filter_map(|run| of(&run.row)).collect()
    };
    let mean_of = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| {
        let values = values(of);
        (!values.is_empty()).then(|| mean(&values))
    };
    let deviation_of = |of: &dyn Fn(&ComparisonRow) -> Option<f64>| deviation(&values(of));
    let trained = complete_or_all(&runs, |run| run.row.complete);
    let finite = |of: fn(&ComparisonRow) -> f64| {
        let values = trained.iter().map(|run| of(&run.row));
        mean(
            &values
                .filter(|value| value.is_finite())
                .collect::<Vec<f64>>(),
        )
    };
    let whole = |of: fn(&ComparisonRow) -> u64| {
        let values = trained.iter().map(|run| of(&run.row));
        values.fold(0, u64::saturating_add) / trained.len() as u64
    };
    // If one pair has no value, there is no mean.
    let pairs = complete.iter().filter(|run| run.has_baseline);
    let pairs: Option<Vec<f64>> = pairs.map(|run| run.row.sooner).collect();
    let pairs = pairs.filter(|pairs| !pairs.is_empty());
    let rows: Vec<ComparisonRow> = runs.iter().map(|run| run.row.clone()).collect();
    let any = |of: fn(&ComparisonRow) -> bool| complete.iter().any(|run| of(&run.row));
    ComparisonRow {
        model: label,
        steps: whole(|row| row.steps),
        words: whole(|row| row.words),
        seconds: finite(|row| row.seconds),
        words_per_second: finite(|row| row.words_per_second),
        speedup: finite(|row| row.speedup),
        share_reached: finite(|row| row.share_reached),
        perplexity: mean_of(&|row| row.perplexity),
        perplexity_step: None,
        perplexity_targets: complete.first().and_then(|run| run.row.perplexity_targets),
        last_perplexity: mean_of(&|row| row.last_perplexity),
        bits_per_byte: mean_of(&|row| row.bits_per_byte),
        last_bits_per_byte: mean_of(&|row| row.last_bits_per_byte),
        bits_per_byte_is_lower_bound: any(|row| row.bits_per_byte_is_lower_bound),
        sooner: pairs.as_deref().map(mean),
        unknown: mean_of(&|row| row.unknown),
        unlearned: any(|row| row.unlearned),
        unigram: complete.first().and_then(|run| run.row.unigram),
        memory: rows.iter().filter_map(|row| row.memory).max(),
        complete: complete.len() == runs.len(),
        status: status(&rows),
        over_seeds: Some(OverSeeds {
            seeds: runs.iter().map(|run| run.seed).collect(),
            measured: complete.len(),
            perplexity_deviation: deviation_of(&|row| row.perplexity),
            last_perplexity_deviation: deviation_of(&|row| row.last_perplexity),
            bits_per_byte_deviation: deviation_of(&|row| row.bits_per_byte),
            last_bits_per_byte_deviation: deviation_of(&|row| row.last_bits_per_byte),
            sooner_deviation: pairs.as_deref().and_then(deviation),
            from_best: None,
            runs: rows.clone(),
        }),
        ..rows[0].clone()
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
    let values = |row: &ComparisonRow| -> Vec<f64> {
        let runs = row.over_seeds.iter().flat_map(|seeds| &seeds.runs);
        let runs = runs.filter(|row| row.complete);
        runs.filter_map(|row| rank(row, measure)).collect()
    };
    let Some(best) = best_row(rows.iter(), measure).cloned() else {
        return;
    };
    let (of_best, lowest) = (values(&best), rank(&best, measure));
    for row in rows.iter_mut().filter(|row| row.run != best.run) {
        let (Some(lowest), Some(own), Some(error)) = (
            lowest,
            rank(row, measure),
            MeanDifference::of(&of_best, &values(row)),
        ) else {
            continue;
        };
        let (difference, margin) = (own - lowest, error.margin());
        if let Some(seeds) = &mut row.over_seeds {
            seeds.from_best = Some(FromBest {
                best: best.model.clone(),
                difference,
                standard_error: error.standard_error,
                degrees_of_freedom: error.degrees,
                margin,
                within_spread: difference <= margin,
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
            other_text: None,
            bits_per_byte: Some(1.0),
            last_bits_per_byte: Some(1.0),
            bits_per_byte_is_lower_bound: false,
            streams: 4,
            unknown: Some(0.0),
            unlearned: false,
            unigram: None,
            memory: Some(7),
            complete: status == "finished",
            status: status.to_owned(),
            run: "m".into(),
            over_seeds: None,
        }
    }

    fn model(label: &str, runs: Vec<ComparisonRow>) -> ComparisonRow {
        let runs = (1..).zip(runs);
        let runs = runs.map(|(seed, row)| {
            let run = format!("{label}-seed-{seed}").into();
            SeedRun::new(seed, ComparisonRow { run, ..row }, true)
        });
        over_seeds(label.to_owned(), runs.collect())
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
            .for_each(|run| (run.status, run.complete) = ("failed".to_owned(), false));
        let none = model("m", runs);
        assert_eq!((none.perplexity, none.status.as_str()), (None, "failed"));
    }

    #[test]
    fn only_complete_runs_are_in_the_means() {
        let short = ComparisonRow {
            steps: 5,
            words: 50,
            words_per_second: 1.0,
            sooner: Some(0.1),
            ..row(2, 99.0, "interrupted")
        };
        let found = model("m", vec![row(1, 10.0, "finished"), short.clone()]);
        assert_eq!(
            (found.steps, found.words, found.perplexity),
            (10, 100, Some(10.0))
        );
        assert_eq!((found.words_per_second, found.sooner), (100.0, Some(0.5)));
        assert!(!found.complete);
        let notes = comparison_notes(&[found]).join(" ");
        assert!(
            notes.contains("`m` has 1 of 2") && notes.contains("not known for `m`"),
            "{notes}"
        );
        // A run that did not train to the end is not the best.
        assert_eq!(rank(&short, Measure::Perplexity), None);
        // Without a complete run, the table shows how far the runs are.
        let none = model("m", vec![short.clone(), short]);
        assert_eq!((none.steps, none.perplexity, none.sooner), (5, None, None));
    }

    /// The run of the first model with the second seed failed, so the pair does not count.
    #[test]
    fn a_pair_needs_a_complete_baseline() {
        let with_baseline = |has_baseline: bool, sooner: f64| {
            let row = ComparisonRow {
                sooner: Some(sooner),
                speedup: sooner,
                ..row(1, 10.0, "finished")
            };
            SeedRun::new(1, row, has_baseline)
        };
        let runs = vec![with_baseline(true, 1.0), with_baseline(false, 0.25)];
        let found = over_seeds("m".to_owned(), runs);
        assert_eq!((found.sooner, found.speedup), (Some(1.0), 1.0));
        let seeds = found.over_seeds.expect("seeds");
        assert_eq!((seeds.measured, seeds.sooner_deviation), (2, None));
        assert_eq!(seeds.runs[1].sooner, None);
        let runs = vec![with_baseline(true, 1.0), with_baseline(true, 3.0)];
        let seeds = over_seeds("m".to_owned(), runs).over_seeds.expect("seeds");
        assert_eq!(seeds.sooner_deviation, Some(2.0_f64.sqrt()));
    }

    /// A lower bound of bits per byte is neither the best nor compared with the best.
    #[test]
    fn lower_bounds_are_not_ranked() {
        let with_bits = |label: &str, bits: f64, is_lower_bound: bool| {
            let run = |seed: u64| ComparisonRow {
                bits_per_byte: Some(bits + 0.01 * seed as f64),
                bits_per_byte_is_lower_bound: is_lower_bound,
                perplexity_is_comparable: false,
                ..row(seed, 10.0, "finished")
            };
            model(label, vec![run(1), run(2)])
        };
        let mut rows = [
            with_bits("few", 0.3, true),
            with_bits("exact", 1.0, false),
            with_bits("other", 2.0, false),
        ];
        compare_with_best(&mut rows, Measure::BitsPerByte);
        let from_best = |k: usize| {
            rows[k]
                .over_seeds
                .as_ref()
                .and_then(|s| s.from_best.as_ref())
        };
        assert_eq!(from_best(0), None);
        assert_eq!(from_best(1), None);
        assert_eq!(from_best(2).map(|found| found.best.as_str()), Some("exact"));
        let notes = comparison_notes(&rows).join(" ");
        assert!(notes.contains("not ranked: `few`."), "{notes}");
    }

    #[test]
    fn differences_that_may_be_chance_are_named() {
        let finished = |perplexities: [f64; 3]| {
            let run = |(k, perplexity)| row(k as u64, perplexity, "finished");
            perplexities.into_iter().enumerate().map(run).collect()
        };
        let mut rows = [
            model("near", finished([10.0, 11.0, 12.0])),
            model("best", finished([9.0, 10.0, 11.0])),
            // Its difference is 2.5 standard errors, which is significant with many runs, but not with three.
            model("not far", finished([11.0, 12.0, 13.1])),
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
        for (k, difference, within) in [(0, 1.0, true), (3, 3.0, false)] {
            let found = from_best(k).expect("a difference");
            assert!((found.difference - difference).abs() < 1e-12);
            assert!((found.standard_error - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
            // Student's t for 4 degrees of freedom.
            assert!((found.degrees_of_freedom - 4.0).abs() < 1e-9);
            assert!((found.margin / (2.776_45 * found.standard_error) - 1.0).abs() < 1e-3);
            assert_eq!(found.within_spread, within);
        }
        let not_far = from_best(2).expect("a difference");
        assert!(not_far.difference > 2.0 * not_far.standard_error && not_far.within_spread);
        let notes = comparison_notes(&rows).join(" ");
        assert!(
            notes.contains(
                "`best` and each of these models is not significant (Welch's t-test at 95 % confidence): `near` (difference 1.00, \
                 margin 2.27), `not far` (difference 2.03, margin 2.3"
            ),
            "{notes}"
        );
    }
}
