//! The program: parse, run, print the error chain, exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use wlstm::cli::arguments::Arguments;
use wlstm::cli::messages::{Messages, Plain, shown};

fn main() -> ExitCode {
    quieten_mesa();
    let arguments = Arguments::parse();
    log_to_standard_error(arguments.quiet);
    match wlstm::cli::run(arguments) {
        Ok(()) => {
            wlstm::cli::end(None);
            ExitCode::SUCCESS
        }
        Err(error) => {
            if error.is_to_tell() {
                // If standard error is gone, there is nobody left to tell.
                let _ = writeln!(std::io::stderr(), "{}", shown(&error.chain().to_string()));
            }
            wlstm::cli::end(Some(&error));
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Keeps Mesa from printing an error where there is no graphical session: its device-select layer looks for a desktop's
/// display, which nobody here needs. Whoever uses that layer on purpose keeps it.
fn quieten_mesa() {
    let given = |name| std::env::var_os(name).is_some();
    if cfg!(unix) && !given("XDG_RUNTIME_DIR") && !given("MESA_VK_DEVICE_SELECT") {
        #[allow(
            unsafe_code,
            reason = "the Vulkan loader hears of it in no other way than by the environment"
        )]
        // SAFETY: `main` calls this first, while there is no other thread that could read the environment.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}

/// Sends logs to standard error: what `RUST_LOG` asks for, else warnings, or errors alone when quiet. Of the graphics
/// libraries errors alone: they warn of much that is no concern of a user.
fn log_to_standard_error(quiet: bool) {
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::builder().parse_lossy(match (asked.as_str(), quiet) {
        ("", true) => "error",
        ("", false) => "warn,wgpu_core=error,wgpu_hal=error,naga=error",
        (asked, _) => asked,
    });
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Messages)
        .with_ansi(colours)
        // A reader of standard error that has gone is no reason to stop training.
        .log_internal_errors(false);
    // Who asks for logs wants to know when and where.
    match asked.is_empty() {
        true => log.event_format(Plain).init(),
        false => log.init(),
    }
}
