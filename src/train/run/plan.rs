//! When validations are due, on how many targets, and what they cost.

use super::trainer::Trainer;
use super::when::{When, due};
use crate::config::{Automatic, Order, Softmax};
use crate::model::cost::cost;
use crate::numbers::{counted, grouped};
use crate::train::watch::Event;

/// The number of parts of a run. With `train.validate_every = "auto"` it validates at the end of each part.
const PARTS: u64 = 12;

/// The fraction of the training time that the targets of validations take with `train.validate_targets = "auto"`. With the
/// context of windows, validations take about a quarter.
const SHARE: f64 = 0.2;

/// The minimum number of targets that is chosen. With fewer, differences between models are mostly noise.
const MIN_TARGETS: u64 = 5000;

impl Trainer<'_> {
    /// The number of parts that are done after `step` steps, by the limits on steps and epochs.
    fn parts_by_steps(&self, step: u64) -> u64 {
        self.total_steps
            .map_or(0, |total| step.min(total) * PARTS / total.max(1))
    }

    /// The number of parts that are done after `seconds` of training, by the limit on seconds.
    pub fn parts_by_time(&self, seconds: f64) -> u64 {
        match self.run.config.train.seconds {
            0.0 => 0,
            limit => (seconds / limit * PARTS as f64) as u64,
        }
    }

    /// Initialises the number of parts that are done. The last step of a resumed run is not included, because a validation that
    /// was due there may have been interrupted.
    pub fn count_parts(&mut self) {
        let progress = &self.run.progress;
        let before = self.parts_by_steps(progress.step.saturating_sub(1));
        self.parts = before.max(self.parts_by_time(progress.seconds));
    }

    /// Whether a validation is due after `step` steps. `by_time`: the number of parts that are done by time.
    pub fn validation_is_due(&mut self, step: u64, by_time: u64) -> bool {
        match self.when {
            When::Every(steps) => due(steps, step),
            When::Parts => {
                let parts = self.parts_by_steps(step).max(by_time);
                let is_due = step > 0 && parts > self.parts;
                self.parts = self.parts.max(parts);
                is_due
            }
        }
    }

    /// The number of parts that are left when the fraction `done` of the run is done.
    pub fn parts_left(&self, done: f64) -> f64 {
        (PARTS as f64 * (1.0 - done)).ceil().max(1.0)
    }

    /// The number of targets of a validation. `None` if it is not chosen yet.
    pub fn chosen_targets(&self) -> Option<u64> {
        match self.run.progress.measure.as_ref()?.targets? {
            0 => Some(self.all_targets),
            targets => Some(targets.min(self.all_targets)),
        }
    }

    /// The number of targets of a validation; 0: all. It is chosen at the first validation and does not change.
    pub fn targets(&mut self) -> u64 {
        let known = self
            .run
            .progress
            .measure
            .as_ref()
            .and_then(|measure| measure.targets);
        let targets = match (known, self.run.shared_targets) {
            (Some(known), Some(shared)) => {
                // The other models of a comparison use the number of a resumed run.
                let _ = shared.set(known);
                known
            }
            (Some(known), None) => known,
            (None, Some(shared)) => *shared.get_or_init(|| self.affordable_targets()),
            (None, None) => self.affordable_targets(),
        };
        if let Some(measure) = &mut self.run.progress.measure {
            measure.targets = Some(targets);
        }
        targets
    }

    /// The number of targets with which all validations take about a quarter of the training time; 0: all.
    fn affordable_targets(&self) -> u64 {
        let Some(words) = self.expected_words() else {
            return 0;
        };
        let validations = match self.when {
            When::Parts => PARTS as f64,
            When::Every(0) => words / self.words_of_epoch(),
            When::Every(steps) => {
                words / (steps as f64 * self.words_of_step()) + words / self.words_of_epoch()
            }
        };
        let targets = SHARE * words / (validations.max(1.0) * self.words_per_target());
        let targets = (targets as u64).max(MIN_TARGETS);
        if targets < self.all_targets {
            targets
        } else {
            0
        }
    }

    /// The number of words that the run trains on, if it is known. With a limit on seconds, it is known once the speed is
    /// measured.
    fn expected_words(&self) -> Option<f64> {
        let train = &self.run.config.train;
        let by_steps = self
            .total_steps
            .map(|steps| steps as f64 * self.words_of_step());
        let speed = self.clock.words_per_second();
        let by_time = (train.seconds > 0.0 && speed > 0.0).then_some(train.seconds * speed);
        by_steps.into_iter().chain(by_time).min_by(f64::total_cmp)
    }

    fn words_of_step(&self) -> f64 {
        let train = &self.run.config.train;
        (train.batch * train.unroll * self.run.session.division().parts()) as f64
    }

    fn words_of_epoch(&self) -> f64 {
        self.epoch_steps as f64 * self.words_of_step()
    }

    /// The cost of evaluating a target with the exact softmax, relative to that of training on a word, by FLOPs. All devices
    /// train, but only one evaluates.
    fn words_per_target(&self) -> f64 {
        let cost = cost(self.run.config, self.run.session.vocabulary());
        let devices = self.run.session.division().devices;
        cost.flops_per_target as f64 / cost.flops_per_word as f64 * devices as f64
    }

    /// The cost of a validation on `targets` targets, in training steps.
    pub fn steps_of_validation(&self, targets: u64) -> f64 {
        targets as f64 * self.words_per_target() / self.words_of_step()
    }

    /// The number of validations that are left, if they are at the ends of parts. A validation that was interrupted is repeated.
    fn parts_not_validated(&self) -> u64 {
        let progress = &self.run.progress;
        let is_done = progress.validated == Some(progress.step);
        let by_steps = if is_done {
            self.parts_by_steps(progress.step)
        } else {
            0
        };
        PARTS.saturating_sub(self.parts.max(by_steps))
    }

    /// Reports the number and the cost of validations before the first step.
    pub fn announce_validations(&mut self) {
        if self.run.valid.is_none() || !self.run.session.is_root() {
            return;
        }
        // With a limit on seconds the number of targets is chosen later, when the speed is known.
        let is_known = self.chosen_targets().is_some() || self.run.config.train.seconds == 0.0;
        let targets = is_known.then(|| self.targets());
        let all = self.all_targets;
        let work = |targets: u64| {
            let steps = self.steps_of_validation(targets).ceil() as u64;
            format!("about {}", counted(steps.max(1), "training step"))
        };
        let when = match self.when {
            When::Parts if self.resumed == 0 => {
                format!("{} in the run", counted(PARTS, "validation"))
            }
            When::Parts => match self.parts_not_validated() {
                0 => return,
                left => format!("{} left in the run", counted(left, "validation")),
            },
            When::Every(0) => "A validation at the end of each epoch and of the run".to_owned(),
            When::Every(steps) => format!(
                "A validation every {} and at the end of each epoch",
                counted(steps, "step")
            ),
        };
        // The sampled softmax is only for training.
        let softmax = match &self.run.config.softmax {
            Softmax::Adaptive(_) => "adaptive",
            Softmax::Full | Softmax::Sampled { .. } => "full",
        };
        let mut costs = Vec::new();
        let uses = match targets {
            Some(some) if some > 0 && some < all => {
                costs.push(format!("A validation is as much work as {}.", work(some)));
                format!(
                    "each on {} of {} targets, sampled evenly from the text, with the {softmax} softmax",
                    grouped(some),
                    grouped(all)
                )
            }
            None if all > MIN_TARGETS => format!(
                "each on at least {} of {} targets; together they take about a quarter of the training time, in a short run \
                 more",
                grouped(MIN_TARGETS),
                grouped(all)
            ),
            _ => {
                costs.push(format!("A validation is as much work as {}.", work(all)));
                format!(
                    "each on all {} targets with the {softmax} softmax",
                    grouped(all)
                )
            }
        };
        let is_partial = targets.is_none_or(|targets| targets > 0) && all > MIN_TARGETS;
        let is_automatic = self.run.config.train.validate_targets == Automatic::Auto;
        let at_end = if is_automatic && is_partial {
            costs.push(format!("The evaluation on all targets is {}.", work(all)));
            "; at the end, the last and the best parameters are evaluated on all targets"
        } else {
            ""
        };
        let not_counted = if self.run.config.train.seconds > 0.0 {
            " `train.seconds` does not include validations."
        } else {
            ""
        };
        let streams = self.streams_note();
        (self.run.watch)(Event::Validations {
            text: format!("{when}, {uses}{at_end}.{not_counted}{streams}"),
            costs: costs.join(" "),
        });
    }

    /// Explains why a perplexity of this run differs from that of `wlstm eval`. Empty with one stream, and in `sentences` order, in
    /// which the number of streams hardly matters.
    fn streams_note(&self) -> String {
        let config = self.run.config;
        let streams = config.train.validation_streams();
        if streams == 1 || config.data.order == Order::Sentences {
            return String::new();
        }
        let why = match config.train.validate_streams {
            Automatic::Auto => "as many as in training (`train.batch`)",
            Automatic::Given(_) => "the number that `train.validate_streams` gives",
        };
        format!(
            " The text is read in {streams} streams at once, {why}; `wlstm eval` reads it in one stream, and its perplexity is \
             a little lower."
        )
    }
}
