//! The seconds of training, without validation and checkpoints. A resumed run continues the count.

use std::time::Instant;

/// Counts the seconds of training, and words per second.
pub(super) struct Clock {
    before: f64,
    since: Instant,
    last: Instant,
    words_per_second: f64,
}

impl Clock {
    /// Starts at `before` seconds.
    pub fn start(before: f64) -> Clock {
        let now = Instant::now();
        Clock {
            before,
            since: now,
            last: now,
            words_per_second: 0.0,
        }
    }

    /// Seconds of training so far.
    pub fn seconds(&self) -> f64 {
        self.before + self.since.elapsed().as_secs_f64()
    }

    /// Excludes the time since `begin`.
    pub fn leave_out(&mut self, begin: Instant) {
        let pause = begin.elapsed();
        self.since += pause;
        self.last += pause;
    }

    /// Words per second, averaged over about two seconds.
    pub fn words_per_second(&self) -> f64 {
        self.words_per_second
    }

    /// Counts a step of `words`. Returns the words per second of this step.
    pub fn lap(&mut self, words: usize) -> f64 {
        let seconds = self.last.elapsed().as_secs_f64().max(1e-9);
        self.last = Instant::now();
        let now = words as f64 / seconds;
        let share = (seconds / 2.0).min(1.0);
        self.words_per_second = match self.words_per_second {
            0.0 => now,
            before => before + share * (now - before),
        };
        now
    }
}
