//! The command line: one file a command. Everything that is printed is printed here.

pub mod arguments;
mod completions;
mod context;
mod progress;
mod train;

use std::io::{ErrorKind, Write};

use arguments::{Arguments, Command};

use crate::error::{Error, Kind, Result};

/// Does what the command line says.
///
/// # Errors
///
/// Whatever the command ends with. [`Error::chain`] is what the user is to see, and
/// [`Kind::exit_code`] how the program is to exit.
pub fn run(arguments: Arguments) -> Result<()> {
    match &arguments.command {
        Command::Train(train) => train::run(train, arguments.quiet),
        Command::Completions(completions) => completions::run(completions),
    }
}

/// Writes results to standard output. A reader that has gone, as `head` does, wants no more, and that is no failure.
fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Other, "cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}
