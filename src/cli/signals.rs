//! Signals that ask a run to save and stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::messages::note;
use crate::error::{Error, Kind, Result};
use crate::train::watch::Stop;

/// For this long after a signal, another one is ignored: programs that start this one may send a signal to it and to its group.
pub(super) const ECHO: Duration = Duration::from_secs(1);

/// Lets SIGINT, SIGTERM and SIGHUP ask for a stop. SIGHUP, which is sent at the end of a session, counts as SIGTERM. A second
/// SIGINT or SIGTERM, later than [`ECHO`], ends the program at once without saving. In a job of several processes SIGUSR1 asks for a
/// stop too, because launchers forward it at once and kill no process.
pub(super) fn listen(in_job: bool, quiet: bool) -> Result<Stop> {
    let stop = Stop::default();
    #[cfg(unix)]
    if in_job {
        let number: Arc<AtomicUsize> = stop.0.clone();
        let as_term = signal_hook::consts::SIGTERM as usize;
        signal_hook::flag::register_usize(signal_hook::consts::SIGUSR1, number, as_term)
            .map_err(|error| Error::new(Kind::Other, "cannot handle SIGUSR1").because(error))?;
    }
    #[cfg(not(unix))]
    let _ = in_job;
    let refused = |error: std::io::Error| {
        Error::new(Kind::Other, "cannot handle Ctrl-C and SIGTERM")
            .because(error)
            .help("start the program from another shell")
    };
    let armed = Arc::new(AtomicBool::new(false));
    for (signal, counted_as) in handled() {
        let register = || {
            // Nothing is saved then, so this is not the code of a run that was saved.
            let code = Kind::Other.exit_code().into();
            if may_end(signal) {
                signal_hook::flag::register_conditional_shutdown(signal, code, armed.clone())?;
            }
            let number: Arc<AtomicUsize> = stop.0.clone();
            signal_hook::flag::register_usize(signal, number, counted_as as usize)
        };
        register().map_err(refused)?;
    }
    let asked = stop.clone();
    let arm = move || {
        while asked.asked().is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(ECHO);
        armed.store(true, Ordering::SeqCst);
        note(
            quiet,
            "Saving. Press Ctrl-C again to stop at once without saving.",
        );
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(arm)
        .map_err(Error::no_thread)?;
    Ok(stop)
}

/// The signals that ask for a stop, and the signal that each counts as. If SIGHUP is ignored (`nohup`), it stays ignored.
fn handled() -> Vec<(i32, i32)> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = vec![(SIGINT, SIGINT), (SIGTERM, SIGTERM)];
    #[cfg(unix)]
    if !is_ignored(signal_hook::consts::SIGHUP) {
        signals.push((signal_hook::consts::SIGHUP, SIGTERM));
    }
    signals
}

/// Whether a second signal of this kind ends the program. When a terminal closes, the system and the shell may both send SIGHUP.
fn may_end(signal: i32) -> bool {
    #[cfg(unix)]
    return signal != signal_hook::consts::SIGHUP;
    #[cfg(not(unix))]
    {
        let _ = signal;
        true
    }
}

/// Whether the parent of this process has set this signal to be ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    #[allow(unsafe_code, reason = "no safe function tells how a signal is handled")]
    // SAFETY: with a null pointer as the new action, the call only writes the current action to `action`, if it returns 0.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
