//! The dashboard as the command sees it: opened, sent events, closed.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::super::messages;
use super::interrupts::Interrupts;
use super::screen::Screen;
use super::state::State;
use super::terminal;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::metrics::Line;
use crate::printable::printable;
use crate::train::watch::{Event, Stop};

/// The dashboard of a run.
pub(in crate::cli) struct Dashboard {
    events: Option<Sender<Event>>,
    /// Returns the messages that were printed meanwhile.
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Dashboard {
    /// Checks that there is a terminal.
    ///
    /// # Errors
    ///
    /// Usage, if there is none.
    pub fn check_terminal() -> Result<()> {
        terminal::check()
    }

    /// Takes over the terminal. `q` and signals ask the run to stop. `earlier`: the metrics of the resumed run.
    ///
    /// # Errors
    ///
    /// Same as [`Dashboard::check_terminal`]; and if the terminal cannot be used.
    pub fn open(
        title: String,
        config: &Config,
        earlier: Vec<Line>,
        stop: &Stop,
    ) -> Result<Dashboard> {
        terminal::check()?;
        let refused = |error: io::Error| {
            Error::new(Kind::Other, "cannot use the terminal for the dashboard")
                .because(error)
                .help("leave --tui out")
        };
        let interrupts = Interrupts::new().map_err(refused)?;
        let terminal = terminal::take().map_err(refused)?;
        messages::hold();
        let (sender, events) = channel();
        let screen = Screen {
            state: State::new(printable(&title).into_owned(), config, earlier),
            terminal,
            events,
            stop: stop.clone(),
            interrupts,
            asked: None,
            is_gone: false,
        };
        let thread = std::thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || screen.run())
            .inspect_err(|_| {
                terminal::restore();
                messages::release();
            })
            .map_err(Error::no_thread)?;
        Ok(Dashboard {
            events: Some(sender),
            thread: Some(thread),
        })
    }

    /// Shows an event.
    pub fn show(&self, event: Event) {
        if let Some(events) = &self.events {
            // If the thread has panicked, nothing more is shown.
            let _ = events.send(event);
        }
    }
}

impl Drop for Dashboard {
    /// Restores the terminal and prints the messages that arrived meanwhile.
    fn drop(&mut self) {
        drop(self.events.take());
        let lines = self.thread.take().map(JoinHandle::join);
        terminal::restore();
        messages::release();
        for line in lines.and_then(std::result::Result::ok).unwrap_or_default() {
            messages::note(false, &line);
        }
    }
}
