//! Standard error: messages to the user. While the dashboard has the terminal, it receives them instead.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wrap::wrap;
use crate::printable::printable_lines;

/// Lines held for the dashboard, if there is one.
static HELD: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// The maximum number of lines that are held. If there are more, the oldest are dropped.
const MAX_HELD: usize = 1000;

fn held() -> MutexGuard<'static, Option<VecDeque<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a message, unless `quiet`. Errors are ignored: if standard error is closed, nobody reads the message.
pub(super) fn note(quiet: bool, text: &str) {
    if !quiet {
        let _ = Messages.write_all(format!("{}\n", shown(text)).as_bytes());
    }
}

/// A message for standard error. Control characters are always escaped, because logs are read on terminals later. On a
/// terminal, lines are wrapped.
pub(super) fn shown(text: &str) -> String {
    let text = printable_lines(text);
    let is_held = held().is_some();
    if io::stderr().is_terminal() && !is_held {
        wrap(&text, terminal_width())
    } else {
        text.into_owned()
    }
}

/// The columns of the terminal.
pub(super) fn terminal_width() -> usize {
    console::Term::stderr().size().1.into()
}

/// Writes to standard error, or keeps the lines for the dashboard.
pub(super) struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *held() {
            None => io::stderr().write(bytes),
            Some(lines) => {
                let text = String::from_utf8_lossy(bytes);
                for line in console::strip_ansi_codes(&text).lines() {
                    if lines.len() == MAX_HELD {
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

/// Starts holding messages for the dashboard.
pub(super) fn hold() {
    *held() = Some(VecDeque::new());
}

/// Sends messages to standard error again.
pub(super) fn release() {
    *held() = None;
}

/// Takes the messages held since the last call.
pub(super) fn take_held() -> Vec<String> {
    match &mut *held() {
        None => Vec::new(),
        Some(lines) => lines.drain(..).collect(),
    }
}
