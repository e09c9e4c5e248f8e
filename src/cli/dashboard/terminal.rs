//! The terminal: taken for the dashboard and restored.

use std::io::{self, IsTerminal, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::error::{Error, Result};

/// Whether the dashboard has the terminal: only then is there something to restore.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Checks that standard input and standard error are a terminal.
///
/// # Errors
///
/// Usage, if they are not.
pub(super) fn check() -> Result<()> {
    if io::stderr().is_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Error::usage("`--tui` needs a terminal").help(
        "leave it out: progress is then printed to standard error, one line every ten seconds",
    ))
}

/// Switches to the alternate screen in raw mode. A panic restores the terminal before it prints.
pub(super) fn take() -> io::Result<Terminal<CrosstermBackend<Stderr>>> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stderr(), EnterAlternateScreen, Hide)
        .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())))
        .inspect_err(|_| restore())
}

/// Why a wait for input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There is input.
    Input,
    /// The time is up.
    Nothing,
    /// The terminal was closed.
    HangUp,
}

/// Waits for input for at most `limit`. crossterm never returns from reading a closed terminal, so it must not be called then.
#[cfg(unix)]
pub(super) fn wait(limit: Duration) -> Waited {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    // A signal interrupts the wait, which then ends as if the time were up.
    let ready =
        Timespec::try_from(limit).map_or(0, |limit| poll(&mut polled, Some(&limit)).unwrap_or(0));
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    match ready {
        0 => Waited::Nothing,
        _ if polled[0].revents().intersects(gone) => Waited::HangUp,
        _ => Waited::Input,
    }
}

/// Waits for input for at most `limit`.
#[cfg(not(unix))]
pub(super) fn wait(limit: Duration) -> Waited {
    match ratatui::crossterm::event::poll(limit) {
        Ok(true) => Waited::Input,
        _ => Waited::Nothing,
    }
}

/// Restores the terminal, if it was taken.
pub(super) fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Errors cannot be handled here.
        let _ = disable_raw_mode();
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    }
}
