//! The plots of a report: loss, perplexity and speed over steps, words and time.

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
            name: "speed",
            title: format!("{}{} per second", words[..1].to_uppercase(), &words[1..]),
            x: time(),
            y: number(&format!("{words} per second")),
            series: speed_series(runs),
        },
    ];
    plots.into_iter().filter(|plot| !plot.is_empty()).collect()
}

/// A line for each run, with a point for each step.
fn step_series(runs: &[RunData], point: impl Fn(&RunData, &Step) -> (f64, f64)) -> Vec<Series> {
    let series = |run: &RunData| Series {
        name: run.label.clone(),
        points: run.steps.iter().map(|step| point(run, step)).collect(),
        marked: false,
    };
    runs.iter().map(series).collect()
}

/// A line for each run, with a marked point for each validation.
fn valid_series(runs: &[RunData], point: impl Fn(&Valid) -> (f64, f64)) -> Vec<Series> {
    let series = |run: &RunData| Series {
        name: run.label.clone(),
        points: run.curve().map(&point).collect(),
        marked: true,
    };
    runs.iter().map(series).collect()
}

/// The speed of each run, averaged over intervals: that of single steps varies too much.
fn speed_series(runs: &[RunData]) -> Vec<Series> {
    /// Number of intervals of a run.
    const INTERVALS: f64 = 120.0;
    let series = |run: &RunData| {
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
        Series {
            name: run.label.clone(),
            points,
            marked: false,
        }
    };
    runs.iter().map(series).collect()
}
