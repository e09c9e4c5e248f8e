//! The progress of a training run.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::messages::{note, terminal_width};
use super::interval::INTERVAL;
use super::unigram::UnigramModel;
use crate::config::{Config, Softmax};
use crate::numbers::{bits, counted, decimal, duration, grouped, percent, rate};
use crate::printable::printable_lines;
use crate::train::watch::Event;

/// Shows the events of a run.
pub(in crate::cli) struct Progress {
    quiet: bool,
    /// The live line, on a terminal.
    bar: Option<ProgressBar>,
    /// When the last plain line was printed.
    last: Option<Instant>,
    /// Words or characters per second.
    unit: &'static str,
    /// The name of the loss of a step.
    loss: &'static str,
    epochs: u64,
    /// Remaining seconds, and when they were estimated.
    remaining: (f64, Instant),
    unigram: UnigramModel,
    /// The noun for a token: word or character.
    token: &'static str,
}

impl Progress {
    /// For a run of this configuration.
    pub fn new(config: &Config, quiet: bool) -> Progress {
        let is_live = !quiet && std::io::stderr().is_terminal();
        let bar = is_live.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(10));
            // A narrow terminal has no room for a bar.
            let template = if terminal_width() < 100 {
                "{wide_msg}"
            } else {
                "{bar:16} {wide_msg}"
            };
            let style = ProgressStyle::with_template(template).expect("a valid template");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Progress {
            quiet,
            bar,
            last: None,
            unit: config.data.tokens.unit(),
            loss: match config.softmax {
                Softmax::Full | Softmax::Adaptive(_) => "loss",
                Softmax::Sampled { .. } => "sampled loss",
            },
            epochs: config.train.epochs,
            remaining: (f64::INFINITY, Instant::now()),
            unigram: UnigramModel::new(&config.data),
            token: config.data.tokens.noun(),
        }
    }

    /// Prints a warning above the live line.
    pub fn warn(&self, text: &str) {
        let warn = || tracing::warn!("{text}");
        match &self.bar {
            Some(bar) => bar.suspend(warn),
            None => warn(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(printable_lines(text)),
            None => note(self.quiet, text),
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: Event) {
        let unigram = self.unigram.beside(&event);
        match event {
            Event::Start {
                devices,
                parameters,
                resumed,
                epoch_steps,
                ..
            } => {
                let from = if resumed > 0 {
                    format!(", resuming after step {resumed}")
                } else {
                    String::new()
                };
                self.line(&format!(
                    "Training {} parameters on {}, about {} steps per epoch{from}.",
                    grouped(parameters),
                    devices.join(" + "),
                    grouped(epoch_steps)
                ));
            }
            Event::Step {
                step,
                epoch,
                loss,
                words_per_second,
                done,
                left,
                ..
            } => {
                let of = if self.epochs > 0 {
                    format!("/{}", self.epochs)
                } else {
                    String::new()
                };
                let what = self.loss;
                let rate = format!("{} {}", rate(words_per_second), self.unit);
                self.remaining = (left, Instant::now());
                let left = duration(left);
                let text =
                    format!("step {step}  epoch {epoch}{of}  {what} {loss:.3}  {rate}  ETA {left}");
                if let Some(bar) = &self.bar {
                    bar.set_position((done * 1000.0) as u64);
                    bar.set_message(if text.len() < terminal_width() {
                        text
                    } else {
                        format!("step {step}  loss {loss:.3}  {rate}  ETA {left}")
                    });
                } else if step == 1 || self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
                    self.last = Some(Instant::now());
                    self.line(&text);
                }
            }
            Event::Skipped { step, loss_scale } => self.line(&format!(
                "step {step} was skipped: gradients too large for f16 at a loss scale of {loss_scale}; continuing with {}",
                loss_scale / 2.0
            )),
            Event::Validations { text, costs } => {
                let space = if costs.is_empty() { "" } else { " " };
                self.line(&format!("{text}{space}{costs}"));
            }
            Event::Validating { done, total } => {
                // The estimate includes validations.
                let (left, since) = self.remaining;
                let left = duration(left - since.elapsed().as_secs_f64());
                let text = format!("validating {done}/{total}  ETA {left}");
                if let Some(bar) = &self.bar {
                    bar.set_message(text);
                } else if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
                    self.last = Some(Instant::now());
                    self.line(&text);
                }
            }
            Event::Valid {
                step,
                epoch,
                seconds,
                perplexity,
                bits_per_byte,
                unknown,
                best,
                on_all,
                took,
                ..
            } => {
                let mark = if best { "  (best)" } else { "" };
                let bits = bits_of(bits_per_byte, unknown);
                let unknown = match unknown {
                    0.0 => String::new(),
                    share => format!("  unknown {}s {}", self.token, percent(share)),
                };
                let trained = duration(seconds);
                let (took, perplexity) = (took_of(took), decimal(perplexity));
                let line = match on_all {
                    None => format!(
                        "step {step}  epoch {epoch}  validation perplexity {perplexity}{mark}{bits}{unigram}{unknown}  after {trained}{took}"
                    ),
                    Some(targets) => format!(
                        "step {step}  validation perplexity {perplexity}{bits}{unigram}{unknown}  on all {} targets{took}",
                        grouped(targets)
                    ),
                };
                self.line(&line);
            }
            Event::Note { text } => self.line(&text),
            Event::Warning { text } => self.warn(&text),
            // Before training.
            Event::Device { .. } | Event::Working { .. } | Event::Worked { .. } => {}
            Event::Checkpoint { path } => tracing::info!(path = %path.display(), "checkpoint"),
        }
    }

    /// Removes the live line.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The bits per byte of a validation, to append to its line. `unknown`: the share of unknown words.
pub(in crate::cli) fn bits_of(bits_per_byte: Option<f64>, unknown: f64) -> String {
    bits_per_byte.map_or_else(String::new, |found| {
        format!("  {} bits per byte", bits(found, unknown > 0.0))
    })
}

/// The time that a validation took, if it is at least a second.
pub(in crate::cli) fn took_of(seconds: f64) -> String {
    if seconds < 1.0 {
        return String::new();
    }
    format!("  validated in {}", duration(seconds))
}

/// A line about the time of validations, which is not part of the training time.
pub(in crate::cli) fn validation_time(count: u64, seconds: f64) -> String {
    if count == 0 {
        return String::new();
    }
    format!(
        "{} took {} (not included in the training time)\n",
        counted(count, "validation"),
        duration(seconds)
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::messages::{hold, release, take_held};
    use super::*;

    fn config() -> Config {
        let sets = ["data.train=a.txt".to_owned()];
        Config::parse("", "test", &std::env::temp_dir(), &sets).expect("a configuration")
    }

    /// If standard error is not a terminal, a long validation prints a line at intervals.
    #[test]
    fn a_validation_shows_its_progress_in_plain_lines() {
        let mut progress = Progress::new(&config(), false);
        progress.bar = None;
        hold();
        let mut lines = |done, last: Option<Instant>| -> usize {
            progress.last = last;
            progress.show(Event::Validating { done, total: 9 });
            let text = format!("validating {done}/9  ETA");
            let held = take_held();
            held.iter().filter(|line| line.starts_with(&text)).count()
        };
        let counts = [
            lines(1, None),
            lines(2, Some(Instant::now())),
            lines(3, Instant::now().checked_sub(INTERVAL)),
        ];
        release();
        assert_eq!(counts, [1, 0, 1]);
    }
}
