//! The time of training steps: the same session, the same preparation on another thread and the same number of steps in flight as
//! in training. Only the text is generated.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::median;
use super::peaks::Peaks;
use super::profile::{StepProfile, profile};
use super::synthetic::Synthetic;
use crate::config::{Config, Key};
use crate::corpus::Loader;
use crate::device::Executor;
use crate::error::Result;
use crate::kernel::Change;
use crate::model::cost::cost;
use crate::train::collective::SingleProcess;
use crate::train::prepare::{Preparer, StepInputs};
use crate::train::session::TrainingSession;
use crate::train::update::control;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// Steps before the first that is timed.
    pub warmup: usize,
    /// The largest number of timed steps. 0 counts as 1.
    pub steps: usize,
    /// Seconds after which no further step starts, once three are timed.
    pub seconds: f64,
}

impl Default for Length {
    fn default() -> Length {
        Length {
            warmup: 3,
            steps: 50,
            seconds: 10.0,
        }
    }
}

/// The measurement of a model on a device.
#[derive(Clone, Debug, Serialize)]
pub struct StepTimes {
    /// The device.
    pub device: String,
    /// `f32`, `f32x3` or `mixed`.
    pub precision: &'static str,
    /// The keys of the configuration that the time depends on, and `vocabulary`, the number of words. A baseline must have the
    /// same.
    pub settings: BTreeMap<String, String>,
    /// The names of the optimizations that were disabled.
    pub without: Vec<&'static str>,
    /// Words in a step, `B * T`.
    pub words: usize,
    /// Timed steps.
    pub steps: usize,
    /// The median of the seconds from the end of a step to the end of the next.
    pub seconds_per_step: f64,
    /// The minimum of the same.
    pub seconds_shortest: f64,
    /// Words per second, from the median.
    pub words_per_second: f64,
    /// FLOPs of matrix products per second, counted as in the paper: 6 per matrix element and word.
    pub flops_per_second: f64,
    /// The median time in which the host encodes and submits a step, as a share of the step; 0 on the CPU. Where the system
    /// reports CPU time per thread, waiting is left out: software adapters compute while the thread waits.
    pub host_share: f64,
    /// Dispatches of a step.
    pub dispatches: usize,
    /// The loss of the last timed step. The words are random: use it only to compare devices.
    pub loss: f64,
    /// The floor of a step in seconds, if a profile was requested: see [`StepProfile::floor_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_seconds: Option<f64>,
    /// The median time of a step over its floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_floor: Option<f64>,
    /// The time of each kernel, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<StepProfile>,
}

/// Times training steps of `config`. With `with_profile`, also profiles a few more steps by kernel.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory or lost,
/// [`Kind::Usage`](crate::error::Kind::Usage) if a size is too large.
pub fn step(
    mut executors: Vec<Box<dyn Executor>>,
    config: &Config,
    vocabulary: usize,
    length: Length,
    with_profile: bool,
) -> Result<StepTimes> {
    let without = executors[0].limits().without;
    let peaks = if with_profile {
        Some(Peaks::measure(executors[0].as_mut())?)
    } else {
        None
    };
    let mut session = TrainingSession::new(executors, Box::new(SingleProcess), config, vocabulary)?;
    session.initialise()?;
    let unroll = config.train.unroll;
    let batch = session.division().parts() * config.train.batch;
    let words = batch * unroll;
    let mut preparer = Preparer::new(config, vocabulary, 0, session.division())?;
    let text = Synthetic::new(vocabulary, batch, unroll, config.train.seed);
    let mut loader = Loader::spawn(text, move |batch| preparer.prepare(batch))?;
    let mut number = 0;
    let mut next = || -> Result<StepInputs> {
        let mut inputs = loader.next().expect("generated text has no end")?.inputs;
        inputs.set_control(control(config, number, config.train.learning_rate, 1.0));
        number += 1;
        Ok(inputs)
    };

    let (mut times, mut host) = (Vec::new(), Vec::new());
    let steps = length.steps.max(1);
    let (mut done, mut pending, mut loss) = (0, 0, f64::NAN);
    let mut last = Instant::now();
    let mut begin = last;
    while done < length.warmup.saturating_add(steps) {
        let inputs = next()?;
        let clock = ThreadClock::start();
        session.step(inputs)?;
        host.push(clock.seconds());
        pending += 1;
        if pending < session.in_flight() {
            continue;
        }
        loss = session.fetch()?.loss;
        pending -= 1;
        done += 1;
        let now = Instant::now();
        if done > length.warmup {
            times.push((now - last).as_secs_f64());
        } else {
            begin = now;
        }
        last = now;
        let enough = times.len() >= 3.min(steps);
        if enough && (now - begin).as_secs_f64() >= length.seconds {
            break;
        }
    }
    // Steps in flight beyond the last timed one.
    for _ in 0..pending {
        session.fetch()?;
    }
    let profile = match peaks {
        Some(peaks) => Some(profile(&mut session, &mut next, peaks)?),
        None => None,
    };

    let seconds_per_step = median(&mut times);
    let floor = profile.as_ref().map(|profile| profile.floor_seconds);
    let host_share = match session.in_flight() {
        1 => 0.0,
        _ => median(&mut host) / seconds_per_step,
    };
    let flops = cost(config, vocabulary).flops_per_word as f64 * words as f64;
    Ok(StepTimes {
        device: session.describe().join(" + "),
        precision: config.train.precision.as_str(),
        settings: settings(config, vocabulary),
        without: without.iter().map(Change::name).collect(),
        words,
        steps: times.len(),
        seconds_per_step,
        seconds_shortest: times[0],
        words_per_second: words as f64 / seconds_per_step,
        flops_per_second: flops / seconds_per_step,
        host_share,
        dispatches: session.training_plan().unconditional().count(),
        loss,
        floor_seconds: floor,
        times_floor: floor.map(|floor| seconds_per_step / floor),
        profile,
    })
}

/// The keys of the sections `train` and `device` that the time of a step depends on.
const TIMED: [&str; 12] = [
    "train.batch",
    "train.accumulate",
    "train.unroll",
    "train.optimizer",
    "train.table_optimizer",
    "train.clip_norm",
    "train.ema",
    "train.recipe",
    "train.precision",
    "train.recompute",
    "train.fused",
    "device.max_binding",
];

/// See [`StepTimes::settings`].
pub fn settings(config: &Config, vocabulary: usize) -> BTreeMap<String, String> {
    let has_effect =
        |key: &Key| ["model", "softmax"].contains(&key.section) || TIMED.contains(&&*key.path());
    let of_keys = config.values().filter(|(key, _)| has_effect(key));
    let mut settings: BTreeMap<String, String> =
        of_keys.map(|(key, value)| (key.path(), value)).collect();
    settings.insert("vocabulary".to_owned(), vocabulary.to_string());
    settings
}

/// The CPU time of this thread.
#[cfg(unix)]
struct ThreadClock(rustix::time::Timespec);

#[cfg(unix)]
impl ThreadClock {
    fn now() -> rustix::time::Timespec {
        rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)
    }

    fn start() -> ThreadClock {
        ThreadClock(ThreadClock::now())
    }

    fn seconds(&self) -> f64 {
        let now = ThreadClock::now();
        (now.tv_sec - self.0.tv_sec) as f64 + (now.tv_nsec - self.0.tv_nsec) as f64 * 1e-9
    }
}

/// On other systems, wall-clock time.
#[cfg(not(unix))]
struct ThreadClock(Instant);

#[cfg(not(unix))]
impl ThreadClock {
    fn start() -> ThreadClock {
        ThreadClock(Instant::now())
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
