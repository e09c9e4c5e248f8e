//! The progress of a comparison: a live line for each model on a terminal, plain lines elsewhere.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::messages::{shown, terminal_width};
use crate::cli::progress::{INTERVAL, UnigramModel, bits_of, took_of};
use crate::job::Event;
use crate::job::comparison::Model;
use crate::numbers::{decimal, duration, grouped, rate};
use crate::printable::printable_lines;

/// Shows the events of several runs.
pub struct Display {
    quiet: bool,
    labels: Vec<String>,
    /// What is before a plan of validations: the first model with the same tokens, if models differ in these; otherwise nothing.
    before_plans: Vec<String>,
    /// The unit of the speed of each model.
    units: Vec<&'static str>,
    live: Option<(MultiProgress, Vec<ProgressBar>)>,
    /// When the last plain line of each model was printed.
    last: Vec<Option<Instant>>,
    /// Seconds of training that each model has left.
    left: Vec<f64>,
    /// Seconds of training of each model, if the budget is in seconds.
    seconds: f64,
    /// The notes that were printed.
    said: BTreeSet<String>,
    unigram: UnigramModel,
}

impl Display {
    /// A display for these models.
    pub fn new(models: &[Model], quiet: bool) -> Display {
        let labels: Vec<String> = models.iter().map(|model| model.label.clone()).collect();
        let live = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let longest = labels.iter().map(|label| label.chars().count()).max();
            let room = longest.unwrap_or(0).min(terminal_width() / 3);
            let bar = if terminal_width() < 100 {
                ""
            } else {
                "{bar:16} "
            };
            let template = format!("{{prefix:{room}!}}  {bar}{{wide_msg}}");
            let style = ProgressStyle::with_template(&template).expect("a valid template");
            let style = style.progress_chars("=> ");
            let bars = labels.iter().map(|label| {
                let bar = all.add(ProgressBar::new(1000));
                bar.set_style(style.clone());
                bar.set_prefix(label.clone());
                bar.set_message("waiting");
                bar
            });
            let bars = bars.collect();
            (all, bars)
        });
        let has_one_text = models
            .iter()
            .all(|model| model.config.data == models[0].config.data);
        let before_plan = |model: &Model| {
            if has_one_text {
                String::new()
            } else {
                let mut models = models.iter();
                let first = models.find(|other| other.config.data == model.config.data);
                format!("{}: ", first.unwrap_or(model).row())
            }
        };
        Display {
            quiet,
            before_plans: models.iter().map(before_plan).collect(),
            units: models
                .iter()
                .map(|model| model.config.data.tokens.unit())
                .collect(),
            seconds: models[0].config.train.seconds,
            unigram: UnigramModel::new(&models[0].config.data),
            last: vec![None; labels.len()],
            left: vec![f64::NAN; labels.len()],
            labels,
            live,
            said: BTreeSet::new(),
        }
    }

    /// The seconds that all models together have left. For a model that has not started, this assumes the budget
    /// or, if that is not in seconds, the mean of the others.
    fn all_left(&self) -> f64 {
        let known: Vec<f64> = self
            .left
            .iter()
            .copied()
            .filter(|x| x.is_finite())
            .collect();
        let waiting = (self.left.len() - known.len()) as f64;
        let sum: f64 = known.iter().sum();
        let each = if self.seconds > 0.0 {
            self.seconds
        } else {
            sum / known.len().max(1) as f64
        };
        sum + waiting * each
    }

    /// Prints a warning above the live lines.
    pub fn warn(&self, text: &str) {
        let warn = || tracing::warn!("{text}");
        match &self.live {
            Some((all, _)) => all.suspend(warn),
            None => warn(),
        }
    }

    fn line(&self, text: &str) {
        match &self.live {
            Some((all, _)) => {
                // If standard error is closed, nobody reads the message.
                let _ = all.println(printable_lines(text));
            }
            None if !self.quiet => {
                let _ = writeln!(std::io::stderr(), "{}", shown(text));
            }
            None => {}
        }
    }

    /// Prints a text, unless it was printed before.
    fn once(&mut self, text: String) {
        if !self.said.contains(&text) {
            self.line(&text);
            self.said.insert(text);
        }
    }

    /// Shows the state of model `k`.
    fn now(&mut self, k: usize, text: &str, done: Option<f64>) {
        let label = &self.labels[k];
        match &self.live {
            Some((_, bars)) => {
                bars[k].set_message(text.to_owned());
                if let Some(done) = done {
                    bars[k].set_position((1000.0 * done) as u64);
                }
            }
            None => {
                let is_due = |last: Instant| last.elapsed() >= INTERVAL;
                if self.last[k].is_none_or(is_due) {
                    self.last[k] = Some(Instant::now());
                    self.line(&format!("{label}: {text}"));
                }
            }
        }
    }

    /// Shows an event of model `k`.
    pub fn show(&mut self, k: usize, event: Event) {
        let unigram = self.unigram.beside(&event);
        match event {
            Event::Step {
                step,
                loss,
                words_per_second,
                done,
                left,
                ..
            } => {
                self.left[k] = left;
                let left = duration(self.all_left());
                let speed = format!("{} {}", rate(words_per_second), self.units[k]);
                let text = if self.live.is_some() && terminal_width() < 100 {
                    format!("step {step}  loss {loss:.3}  all {left}")
                } else {
                    format!("step {step}  loss {loss:.3}  {speed}  ETA of all {left}")
                };
                self.now(k, &text, Some(done));
            }
            Event::Validating { done, total } => {
                self.now(k, &format!("validating {done}/{total}"), None);
            }
            Event::Valid {
                step,
                perplexity,
                bits_per_byte,
                unknown,
                on_all,
                took,
                ..
            } => {
                let (label, took) = (&self.labels[k], took_of(took));
                let on_all = on_all.map_or_else(String::new, |targets| {
                    format!("  on all {} targets", grouped(targets))
                });
                self.line(&format!(
                    "{label}: step {step}  validation perplexity {}{}{unigram}{on_all}{took}",
                    decimal(perplexity),
                    bits_of(bits_per_byte, unknown)
                ));
            }
            // The plan is the same for all models with the same tokens, its cost is not.
            Event::Validations { text, costs } => {
                self.once(format!("{}{text}", self.before_plans[k]));
                if !costs.is_empty() {
                    self.line(&format!("{}: {costs}", self.labels[k]));
                }
            }
            Event::Skipped { step, loss_scale } => {
                let label = &self.labels[k];
                self.line(&format!(
                    "{label}: step {step} was skipped: gradients too large for f16 at a loss scale of {loss_scale}"
                ));
            }
            // Most notes are the same for all models. Each is printed once.
            Event::Note { text } => self.once(text),
            Event::Warning { text } => self.warn(&format!("{}: {text}", self.labels[k])),
            Event::Device { .. }
            | Event::Working { .. }
            | Event::Worked { .. }
            | Event::Start { .. }
            | Event::Checkpoint { .. } => {}
        }
    }

    /// Removes the live lines.
    pub fn end(&self) {
        if let Some((all, bars)) = &self.live {
            bars.iter().for_each(ProgressBar::finish_and_clear);
            let _ = all.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// If standard error is not a terminal, a long validation prints a line at intervals, as training does.
    #[test]
    fn a_validation_shows_its_progress_in_plain_lines() {
        let sets = ["data.train=a.txt".to_owned()];
        let model = Model {
            label: "one".to_owned(),
            model: None,
            folder: "one".to_owned(),
            file: "one.toml".into(),
            config: Config::parse("", "test", &std::env::temp_dir(), &sets).unwrap(),
        };
        let mut display = Display::new(&[model], true);
        display.show(0, Event::Validating { done: 1, total: 9 });
        let first = display.last[0].expect("a line");
        display.show(0, Event::Validating { done: 2, total: 9 });
        assert_eq!(display.last[0], Some(first), "too early for another");
        let before = Instant::now().checked_sub(INTERVAL);
        display.last[0] = before;
        display.show(0, Event::Validating { done: 3, total: 9 });
        assert_ne!(display.last[0], before);
    }
}
