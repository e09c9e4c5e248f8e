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
