//! The threads of `rayon`, for work of milliseconds.

use std::sync::OnceLock;

use super::bounds::MAX_PARTS;

/// The variable that sets the number of threads.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Starts the threads of `rayon`, unless they run already. Without this, its first use would, and would panic if the system
/// refuses a thread. A number in `RAYON_NUM_THREADS` that is larger than that of processors and than [`MAX_PARTS`] is lowered.
///
/// # Errors
///
/// The reason for which the system refuses a thread.
pub fn start() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED.get_or_init(start_pool).clone()
}

fn start_pool() -> Result<(), String> {
    let mut builder = rayon::ThreadPoolBuilder::new();
    let asked = std::env::var(VARIABLE).ok();
    let asked = asked.and_then(|text| text.parse::<usize>().ok());
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    let most = most.max(MAX_PARTS);
    if let Some(asked) = asked.filter(|asked| *asked > most) {
        tracing::warn!("{VARIABLE} is {asked}: using {most} threads, as more are no faster");
        builder = builder.num_threads(most);
    }
    match builder.build_global() {
        Ok(()) => Ok(()),
        Err(error) => match std::error::Error::source(&error) {
            Some(refused) => Err(refused.to_string()),
            // A program that uses this crate has started them.
            None => Ok(()),
        },
    }
}
