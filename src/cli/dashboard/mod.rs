//! `wlstm train --tui`: a dashboard of the run on the terminal.
//!
//! A separate thread draws on standard error. The terminal is restored however the run ends: after the last step, by an error,
//! a panic, `q` or a signal. A second `q` or signal, more than a second after the first, ends the program at once.

mod curve;
mod draw;
mod handle;
mod interrupts;
mod screen;
mod state;
mod terminal;

pub(super) use handle::Dashboard;
