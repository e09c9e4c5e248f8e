//! The plots of a report: loss, perplexity and speed over steps, words and time.

use super::comparison::{comparison_rows, complete_or_all, groups};
use super::mean_line::mean_line;
use super::plot::{Axis, Plot, Series, Unit};
use super::run::RunData;
use crate::config::{Softmax, Tokens};
use crate::metrics::{Step, Valid};

/// Plots the curves of some runs. Plots without points are left out.
pub fn plots(runs: &[RunData]) -> Vec<Plot> {
    let is_sampled = runs
        .iter()
        .any(|run| matches!(run.config.softmax, Softmax::Sampled { .. }));
    let loss = if is_sampled {
        "training loss (sampled)"
    } else {
        "training loss"
    };
    let has_characters = |run: &RunData| run.config.data.tokens == Tokens::Characters;
    let words = if runs.iter().all(has_characters) {
        "characters"
    } else {
        "words"
    };
    let number = |label: &str| Axis::linear(label, Unit::Number).from_zero();
    let time = || Axis::linear("training time", Unit::Seconds).from_zero();
    let is_comparable = comparison_rows(runs)
        .iter()
        .all(|row| row.perplexity_is_comparable);
    let plots = vec![
        Plot {
            name: "loss-by-step",
            title: "Training loss by step".to_owned(),
            x: number("steps"),
            y: Axis::log(loss).may_cut(),
            series: step_series(runs, |_, step| (step.step as f64, step.loss)),
        },
        Plot {
            name: "loss-by-words",
            title: format!("Training loss by {words}"),
            x: number(words),
            y: Axis::log(loss).may_cut(),
            series: step_series(runs, |run, step| (run.words_at(step) as f64, step.loss)),
        },
        Plot {
            name: "loss-by-time",
            title: "Training loss by time".to_owned(),
            x: time(),
            y: Axis::log(loss).may_cut(),
            series: step_series(runs, |_, step| (step.seconds, step.loss)),
        },
        Plot {
            name: "perplexity-by-step",
            title: "Validation perplexity by step".to_owned(),
            x: number("steps"),
            y: Axis::log("perplexity").may_cut(),
            series: valid_series(runs, |valid| (valid.step as f64, valid.perplexity)),
        },
        Plot {
            name: "perplexity-by-time",
            title: "Validation perplexity by time".to_owned(),
            x: time(),
            y: Axis::log("perplexity").may_cut(),
            series: valid_series(runs, |valid| (valid.seconds, valid.perplexity)),
        },
        Plot {
            name: "bits-per-byte-by-time",
            title: "Validation bits per byte by time".to_owned(),
            x: time(),
            y: Axis::log("bits per byte").may_cut(),
            series: valid_series(runs, |valid| {
                (valid.seconds, valid.bits_per_byte.unwrap_or(f64::NAN))
            }),
        },
        Plot {
            name: "speed",
            title: format!("{}{} per second", words[..1].to_uppercase(), &words[1..]),
            x: time(),
            y: number(&format!("{words} per second")),
            series: speed_series(runs),
        },
    ];
    // If all models have the same tokens, curves of bits per byte have the same shape as those of perplexity.
    let is_wanted = |plot: &Plot| match plot.name {
        "bits-per-byte-by-time" => !is_comparable,
        _ => true,
    };
    let plots = plots.into_iter().filter(is_wanted);
    plots.filter(|plot| !plot.is_empty()).collect()
}

/// A line for each model, with a point for each step.
fn step_series(runs: &[RunData], point: impl Fn(&RunData, &Step) -> (f64, f64)) -> Vec<Series> {
    let line = |run: &RunData| run.steps.iter().map(|step| point(run, step)).collect();
    series(runs, false, line)
}

/// A line for each model, with a marked point for each validation.
fn valid_series(runs: &[RunData], point: impl Fn(&Valid) -> (f64, f64)) -> Vec<Series> {
    series(runs, true, |run| run.curve().map(&point).collect())
}

/// A line for each model. That of a model with several seeds is the mean of its complete runs, with a band from the lowest to the
/// highest. If none is complete, it is the mean of all.
fn series(
    runs: &[RunData],
    marked: bool,
    line: impl Fn(&RunData) -> Vec<(f64, f64)>,
) -> Vec<Series> {
    let of_model = |runs: Vec<&RunData>| {
        let shown = complete_or_all(&runs, |run| run.is_complete());
        let lines = shown.into_iter().map(|run| line(run)).collect();
        let name = runs[0].model.as_ref().filter(|_| runs.len() > 1);
        let (points, band) = mean_line(lines);
        Series {
            name: name.unwrap_or(&runs[0].label).clone(),
            points,
            band,
            marked,
        }
    };
    groups(runs).into_iter().map(of_model).collect()
}

/// The speed of each run, averaged over intervals: that of single steps varies too much.
fn speed_series(runs: &[RunData]) -> Vec<Series> {
    /// Number of intervals of a run.
    const INTERVALS: f64 = 120.0;
    let line = |run: &RunData| {
        let interval = run.seconds() / INTERVALS;
        let (mut points, mut last_seconds, mut last_words) = (Vec::new(), 0.0, 0);
        for step in &run.steps {
            let words = run.words_at(step);
            if step.seconds - last_seconds >= interval && words > last_words {
                let speed = (words - last_words) as f64 / (step.seconds - last_seconds);
                points.push(((step.seconds + last_seconds) / 2.0, speed));
                (last_seconds, last_words) = (step.seconds, words);
            }
        }
        points
    };
    series(runs, false, line)
}
