//! Processes are killed at random moments. Later processes must continue their work, and end with the same files as a process
//! that was not killed.
//!
//! `WLSTM_KILL_SECONDS` sets the duration of each test (default: 2), `WLSTM_KILLS` the number of processes that are killed at
//! their start (default: 30), and `WLSTM_SEED` the random moments. A failure prints the seed. This command kills 1,000
//! processes at their start:
//!
//! ```text
//! WLSTM_KILLS=1000 cargo test --release --test program kills::at_the_start
//! ```

mod job;
mod jobs;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::job::Job;
use self::jobs::{compare, export, factorize, report, token_cache, train, vocab};
use crate::common::program::Dice;

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Random moments, with a different seed in each run.
fn dice() -> (u64, Dice) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let seed = number("WLSTM_SEED", u64::from(now.subsec_nanos()));
    (seed, Dice(seed))
}

/// Kills processes of a job at random moments until it ends, again and again.
fn kill_for_some_time(mut job: Job) {
    let seconds = number("WLSTM_KILL_SECONDS", 2);
    let (seed, mut dice) = dice();
    let begin = Instant::now();
    let (mut kills, mut ends) = (0, 0);
    while begin.elapsed() < Duration::from_secs(seconds) || kills == 0 || ends == 0 {
        // Half of the kills come early. After the last kill, the job runs to its end.
        let limit = if dice.below(2) == 0 {
            job.undisturbed / 8
        } else {
            job.undisturbed * 3 / 2
        };
        let late = kills > 0 && begin.elapsed() > Duration::from_secs(seconds);
        let after = (!late).then(|| limit.mul_f64(dice.below(1000) as f64 / 1000.0));
        if job.attempt(after, &format!("WLSTM_SEED={seed}, after {kills} kills")) {
            ends += 1;
        } else {
            kills += 1;
        }
    }
    println!("{kills} processes killed, {ends} jobs ended");
}

#[test]
fn training() {
    kill_for_some_time(train());
}

#[test]
fn comparisons() {
    kill_for_some_time(compare());
}

#[test]
fn vocabularies() {
    kill_for_some_time(vocab());
}

#[test]
fn cached_tokens() {
    kill_for_some_time(token_cache());
}

#[test]
fn factorized_models() {
    kill_for_some_time(factorize());
}

#[test]
fn exports() {
    kill_for_some_time(export("native"));
    kill_for_some_time(export("onnx"));
}

#[test]
fn reports() {
    kill_for_some_time(report());
}

/// Runs and comparisons are killed at their start, before they have written the files that resuming needs. Every tenth process
/// is not killed, and must finish the job.
#[test]
fn at_the_start() {
    let kills = number("WLSTM_KILLS", 30);
    let (seed, mut dice) = dice();
    for mut job in [train(), compare()] {
        let mut killed = 0;
        while killed < kills / 2 {
            let after = job
                .undisturbed
                .mul_f64(0.3 * dice.below(1000) as f64 / 1000.0);
            let after = (dice.below(10) > 0).then_some(after);
            if !job.attempt(after, &format!("WLSTM_SEED={seed}, after {killed} kills")) {
                killed += 1;
            }
        }
        while !job.attempt(None, &format!("WLSTM_SEED={seed}, at the end")) {}
    }
}
