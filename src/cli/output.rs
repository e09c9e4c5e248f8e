//! Standard output: the results of commands.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::Args;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::printable::{printable_json, printable_lines};

/// Whether results are printed on a terminal without escapes.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct RawArgs {
    /// On a terminal, print control and bidirectional formatting characters unchanged, not as escapes such as `\u{1b}`
    #[arg(long)]
    pub raw: bool,
}

/// Writes results. On a terminal, control characters are escaped. It is not an error if the reader has closed the pipe, as
/// `head` does.
pub(super) fn print(bytes: &[u8]) -> Result<()> {
    print_while_read(bytes, RawArgs::default()).map(|_| ())
}

/// Like [`print`]; returns whether the reader is still there, so that a long command can stop.
pub(super) fn print_while_read(bytes: &[u8], RawArgs { raw }: RawArgs) -> Result<bool> {
    if !raw && std::io::stdout().is_terminal() {
        let text = String::from_utf8_lossy(bytes);
        write(printable_lines(&text).as_bytes())
    } else {
        write(bytes)
    }
}

fn write(bytes: &[u8]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe || is_gone(&error) => Ok(false),
        Err(error) => Err(Error::new(Kind::Other, "cannot write to standard output")
            .because(error)
            .help("check where the output goes: the disk may be full")),
    }
}

/// Whether a write has failed because the terminal is gone. Nobody reads the results then, as with a closed pipe.
fn is_gone(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    {
        let is_device = || {
            let found = rustix::fs::fstat(std::io::stdout());
            found.is_ok_and(|found| {
                rustix::fs::FileType::from_raw_mode(found.st_mode).is_char_device()
            })
        };
        error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) && is_device()
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Standard output for a file that is written to it. On a terminal, control characters are escaped.
pub(super) fn open() -> Box<dyn Write> {
    if std::io::stdout().is_terminal() {
        Box::new(EscapedLines::new(std::io::stdout()))
    } else {
        Box::new(std::io::stdout())
    }
}

/// Escapes the control characters of a text that is written in parts, line by line.
struct EscapedLines<W: Write> {
    out: W,
    /// The line that has not ended.
    rest: Vec<u8>,
}

impl<W: Write> EscapedLines<W> {
    fn new(out: W) -> EscapedLines<W> {
        EscapedLines {
            out,
            rest: Vec::new(),
        }
    }
}

impl<W: Write> Write for EscapedLines<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
            let lines = self.rest.drain(..=end).collect::<Vec<u8>>();
            self.out
                .write_all(printable_lines(&String::from_utf8_lossy(&lines)).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        self.out
            .write_all(printable_lines(&String::from_utf8_lossy(&rest)).as_bytes())?;
        self.out.flush()
    }
}

/// Writes one JSON document.
pub(super) fn print_json(document: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(document).expect("a document has a JSON form");
    text.push('\n');
    if std::io::stdout().is_terminal() {
        text = printable_json(&text).into_owned();
    }
    write(text.as_bytes()).map(|_| ())
}

/// The columns of the terminal, if standard output is one.
pub(super) fn terminal_width() -> Option<usize> {
    std::io::stdout()
        .is_terminal()
        .then(|| console::Term::stdout().size().1.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_written_in_parts_are_escaped_whole() {
        let mut out = EscapedLines::new(Vec::new());
        // The parts cut an escape sequence and a letter of two bytes.
        for part in [
            &b"a\x1b"[..],
            b"[2J b\nc\xc3",
            b"\xa9\t\n",
            b"\xc2",
            b"\x9bd",
        ] {
            out.write_all(part).unwrap();
        }
        out.flush().unwrap();
        let text = String::from_utf8(out.out).unwrap();
        assert_eq!(text, "a\\u{1b}[2J b\nc\u{e9}\t\n\\u{9b}d");
    }
}
