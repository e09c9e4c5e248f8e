//! Standard output: the results of commands.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::Args;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::printable::{printable_json, printable_lines};

/// Whether a terminal may interpret the results.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct RawArgs {
    /// Show control characters and marks of bidirectional text on a terminal as they are, not as escapes such as `\u{1b}`
    #[arg(long)]
    pub raw: bool,
}

/// Writes results. On a terminal, characters that it would interpret are escaped. A reader that has closed the pipe, as `head`
/// does, is not an error.
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
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new(Kind::Other, "cannot write to standard output")
            .because(error)
            .help("check where the output goes: the disk may be full")),
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
