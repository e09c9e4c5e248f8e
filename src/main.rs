//! The program: parse, run, print the error chain, exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use wlstm::cli::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_standard_error(arguments.quiet);
    match wlstm::cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is gone, there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{}", error.chain());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Sends logs to standard error: what `RUST_LOG` asks for, else warnings, or errors alone when quiet.
fn log_to_standard_error(quiet: bool) {
    let level = if quiet {
        LevelFilter::ERROR
    } else {
        LevelFilter::WARN
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
}
