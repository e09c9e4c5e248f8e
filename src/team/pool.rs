//! The threads of `rayon`, for work of milliseconds.

use std::sync::OnceLock;

use super::bounds::MAX_PARTS;

/// The variable that sets the number of threads.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Starts the threads of `rayon`, unless they run already. `rayon` would otherwise start them at its first use, and panic if a
/// thread cannot be started. A value of `RAYON_NUM_THREADS` above both the number of processors and [`MAX_PARTS`] is reduced.
///
/// # Errors
///
/// Why a thread cannot be started.
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
        tracing::warn!("{VARIABLE} is {asked}: using {most} threads, because more are not faster");
        builder = builder.num_threads(most);
    }
    match builder.build_global() {
        Ok(()) => Ok(()),
        Err(error) => match std::error::Error::source(&error) {
            Some(refused) => Err(refused.to_string()),
            // Another part of the process has started them.
            None => Ok(()),
        },
    }
}
