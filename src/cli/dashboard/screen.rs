//! The thread that draws the dashboard and reads keys.

use std::io::Stderr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};

use super::super::messages;
use super::super::signals::ECHO;
use super::draw::draw;
use super::interrupts::{Interrupts, Request};
use super::state::State;
use super::terminal::{self, Waited};
use crate::error::Kind;
use crate::train::watch::{Event, Stop};

/// The time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// The number of SIGINT.
const INTERRUPT: usize = 2;

/// The state of the thread.
pub(super) struct Screen {
    pub state: State,
    pub terminal: Terminal<CrosstermBackend<Stderr>>,
    pub events: Receiver<Event>,
    pub stop: Stop,
    pub interrupts: Interrupts,
    /// When the run was first asked to stop.
    pub asked: Option<Instant>,
    /// Whether the terminal was closed.
    pub is_gone: bool,
}

impl Screen {
    /// Draws until the run ends. Returns the messages that arrived meanwhile.
    pub fn run(mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let is_over = self.receive();
            let new = messages::take_held();
            all.extend(new.iter().cloned());
            self.state.log.extend(new);
            if is_over {
                all.append(&mut messages::take_held());
                return all;
            }
            self.state.is_stopping = self.asked.is_some();
            for request in self.interrupts.pending() {
                self.ask(request);
            }
            if self.is_gone {
                std::thread::sleep(FRAME);
                continue;
            }
            // A frame that fails is drawn again next time.
            let state = &self.state;
            let _ = self.terminal.draw(|frame| draw(state, frame));
            match terminal::wait(FRAME) {
                Waited::Input => self.read_keys(),
                Waited::Nothing => {}
                Waited::HangUp => {
                    self.is_gone = true;
                    self.ask(Request::HangUp);
                }
            }
        }
    }

    /// Applies the events that have arrived. Returns whether the run has ended.
    fn receive(&mut self) -> bool {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.state.update(event),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn read_keys(&mut self) {
        while let Ok(true) = event::poll(Duration::ZERO) {
            let Ok(Input::Key(key)) = event::read() else {
                continue;
            };
            let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
            let stops = match key.code {
                KeyCode::Char('q') | KeyCode::Esc => true,
                KeyCode::Char('c') => is_control,
                _ => false,
            };
            if stops && key.kind == KeyEventKind::Press {
                self.ask(Request::Stop(INTERRUPT));
            }
        }
    }

    /// Asks the run to save and stop. A second request to stop, later than [`ECHO`], ends the program.
    fn ask(&mut self, request: Request) {
        match (self.asked, request) {
            (None, request) => {
                self.asked = Some(Instant::now());
                let signal = match request {
                    Request::Stop(signal) => signal,
                    Request::HangUp => Stop::TERMINATE,
                };
                self.stop.0.store(signal, Ordering::SeqCst);
            }
            (Some(first), Request::Stop(_)) if first.elapsed() > ECHO => {
                terminal::restore();
                std::process::exit(Kind::Other.exit_code().into());
            }
            (Some(_), _) => {}
        }
    }
}
