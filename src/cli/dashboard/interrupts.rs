//! Signals that arrive while the dashboard has the terminal.

#[cfg(unix)]
mod unix {
    use std::io;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;

    use crate::train::watch::Stop;

    /// SIGINT and SIGTERM, as numbers. SIGHUP (the terminal closes) and SIGQUIT count as SIGTERM.
    pub struct Interrupts(Signals);

    impl Interrupts {
        pub fn new() -> io::Result<Interrupts> {
            Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).map(Interrupts)
        }

        /// Those that arrived since the last call.
        pub fn pending(&mut self) -> Vec<usize> {
            let number = |signal| match signal {
                SIGINT => signal as usize,
                _ => Stop::TERMINATE,
            };
            self.0.pending().map(number).collect()
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;

    /// Without signals, only keys stop a run.
    pub struct Interrupts;

    impl Interrupts {
        pub fn new() -> io::Result<Interrupts> {
            Ok(Interrupts)
        }

        pub fn pending(&mut self) -> Vec<usize> {
            Vec::new()
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::Interrupts;
#[cfg(unix)]
pub(super) use unix::Interrupts;
