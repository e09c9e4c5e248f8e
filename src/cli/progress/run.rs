//! What a run shows while it trains: one live line on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages::{note, terminal_width};
use crate::config::{Config, DataConfig};
use crate::numbers::{duration, grouped, percent, rate};
use crate::train::watch::Event;

/// Seconds between plain lines.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Shows the events of a run.
pub(super) struct Progress {
    quiet: bool,
    /// The live line, on a terminal.
    bar: Option<ProgressBar>,
    /// When the last plain line was printed.
    last: Option<Instant>,
    /// What is counted.
    unit: &'static str,
    /// What the loss of a step is.
    loss: &'static str,
    epochs: u64,
    /// The seconds to go, and when that was said.
    left: (f64, Instant),
}

impl Progress {
    /// For a run of this configuration.
    pub fn new(config: &Config, quiet: bool) -> Progress {
        let live = !quiet && std::io::stderr().is_terminal();
        let bar = live.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(10));
            // The bar is for those who have room for it.
            let template = if terminal_width() < 100 {
                "{wide_msg}"
            } else {
                "{bar:16} {wide_msg}"
            };
            let style = ProgressStyle::with_template(template).expect("a good template");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Progress {
            quiet,
            bar,
            last: None,
            unit: config.data.tokens.unit(),
            loss: match config.softmax {
                crate::config::Softmax::Full => "loss",
                crate::config::Softmax::Sampled { .. } => "sampled loss",
            },
            epochs: config.train.epochs,
            left: (f64::INFINITY, Instant::now()),
        }
    }

    /// Says what is wrong, though it stops nothing.
    pub fn warn(&self, text: &str) {
        let warn = || tracing::warn!("{text}");
        match &self.bar {
            Some(bar) => bar.suspend(warn),
            None => warn(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => note(self.quiet, text),
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Start {
                devices,
                parameters,
                resumed,
                epoch_steps,
                ..
            } => {
                let from = if resumed > 0 {
                    format!(", going on after step {resumed}")
                } else {
                    String::new()
                };
                self.line(&format!(
                    "Training {} parameters on {}, about {} steps an epoch{from}.",
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
                self.left = (left, Instant::now());
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
                "step {step} was skipped: gradients too large for f16 at a loss scale of {loss_scale}; going on with {}",
                loss_scale / 2.0
            )),
            Event::Validating { done, total } => {
                // A validation is in what was said to go.
                let (left, since) = self.left;
                let left = duration(left - since.elapsed().as_secs_f64());
                let text = format!("validating {done}/{total}  ETA {left}");
                if let Some(bar) = &self.bar {
                    bar.set_message(text);
                } else if self.last.is_some_and(|last| last.elapsed() >= INTERVAL) {
                    self.last = Some(Instant::now());
                    self.line(&text);
                }
            }
            Event::Valid {
                step,
                epoch,
                seconds,
                perplexity,
                unknown,
                best,
                ..
            } => {
                let mark = if best { "  (best)" } else { "" };
                let unknown = match unknown {
                    0.0 => String::new(),
                    share => format!("  unknown words {}", percent(share)),
                };
                let trained = duration(seconds);
                self.line(&format!(
                    "step {step}  epoch {epoch}  validation perplexity {perplexity:.2}{mark}{unknown}  after {trained}"
                ));
            }
            Event::Checkpoint { path } => tracing::info!(path = %path.display(), "checkpoint"),
        }
    }

    /// Takes the live line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Says once where perplexities mean little: of many unknown words, where a model has met none in training.
pub(super) struct UnknownWords {
    /// What makes some unknown.
    remedy: &'static str,
    said: bool,
    /// Their share in the last validation, if it means little.
    last: Option<f64>,
}

impl UnknownWords {
    /// For models of this text.
    pub fn new(data: &DataConfig) -> UnknownWords {
        UnknownWords {
            remedy: match data.vocab {
                Some(_) => {
                    "leave rare words out of the vocabulary, as `wlstm vocab --min-count 2` does"
                }
                None => {
                    "make the rarest words of the training text unknown, with --set data.min_count=2"
                }
            },
            said: false,
            last: None,
        }
    }

    /// What is to be said of an event.
    pub fn warning_of(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Valid {
                unknown, unlearned, ..
            } => self.warning("validation", *unknown, *unlearned),
            _ => None,
        }
    }

    /// What is to be said of a text of which this share of the targets is unknown.
    pub fn warning(&mut self, what: &str, share: f64, unlearned: bool) -> Option<String> {
        self.last = unlearned.then_some(share);
        let is_news = unlearned && !self.said;
        self.said |= unlearned;
        is_news.then(|| {
            format!(
                "no word that was trained on so far is unknown, so that a model cannot learn when to expect an unknown word, but {} of the \
                 targets of the {what} are, and its perplexity means little: {}",
                percent(share),
                self.remedy
            )
        })
    }

    /// A line of the same for the end, if the last perplexity means little.
    pub fn summary(&self) -> String {
        match self.last {
            Some(share) => format!(
                "unknown words {} of its targets, none of those trained on: it means little\n",
                percent(share)
            ),
            None => String::new(),
        }
    }
}

/// Work that is done in steps: a live line on a terminal, a plain line now and then elsewhere, nothing when quiet.
pub(super) struct Live {
    what: &'static str,
    bar: Option<ProgressBar>,
    /// When the last plain line was printed, where there are such.
    last: Option<Mutex<Instant>>,
}

impl Live {
    /// For the work called `what`.
    pub fn new(what: &'static str, quiet: bool) -> Live {
        let live = !quiet && std::io::stderr().is_terminal();
        let bar = live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:20} {msg} {pos}/{len}  ETA {eta}")
                .expect("a good template");
            bar.set_style(style.progress_chars("=> "));
            bar.set_message(what);
            bar
        });
        Live {
            what,
            bar,
            last: (!quiet && !live).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Shows that `done` of `total` steps are done.
    pub fn show(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            // From several threads, what is older may come later.
            bar.set_position(done.max(bar.position()));
        }
        if let Some(last) = &self.last {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= INTERVAL {
                *last = Instant::now();
                note(false, &format!("{} {done}/{total}", self.what));
            }
        }
    }

    /// The same, with what is done now.
    pub fn show_named(&self, name: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(name.to_owned());
        }
        self.show(done, total);
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
