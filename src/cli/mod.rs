//! The command line: one file a command. Everything that is printed is printed here.

pub mod arguments;
mod bench;
mod compare;
mod completions;
mod context;
mod dashboard;
mod devices;
mod eval;
mod export;
mod factorize;
mod generate;
mod help;
mod import;
mod man;
pub mod messages;
mod next;
mod plan;
mod progress;
mod report;
mod resume;
mod score;
mod signals;
mod text;
mod train;
mod validate;
mod vocab;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use arguments::{Arguments, Command};
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::files;

/// Does what the command line says.
///
/// # Errors
///
/// Whatever the command ends with. [`Error::chain`] is what the user is to see, and
/// [`Kind::exit_code`] how the program is to exit.
pub fn run(arguments: Arguments) -> Result<()> {
    context::TUNE.store(!arguments.no_tune, Ordering::Relaxed);
    context::TRUST.store(!arguments.checked, Ordering::Relaxed);
    match &arguments.command {
        Command::Train(train) => train::run(train, arguments.quiet),
        Command::Compare(compare) => compare::run(compare, arguments.quiet),
        Command::Report(report) => report::run(report, arguments.quiet),
        Command::Eval(eval) => eval::run(eval, arguments.quiet),
        Command::Score(score) => score::run(score, arguments.quiet),
        Command::Generate(generate) => generate::run(generate, arguments.quiet),
        Command::Vocab(vocab) => vocab::run(vocab, arguments.quiet),
        Command::Devices(devices) => devices::run(devices),
        Command::Plan(plan) => plan::run(plan, arguments.quiet),
        Command::Validate(validate) => validate::run(validate, arguments.quiet),
        Command::Bench(bench) => bench::run(bench, arguments.quiet),
        Command::Factorize(factorize) => factorize::run(factorize, arguments.quiet),
        Command::Export(export) => export::run(export, arguments.quiet),
        Command::Import(import) => import::run(import, arguments.quiet),
        Command::Man(man) => man::run(man, arguments.quiet),
        Command::Help(help) => help::run(help),
        Command::Completions(completions) => completions::run(completions),
    }
}

/// Ends what this process shares with others of a job, before it exits: see `train::mpi`.
pub fn end(error: Option<&Error>) {
    #[cfg(feature = "mpi")]
    {
        let code = error.map_or(0, |error| error.kind().exit_code());
        crate::train::mpi::finish(error.is_none_or(Error::is_shared), code);
    }
    #[cfg(not(feature = "mpi"))]
    let _ = error;
}

/// Writes results to standard output. A reader that has gone, as `head` does, wants no more, and that is no failure.
fn print(bytes: &[u8]) -> Result<()> {
    print_while_read(bytes).map(|_| ())
}

/// Prints text for people: in lines that fit the terminal, elsewhere 80 columns.
fn print_text(text: &str) -> Result<()> {
    print(messages::wrap(text, width_of_results().unwrap_or(80)).as_bytes())
}

/// As [`print`]; says whether the reader is still there, for commands that could go on for long.
fn print_while_read(bytes: &[u8]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new(Kind::Other, "cannot write to standard output")
            .because(error)
            .help("check where the output goes: the disk may be full")),
    }
}

/// Refuses, before long work, a place for a file in a folder that is not there. `what` stands before its name.
fn has_folder(out: &Path, what: &str) -> Result<()> {
    let folder = files::folder_of(out);
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::data(format!(
        "cannot write {what}`{}`: there is no folder `{}`",
        out.display(),
        folder.display()
    ))
    .help("make the folder first, or choose another file with --out"))
}

/// The columns of the terminal that results go to, if they go to one.
fn width_of_results() -> Option<usize> {
    std::io::stdout()
        .is_terminal()
        .then(|| console::Term::stdout().size().1.into())
}

/// Writes one JSON document to standard output.
fn print_json(document: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(document).expect("names, texts and numbers");
    text.push(b'\n');
    print(&text)
}
