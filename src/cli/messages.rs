//! Where messages go: to standard error, or to the dashboard while there is one.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines that wait for the dashboard, if there is one.
static WAITING: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// The most lines that wait.
const MOST: usize = 1000;

fn waiting() -> MutexGuard<'static, Option<VecDeque<String>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A writer of logs and messages.
pub struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *waiting() {
            None => io::stderr().write(bytes),
            Some(lines) => {
                let text = String::from_utf8_lossy(bytes);
                for line in console::strip_ansi_codes(&text).lines() {
                    if lines.len() == MOST {
                        lines.pop_front();
                    }
                    lines.push_back(line.to_owned());
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Has messages wait, or go to standard error again.
pub(super) fn wait(wait: bool) {
    *waiting() = wait.then(VecDeque::new);
}

/// The messages that have come since the last call.
pub(super) fn take() -> Vec<String> {
    match &mut *waiting() {
        None => Vec::new(),
        Some(lines) => lines.drain(..).collect(),
    }
}
