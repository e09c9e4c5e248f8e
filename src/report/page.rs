//! The report: one page with everything in it, for a browser, a phone and paper.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::comparison::{comparison, unknown};
use super::escaped;
use super::plot::{Axis, Plot, Series, Unit, style};
use super::run::{Compared, RunData, compared};
use super::table::{Column, Table};
use crate::config::{Softmax, Tokens};
use crate::numbers::{bytes, duration, grouped};

/// The plots of some runs: those that show nothing are left out.
pub fn plots(runs: &[RunData]) -> Vec<Plot> {
    let is_sampled = runs
        .iter()
        .any(|run| matches!(run.config.softmax, Softmax::Sampled { .. }));
    let loss = if is_sampled {
        "training loss (sampled)"
    } else {
        "training loss"
    };
    let words = match runs
        .iter()
        .all(|run| run.config.data.tokens == Tokens::Characters)
    {
        true => "characters",
        false => "words",
    };
    type Point<T> = fn(&RunData, &T) -> (f64, f64);
    let of_steps = |point: Point<crate::metrics::Step>| -> Vec<Series> {
        runs.iter()
            .map(|run| Series {
                name: run.label.clone(),
                points: run.steps.iter().map(|step| point(run, step)).collect(),
                marked: false,
            })
            .collect()
    };
    let of_valids = |point: Point<crate::metrics::Valid>| -> Vec<Series> {
        runs.iter()
            .map(|run| Series {
                name: run.label.clone(),
                points: run.valids.iter().map(|valid| point(run, valid)).collect(),
                marked: true,
            })
            .collect()
    };
    let number = |label: &str| Axis::linear(label, Unit::Number).from_zero();
    let time = || Axis::linear("time of training", Unit::Seconds).from_zero();
    let plot = |name, title: String, x, y, series| Plot {
        name,
        title,
        x,
        y,
        series,
    };
    let plots = vec![
        plot(
            "loss-by-step",
            "Training loss by step".to_owned(),
            number("steps"),
            Axis::log(loss),
            of_steps(|_, step| (step.step as f64, step.loss)),
        ),
        plot(
            "loss-by-words",
            format!("Training loss by {words}"),
            number(words),
            Axis::log(loss),
            of_steps(|run, step| (run.words_at(step) as f64, step.loss)),
        ),
        plot(
            "loss-by-time",
            "Training loss by time".to_owned(),
            time(),
            Axis::log(loss),
            of_steps(|_, step| (step.seconds, step.loss)),
        ),
        plot(
            "perplexity-by-step",
            "Validation perplexity by step".to_owned(),
            number("steps"),
            Axis::log("perplexity"),
            of_valids(|_, valid| (valid.step as f64, valid.perplexity)),
        ),
        plot(
            "perplexity-by-time",
            "Validation perplexity by time".to_owned(),
            time(),
            Axis::log("perplexity"),
            of_valids(|_, valid| (valid.seconds, valid.perplexity)),
        ),
        plot(
            "speed",
            format!("{}{} a second", words[..1].to_uppercase(), &words[1..]),
            time(),
            number(&format!("{words} a second")),
            speeds(runs),
        ),
    ];
    plots.into_iter().filter(|plot| !plot.is_empty()).collect()
}

/// The speed over parts of the time: of single steps it jumps.
fn speeds(runs: &[RunData]) -> Vec<Series> {
    /// Parts of the time.
    const PARTS: f64 = 120.0;
    let series = |run: &RunData| {
        let part = run.seconds() / PARTS;
        let (mut points, mut before) = (Vec::new(), (0.0, 0));
        for step in &run.steps {
            let words = run.words_at(step);
            if step.seconds - before.0 >= part && words > before.1 {
                let speed = (words - before.1) as f64 / (step.seconds - before.0);
                points.push(((step.seconds + before.0) / 2.0, speed));
                before = (step.seconds, words);
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

/// The page of some runs.
pub fn page(title: &str, runs: &[RunData]) -> String {
    let mut body = String::new();
    let _ = writeln!(body, "<h1>{}</h1>", escaped(title));
    let devices: Vec<String> = runs
        .iter()
        .flat_map(|run| run.record.devices.clone())
        .collect();
    let mut distinct: Vec<&String> = Vec::new();
    for device in &devices {
        if !distinct.contains(&device) {
            distinct.push(device);
        }
    }
    let devices: Vec<String> = distinct.iter().map(|device| escaped(device)).collect();
    if !devices.is_empty() {
        let _ = writeln!(
            body,
            "<p class=\"device\">Trained on {}.</p>",
            devices.join("; ")
        );
    }
    let systems: BTreeSet<&str> = runs.iter().map(|run| run.system.as_str()).collect();
    for system in systems.into_iter().filter(|system| !system.is_empty()) {
        let _ = writeln!(body, "<p class=\"device\">{}.</p>", escaped(system));
    }
    let lines = compared(runs);
    if runs.len() > 1 {
        body += "<h2>Comparison</h2>\n";
        let _ = writeln!(
            body,
            "<div class=\"wide\">{}</div>",
            // A phone has room for two or three.
            comparison(&lines)
                .with_first(&["perplexity", lines[0].unit, "times"])
                .html()
        );
        body += "<p class=\"note\">times: words a second over those of the first model; by FLOPs: what that would be if only the \
                 floating-point operations of a word counted; reached: the share of it. Perplexities are the best of each run, of the \
                 validation text, beside the last ones. Memory: bytes that training \
                 and validation take of the device.</p>\n";
    }
    body += "<h2>Runs</h2>\n";
    let _ = writeln!(
        body,
        "<div class=\"wide\">{}</div>",
        facts(runs, &lines).html()
    );
    if lines.iter().any(|line| line.unlearned) {
        body += "<p class=\"note\">None learned: many targets of the validation are unknown words, but no word that was trained on was. \
                 Such a perplexity means little; <code>data.min_count</code> or <code>data.vocab_size</code> makes rare words unknown.</p>\n";
    }
    let plots = plots(runs);
    if !plots.is_empty() {
        body += "<h2>Curves</h2>\n<div class=\"plots\">\n";
        for plot in plots {
            let _ = writeln!(body, "<figure>{}</figure>", plot.inline());
        }
        body += "</div>\n";
    }
    if runs.iter().any(|run| run.sample.is_some()) {
        body += "<h2>Samples</h2>\n";
        for run in runs {
            if let Some(sample) = &run.sample {
                let _ = writeln!(
                    body,
                    "<h3>{}</h3>\n<blockquote><pre>{}</pre></blockquote>",
                    escaped(&run.label),
                    escaped(sample)
                );
            }
        }
    }
    body += "<h2>Configuration</h2>\n";
    for run in runs {
        let _ = writeln!(
            body,
            "<details><summary>{}</summary>\n<pre>{}</pre></details>",
            escaped(&run.label),
            escaped(&run.toml)
        );
    }
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

/// What there is to say of each run.
fn facts(runs: &[RunData], lines: &[Compared]) -> Table {
    let has_memory = runs.iter().any(|run| !run.memory.is_empty());
    let has_skipped = runs.iter().any(|run| run.skipped > 0);
    let has_unknown = lines.iter().any(|line| line.unknown > Some(0.0));
    // What is asked for first stands first: a phone shows no more.
    let mut columns = vec![
        Column::words("run"),
        Column::numbers("best perplexity"),
        Column::numbers("last"),
    ];
    columns.extend(has_unknown.then(|| Column::numbers("unknown words")));
    columns.push(Column::words("state"));
    let numbers = ["steps", "time", "parameters", "FLOPs a word"];
    columns.extend(numbers.map(Column::numbers));
    columns.extend(has_memory.then(|| Column::numbers("memory")));
    columns.extend(has_skipped.then(|| Column::numbers("skipped steps")));
    let mut table = Table::new(columns);
    for (run, line) in runs.iter().zip(lines) {
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
        cells.extend(has_unknown.then(|| unknown(line.unknown, line.unlearned)));
        cells.extend([
            state,
            grouped(run.step()),
            duration(run.seconds()),
            grouped(run.parameters),
            grouped(run.cost().flops_per_word),
        ]);
        if has_memory {
            cells.push(match run.memory.is_empty() {
                true => "-".to_owned(),
                false => bytes(run.memory.iter().sum()),
            });
        }
        if has_skipped {
            cells.push(grouped(run.skipped));
        }
        table.row(cells);
    }
    table
}

/// The rules of style of the page. No font and no picture is fetched.
const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:0 auto;padding:1rem}\n\
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}\n\
.note,.device,footer{font-size:.85rem;opacity:.8}\n\
.wide{overflow-x:auto}\n\
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n\
th,td{padding:.3rem .5rem;border-bottom:1px solid var(--faint);text-align:left;white-space:nowrap}\n\
th.number,td.number{text-align:right}\n\
th:first-child,td:first-child{position:sticky;left:0;background:var(--paper)}\n\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:1rem}\n\
figure{margin:0}svg{width:100%;height:auto;display:block}\n\
pre{font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0}\n\
blockquote{margin:0;padding:.25rem .9rem;border-left:3px solid var(--faint)}\n\
details{border:1px solid var(--faint);border-radius:6px;padding:.4rem .8rem;margin:.5rem 0}summary{cursor:pointer}\n\
footer{margin:2rem 0 1rem}\n\
@media print{body{max-width:none;font-size:11pt}h2,h3{break-after:avoid}figure,blockquote,tr{break-inside:avoid}\
.plots{grid-template-columns:1fr 1fr}.wide{overflow:visible}table{font-size:8pt}th,td{padding:.2rem .35rem;white-space:normal}\
details::details-content{content-visibility:visible;height:auto}pre{font-size:8pt}}\n";
