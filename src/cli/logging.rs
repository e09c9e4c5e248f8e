//! Logs of the library, on standard error.

use std::collections::BTreeSet;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::messages::{Messages, shown};
use crate::job::comparison::ONCE;

/// Prints the log that `RUST_LOG` selects. Without it, warnings, or only errors if `quiet`. Of the graphics
/// libraries, only errors: most of their warnings do not concern users.
pub(super) fn init(quiet: bool) {
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
        // Training continues when the reader of standard error is gone.
        .log_internal_errors(false);
    // A user who asks for logs wants time stamps and module paths.
    if asked.is_empty() {
        log.event_format(Plain::default()).init();
    } else {
        log.init();
    }
}

/// Warnings for users: without time stamps and module paths.
#[derive(Default)]
struct Plain {
    /// The warnings that were printed in a span named [`ONCE`].
    printed: Mutex<BTreeSet<String>>,
}

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
        let is_once = context
            .lookup_current()
            .is_some_and(|span| span.name() == ONCE);
        let printed = || self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if is_once && !printed().insert(text.clone()) {
            return Ok(());
        }
        writeln!(writer, "{}", shown(&text))
    }
}
