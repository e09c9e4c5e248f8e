//! The state that the dashboard shows.

use std::collections::VecDeque;
use std::time::Instant;

use super::curve::{Curve, MAX_POINTS};
use crate::config::Config;
use crate::metrics::Line;
use crate::numbers::{decimal, duration};
use crate::train::watch::Event;

/// The state of a run, from its events.
pub(super) struct State {
    pub title: String,
    /// Words or characters per second.
    pub unit: &'static str,
    /// Epochs to train for; 0: no limit.
    pub epochs: u64,
    pub devices: String,
    /// Bytes, on all devices.
    pub memory: u64,
    pub parameters: u64,
    pub step: u64,
    pub epoch: u64,
    pub loss: f64,
    pub words_per_second: f64,
    pub learning_rate: f64,
    /// The share of the run that is done.
    pub done: f64,
    /// Logarithms of the training loss by step.
    pub losses: Curve,
    pub speeds: VecDeque<u64>,
    /// The last validation perplexity and the best.
    pub perplexities: Option<(f64, f64)>,
    /// The current activity of the run.
    pub activity: String,
    pub log: Vec<String>,
    pub is_stopping: bool,
    /// Remaining seconds, and when they were estimated.
    remaining: (f64, Instant),
    /// The metrics that earlier processes of the run have written.
    earlier: Vec<Line>,
    /// Training time of earlier processes in seconds, and when this process started to train.
    trained: (f64, Instant),
}

impl State {
    /// Before the first event.
    /// `earlier`: the metrics of the resumed run.
    pub fn new(title: String, config: &Config, earlier: Vec<Line>) -> State {
        State {
            title,
            unit: config.data.tokens.unit(),
            epochs: config.train.epochs,
            devices: String::new(),
            memory: 0,
            parameters: 0,
            step: 0,
            epoch: 0,
            loss: f64::NAN,
            words_per_second: f64::NAN,
            learning_rate: f64::NAN,
            done: 0.0,
            losses: Curve::default(),
            speeds: VecDeque::new(),
            perplexities: None,
            activity: "preparing".to_owned(),
            log: Vec::new(),
            is_stopping: false,
            remaining: (f64::INFINITY, Instant::now()),
            earlier,
            trained: (0.0, Instant::now()),
        }
    }

    /// The training time, without the time between processes, in readable form.
    pub fn elapsed(&self) -> String {
        let (seconds, since) = self.trained;
        duration(seconds + since.elapsed().as_secs_f64())
    }

    /// Adds the metrics of earlier processes.
    fn take_earlier(&mut self, resumed: u64) {
        self.trained = (0.0, Instant::now());
        for line in std::mem::take(&mut self.earlier) {
            match line {
                Line::Step(step) if step.step <= resumed => {
                    self.add_loss(step.step, step.loss);
                    self.trained.0 = step.seconds;
                }
                Line::Valid(valid) if valid.step <= resumed => {
                    self.add_perplexity(valid.perplexity)
                }
                _ => {}
            }
        }
    }

    fn add_loss(&mut self, step: u64, loss: f64) {
        if loss > 0.0 {
            self.losses.push((step as f64, loss.ln()));
        }
    }

    fn add_perplexity(&mut self, perplexity: f64) {
        let best = self
            .perplexities
            .map_or(perplexity, |(_, best)| best.min(perplexity));
        self.perplexities = Some((perplexity, best));
    }

    /// The remaining time, for people.
    pub fn eta(&self) -> String {
        let (seconds, since) = self.remaining;
        duration(seconds - since.elapsed().as_secs_f64())
    }

    /// Takes an event.
    pub fn update(&mut self, event: Event) {
        match event {
            Event::Start {
                devices,
                parameters,
                resumed,
                memory,
                ..
            } => {
                self.devices = devices.join(" + ");
                self.memory = memory.iter().sum();
                self.parameters = parameters;
                self.take_earlier(resumed);
                if resumed > 0 {
                    self.log.push(format!("resumed after step {resumed}"));
                }
            }
            Event::Step {
                step,
                epoch,
                loss,
                words_per_second,
                learning_rate,
                done,
                left,
            } => {
                (self.step, self.epoch, self.loss) = (step, epoch, loss);
                (self.words_per_second, self.learning_rate) = (words_per_second, learning_rate);
                (self.done, self.remaining) = (done, (left, Instant::now()));
                self.activity = "training".to_owned();
                self.add_loss(step, loss);
                if self.speeds.len() == MAX_POINTS {
                    self.speeds.pop_front();
                }
                self.speeds.push_back(words_per_second as u64);
            }
            Event::Validating { done, total } => {
                self.activity = format!("validating {done}/{total}");
            }
            Event::Validations { text, costs } => self.log.push(format!("{text} {costs}")),
            Event::Valid {
                step,
                perplexity,
                on_all: Some(_),
                ..
            } => self.log.push(format!(
                "step {step}  validation perplexity {perplexity:.2} on all targets"
            )),
            Event::Valid {
                step, perplexity, ..
            } => {
                self.add_perplexity(perplexity);
                self.log.push(format!(
                    "step {step}  validation perplexity {}",
                    decimal(perplexity)
                ));
            }
            Event::Checkpoint { path } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.log.push(format!("saved {name}"));
            }
            Event::Note { text } | Event::Warning { text } => self.log.push(text),
            // Before training.
            Event::Device { .. } | Event::Working { .. } | Event::Worked { .. } => {}
            Event::Skipped { step, loss_scale } => self.log.push(format!(
                "step {step} skipped: gradients overflow f16 at a loss scale of {loss_scale}"
            )),
        }
    }
}
