//! Signals that arrive while the dashboard has the terminal.

/// A request to save and stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// By a signal, which has this number, or by a key. A second one ends the program without saving.
    Stop(usize),
    /// The terminal was closed. The system and the shell can both send a signal then, so a second one has no effect.
    HangUp,
}

#[cfg(unix)]
mod unix {
    use std::io;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;

    use super::Request;
    use crate::train::watch::Stop;

    /// SIGINT, SIGTERM, SIGQUIT, and SIGHUP (the terminal closes).
    pub struct Interrupts(Signals);

    impl Interrupts {
        pub fn new() -> io::Result<Interrupts> {
            Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).map(Interrupts)
        }

        /// Those that arrived since the last call.
        pub fn pending(&mut self) -> Vec<Request> {
            let request = |signal| match signal {
                SIGINT => Request::Stop(signal as usize),
                SIGHUP => Request::HangUp,
                _ => Request::Stop(Stop::TERMINATE),
            };
            self.0.pending().map(request).collect()
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;

    use super::Request;

    /// Without signals, only keys stop a run.
    pub struct Interrupts;

    impl Interrupts {
        pub fn new() -> io::Result<Interrupts> {
            Ok(Interrupts)
        }

        pub fn pending(&mut self) -> Vec<Request> {
            Vec::new()
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::Interrupts;
#[cfg(unix)]
pub(super) use unix::Interrupts;
