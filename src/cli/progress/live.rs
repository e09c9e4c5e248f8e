//! The progress of work with a known number of steps.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::messages::note;
use super::interval::INTERVAL;

/// A live line on a terminal, a plain line now and then elsewhere, nothing when quiet.
pub(in crate::cli) struct Live {
    what: &'static str,
    bar: Option<ProgressBar>,
    /// When the last plain line was printed. None: no plain lines.
    last: Option<Mutex<Instant>>,
}

impl Live {
    /// Shows work with the name `what`.
    pub fn new(what: &'static str, quiet: bool) -> Live {
        let is_live = !quiet && std::io::stderr().is_terminal();
        let bar = is_live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:20} {msg} {pos}/{len}  ETA {eta}")
                .expect("a valid template");
            bar.set_style(style.progress_chars("=> "));
            bar.set_message(what);
            bar
        });
        Live {
            what,
            bar,
            last: (!quiet && !is_live).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Shows that `done` of `total` steps are done.
    pub fn show(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            // Calls of several threads may arrive out of order.
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

    /// Same as [`Live::show`], with the name of the current step.
    pub fn show_named(&self, name: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(name.to_owned());
        }
        self.show(done, total);
    }

    /// Removes the live line.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
