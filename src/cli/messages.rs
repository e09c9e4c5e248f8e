//! Where messages go: to standard error, or to the dashboard while there is one.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines that wait for the dashboard, if there is one.
static WAITING: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// The most lines that wait.
const MOST: usize = 1000;

fn waiting() -> MutexGuard<'static, Option<VecDeque<String>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines that are no longer than `width` columns, broken at spaces; what has none stays whole. A line goes on where its text began,
/// in a list below the text behind the name.
pub fn wrap(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let start = line.len() - line.trim_start().len();
        let name = line[start..].find("  ").map(|end| start + end);
        let behind = name.map(|end| line.len() - line[end..].trim_start().len());
        let indent = behind.filter(|&at| at <= width / 2).unwrap_or(start);
        let indent = " ".repeat(console::measure_text_width(&line[..indent]));
        let options = textwrap::Options::new(width.max(20))
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
            .subsequent_indent(&indent);
        textwrap::wrap(line, options).join("\n")
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// A message as standard error shows it: a terminal gets lines that fit.
pub fn shown(text: &str) -> String {
    let is_waited_for = waiting().is_some();
    match io::stderr().is_terminal() && !is_waited_for {
        true => wrap(text, super::progress::width()),
        false => text.to_owned(),
    }
}

/// Warnings as people read them: no time, no place in the program.
pub struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = match *event.metadata().level() {
            Level::ERROR => "error: ".to_owned(),
            Level::WARN => "warning: ".to_owned(),
            _ => String::new(),
        };
        context.format_fields(Writer::new(&mut text), event)?;
        writeln!(writer, "{}", shown(&text))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_go_on_where_the_text_began() {
        for (text, wrapped) in [
            ("short", "short"),
            ("", ""),
            ("ends\n", "ends\n"),
            (
                "Using the checkpoint `runs/a/b-c/long`.",
                "Using the checkpoint\n`runs/a/b-c/long`.",
            ),
            (
                "  because: it is not there at all",
                "  because: it is not\n  there at all",
            ),
            ("  gpu  the best adapter", "  gpu  the best\n       adapter"),
            (
                "/a/path/without/any/space/at/all is long",
                "/a/path/without/any/space/at/all\nis long",
            ),
        ] {
            assert_eq!(wrap(text, 22), wrapped);
        }
    }
}
