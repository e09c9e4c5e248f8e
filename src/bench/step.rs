//! Training steps of a model, timed: the same session, the same preparation on another thread and the same steps in flight as
//! in training; only the text is made up.

use std::collections::HashMap;
use std::time::Instant;

use serde::Serialize;

use super::kernels::{Peaks, peaks};
use super::synthetic::Synthetic;
use crate::config::Config;
use crate::corpus::Loader;
use crate::device::Executor;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::model::cost::cost;
use crate::train::collective::SingleProcess;
use crate::train::prepare::{Prepared, Preparer};
use crate::train::session::Session;
use crate::train::update::control;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// Steps before the first that counts.
    pub warmup: usize,
    /// Steps that count, at most.
    pub steps: usize,
    /// No more steps are started after this many seconds, once three count.
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

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct StepTimes {
    /// The device.
    pub device: String,
    /// `f32` or `mixed`.
    pub precision: &'static str,
    /// Words of a step, `B * T`.
    pub words: usize,
    /// Steps that count.
    pub steps: usize,
    /// Seconds from the end of a step to the end of the next: the median.
    pub seconds_per_step: f64,
    /// The shortest.
    pub seconds_shortest: f64,
    /// Words a second, by the median.
    pub words_per_second: f64,
    /// FLOPs a second of the model's matrix products, by the formula of the paper: 6 for each element of a matrix and word.
    pub flops_per_second: f64,
    /// The time of the thread that encodes and submits, as part of a step, by the median: 0 on the CPU, which has no such part.
    /// Where the system tells it, only the time in which the thread runs: software devices compute while it waits.
    pub host_share: f64,
    /// Dispatches of a step.
    pub dispatches: usize,
    /// The loss of the last step that counts. On made-up words it says no more than that devices compute the same.
    pub loss: f64,
    /// By kernel, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<StepProfile>,
}

/// Where the time of a step goes.
#[derive(Clone, Debug, Serialize)]
pub struct StepProfile {
    /// Who took the time.
    pub clock: &'static str,
    /// What the device reached at best.
    pub peaks: Peaks,
    /// All kernels together.
    pub seconds: f64,
    /// The one that takes longest first.
    pub kernels: Vec<KernelShare>,
}

/// A kernel's part of a step.
#[derive(Clone, Debug, Serialize)]
pub struct KernelShare {
    /// The kernel, in the form that ran.
    pub kernel: &'static str,
    /// What it is for: the label of its steps without what differs between times and layers.
    pub purpose: String,
    /// Steps of the plan.
    pub calls: usize,
    /// All of them together.
    pub seconds: f64,
    /// Of all kernels.
    pub share: f64,
    /// FLOPs of products a second; 0 for kernels without.
    pub flops_per_second: f64,
    /// Bytes a second, each element counted once a step.
    pub bytes_per_second: f64,
    /// See [`Peaks::share`].
    pub share_of_peak: f64,
}

/// Times training steps of `config` on a device, and with `profile` each kernel of one more.
///
/// # Errors
///
/// [`Kind::Device`](crate::error::Kind::Device) if the device has no room or is lost,
/// [`Kind::Usage`](crate::error::Kind::Usage) if a size is too large.
pub fn step(
    mut executors: Vec<Box<dyn Executor>>,
    config: &Config,
    vocabulary: usize,
    length: Length,
    profile: bool,
) -> Result<StepTimes> {
    let peaks = match profile {
        true => Some(peaks(executors[0].as_mut())?),
        false => None,
    };
    let mut session = Session::replicated(executors, Box::new(SingleProcess), config, vocabulary)?;
    session.initialise()?;
    let unroll = config.train.unroll;
    let batch = session.division().parts() * config.train.batch;
    let words = batch * unroll;
    let mut preparer = Preparer::new(config, vocabulary, 0, session.division())?;
    let text = Synthetic::new(vocabulary, batch, unroll, config.train.seed);
    let mut loader = Loader::spawn(text, move |batch| preparer.prepare(batch))?;
    let mut number = 0;
    let mut next = || -> Result<Prepared> {
        let mut prepared = loader.next().expect("made-up text has no end")?;
        let control = control(config, number, config.train.learning_rate, 1.0);
        number += 1;
        prepared.inputs.set_control(control);
        Ok(prepared)
    };

    let (mut times, mut host) = (Vec::new(), Vec::new());
    let (mut done, mut loss) = (0, f64::NAN);
    let mut last = Instant::now();
    let mut begin = last;
    let mut pending = 0;
    while done < length.warmup + length.steps {
        let Prepared { inputs, .. } = next()?;
        let clock = ThreadClock::start();
        session.step(inputs)?;
        host.push(clock.seconds());
        pending += 1;
        if pending < session.in_flight() {
            continue;
        }
        loss = loss_of(&mut session)?;
        pending -= 1;
        done += 1;
        let now = Instant::now();
        if done > length.warmup {
            times.push((now - last).as_secs_f64());
        } else {
            begin = now;
        }
        last = now;
        let enough = times.len() >= 3.min(length.steps);
        if enough && (now - begin).as_secs_f64() >= length.seconds {
            break;
        }
    }
    while pending > 0 {
        // Of steps past those that count.
        session.fetch()?;
        pending -= 1;
    }
    let profile = match peaks {
        Some(peaks) => Some(profile_of(&mut session, &mut next, peaks)?),
        None => None,
    };

    let median = median(&mut times);
    let host_share = match session.in_flight() {
        1 => 0.0,
        _ => self::median(&mut host) / median,
    };
    let flops = cost(config, vocabulary).flops_per_word as f64 * words as f64;
    Ok(StepTimes {
        device: session.describe().join(" + "),
        precision: config.train.precision.as_str(),
        words,
        steps: times.len(),
        seconds_per_step: median,
        seconds_shortest: times[0],
        words_per_second: words as f64 / median,
        flops_per_second: flops / median,
        host_share,
        dispatches: session.training_plan().steps.len(),
        loss,
        profile,
    })
}

fn loss_of(session: &mut Session) -> Result<f64> {
    let outputs = session.fetch()?;
    let loss = outputs.iter().find(|(name, _)| name == "loss");
    Ok(loss.expect("an output of training").1[0])
}

/// The time that this thread runs.
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

/// Elsewhere all time that passes.
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

/// The middle one; sorts.
pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The middle one of some profiles, for each step of the plan.
fn profile_of(
    session: &mut Session,
    next: &mut dyn FnMut() -> Result<Prepared>,
    peaks: Peaks,
) -> Result<StepProfile> {
    const PROFILES: usize = 3;
    let mut profiles = Vec::with_capacity(PROFILES);
    for _ in 0..PROFILES {
        profiles.push(session.profile(next()?.inputs)?);
    }
    let clock = profiles[0].clock.describe();
    let ran = std::mem::take(&mut profiles[0].kernels);
    let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
    let mut kernels: Vec<KernelShare> = Vec::new();
    let mut works: Vec<(&Kernel, u64, u64)> = Vec::new();
    for (k, step) in session.training_plan().steps.iter().enumerate() {
        let mut times: Vec<f64> = profiles.iter().map(|profile| profile.seconds[k]).collect();
        let purpose = purpose(&step.label);
        let place = *places
            .entry((ran[k].name, purpose.clone()))
            .or_insert_with(|| {
                kernels.push(KernelShare {
                    kernel: ran[k].name,
                    purpose,
                    calls: 0,
                    seconds: 0.0,
                    share: 0.0,
                    flops_per_second: 0.0,
                    bytes_per_second: 0.0,
                    share_of_peak: 0.0,
                });
                works.push((ran[k], 0, 0));
                kernels.len() - 1
            });
        let lens = step.slices.iter().map(|slice| slice.len);
        let work = step
            .kernel
            .cost(&step.params, lens, session.training_plan().halves(step));
        kernels[place].calls += 1;
        kernels[place].seconds += median(&mut times);
        works[place].1 += work.flops;
        works[place].2 += work.bytes;
    }
    let seconds: f64 = kernels.iter().map(|kernel| kernel.seconds).sum();
    for (kernel, (ran, flops, bytes)) in kernels.iter_mut().zip(works) {
        kernel.share = kernel.seconds / seconds;
        kernel.flops_per_second = flops as f64 / kernel.seconds;
        kernel.bytes_per_second = bytes as f64 / kernel.seconds;
        kernel.share_of_peak = peaks.share(ran, kernel.flops_per_second, kernel.bytes_per_second);
    }
    kernels.sort_by(|x, y| y.seconds.total_cmp(&x.seconds));
    Ok(StepProfile {
        clock,
        peaks,
        seconds,
        kernels,
    })
}

/// A label without layer and time: `layers.1 cell t=3` and `layers.0 cell t=7` are both `cell`.
fn purpose(label: &str) -> String {
    let words = label.split(' ');
    let kept: Vec<&str> = words
        .filter(|word| !word.starts_with("layers.") && !word.starts_with("t="))
        .collect();
    if kept.is_empty() {
        label.to_owned()
    } else {
        kept.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lose_layer_and_time() {
        assert_eq!(purpose("layers.1 cell gradient t=3"), "cell gradient");
        assert_eq!(purpose("softmax backward"), "softmax backward");
        assert_eq!(purpose("update layers.0.gates.weight"), "update");
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 4.0);
    }
}
