//! `wlstm plan`: what a model costs, from its configuration. The plan of a training step is built, but no device is used and no
//! tensor is made.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::arguments::Plan;
use super::context::{vocabulary, vocabulary_file};
use super::progress::grouped;
use crate::config::Config;
use crate::corpus::Corpus;
use crate::device::bytes;
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::{Place, Plan as Steps};
use crate::model::cost::{Cost, check_sizes, cost};
use crate::model::language_model;
use crate::tensor::Shape;
use crate::train::evaluate::extent;
use crate::train::update::training_plan;

/// Bytes of an element on a device.
const WORD: u64 = 4;

/// Prints the costs.
pub(super) fn run(arguments: &Plan, quiet: bool) -> Result<()> {
    let config = Config::load(&arguments.config, &arguments.overrides.set)?;
    let (words, source) = vocabulary_size(&config, quiet)?;
    check_sizes(&config, words, 1)?;
    let costs = Costs::new(arguments, &config, (words, source), &plans(&config, words));
    if arguments.json {
        return super::print_json(&costs);
    }
    super::print(costs.to_string().as_bytes())
}

/// The plans that a training run holds on its device: of training first, of validation, of the sample at the end.
fn plans(config: &Config, words: usize) -> Vec<Steps> {
    let limits = Limits {
        packed: true,
        ..Limits::HOST
    };
    let prefix = language_model::evaluation_prefix(config);
    let mut plans = vec![training_plan(config, words, &limits, false)];
    if !config.data.valid.is_empty() {
        plans.push(language_model::evaluation(
            config,
            words,
            extent(config),
            prefix,
            &limits,
        ));
    }
    plans.push(language_model::logits(config, words, 1, prefix, &limits));
    plans
}

/// Where the size of the vocabulary is from.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The file `data.vocab`.
    File,
    /// The number `data.vocab_size`.
    VocabSize,
    /// The words of the training text.
    Text,
}

/// The size of the vocabulary, without the text where that is possible.
pub(super) fn vocabulary_size(config: &Config, quiet: bool) -> Result<(usize, Source)> {
    let data = &config.data;
    if let Some(path) = &data.vocab
        && (path.exists() || data.vocab_size == 0)
    {
        let vocabulary = vocabulary_file(config, path).map_err(unknown_size)?;
        return Ok((vocabulary.len(), Source::File));
    }
    if data.vocab_size > 0 {
        return Ok((data.vocab_size, Source::VocabSize));
    }
    let corpus = Corpus::open(&data.train).map_err(unknown_size)?;
    Ok((vocabulary(config, &corpus, quiet)?.len(), Source::Text))
}

fn unknown_size(error: Error) -> Error {
    error
        .context("the size of the vocabulary is not known")
        .help("bring the file, or give the size with --set data.vocab_size=N")
}

/// A line of the table of parameters.
#[derive(Serialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    parameters: u64,
}

/// Bytes on a device.
#[derive(Serialize)]
struct Memory {
    parameters: u64,
    optimizer: u64,
    moving_average: u64,
    /// The recurrent states that are carried from step to step, of training and of validation.
    state: u64,
    /// What lives within a step: activations and gradients, which share memory, with those of validation too.
    activations: u64,
    /// What the host writes and reads.
    inputs_and_outputs: u64,
    total: u64,
}

/// What `--json` prints, and as text what is printed without.
#[derive(Serialize)]
struct Costs {
    config: PathBuf,
    vocabulary: usize,
    vocabulary_from: Source,
    tensors: Vec<Tensor>,
    recurrent_parameters: u64,
    parameters: u64,
    flops_per_word: u64,
    devices: u64,
    words_per_step: u64,
    dispatches_per_step: usize,
    precision: &'static str,
    bytes_per_device: Memory,
}

impl Costs {
    fn new(
        arguments: &Plan,
        config: &Config,
        (vocabulary, vocabulary_from): (usize, Source),
        plans: &[Steps],
    ) -> Costs {
        let cost = cost(config, vocabulary);
        let tensors = cost.table.iter().map(|line| Tensor {
            name: line.name.clone(),
            shape: line.shape.0.clone(),
            parameters: line.shape.len() as u64,
        });
        Costs {
            config: arguments.config.clone(),
            vocabulary,
            vocabulary_from,
            tensors: tensors.collect(),
            recurrent_parameters: cost.recurrent,
            parameters: cost.parameters,
            flops_per_word: cost.flops_per_word,
            devices: arguments.devices,
            words_per_step: arguments.devices * (config.train.batch * config.train.unroll) as u64,
            dispatches_per_step: plans[0].steps.len(),
            precision: config.train.precision.as_str(),
            bytes_per_device: Memory::new(&cost, plans),
        }
    }
}

impl Memory {
    fn new(cost: &Cost, plans: &[Steps]) -> Memory {
        let of = |place: Place| -> u64 {
            plans
                .iter()
                .flat_map(Steps::tensors)
                .filter(|(_, info)| info.place == place)
                .map(|(_, info)| info.shape.len() as u64 * WORD)
                .sum()
        };
        let state = plans
            .iter()
            .flat_map(language_model::states)
            .map(|(_, len)| len as u64 * WORD)
            .sum();
        // Plans run one after the other and share their arenas.
        let mut arenas: Vec<usize> = Vec::new();
        for plan in plans {
            arenas.resize(arenas.len().max(plan.arenas.len()), 0);
            for (arena, &len) in arenas.iter_mut().zip(&plan.arenas) {
                *arena = len.max(*arena);
            }
        }
        let activations = arenas.iter().map(|&len| len as u64 * WORD).sum();
        let inputs_and_outputs = of(Place::Input) + of(Place::Output);
        let (parameters, optimizer) = (cost.parameter_bytes, cost.optimizer_bytes);
        let moving_average = cost.average_bytes;
        Memory {
            parameters,
            optimizer,
            moving_average,
            state,
            activations,
            inputs_and_outputs,
            total: parameters
                + optimizer
                + moving_average
                + state
                + activations
                + inputs_and_outputs,
        }
    }
}

impl fmt::Display for Costs {
    /// A table of at most 80 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.vocabulary_from {
            Source::File => "its file",
            Source::VocabSize => "data.vocab_size",
            Source::Text => "the training text",
        };
        writeln!(f, "{}", self.config.display())?;
        writeln!(
            f,
            "vocabulary: {} words, from {from}; precision: {}\n",
            grouped(self.vocabulary as u64),
            self.precision
        )?;
        writeln!(f, "{:<32}{:<22}{:>20}", "parameter", "shape", "count")?;
        for tensor in &self.tensors {
            let shape = Shape(tensor.shape.clone()).to_string();
            let count = grouped(tensor.parameters);
            writeln!(f, "{:<32}{shape:<22}{count:>20}", tensor.name)?;
        }
        writeln!(f)?;
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<54}{:>20}", grouped(value));
        line("recurrent parameters", self.recurrent_parameters)?;
        line("parameters", self.parameters)?;
        line("FLOPs per word", self.flops_per_word)?;
        line("devices", self.devices)?;
        line("words per step", self.words_per_step)?;
        line(
            "dispatches per step and device",
            self.dispatches_per_step as u64,
        )?;
        writeln!(f, "\n{:<42}{:>32}", "memory of a device", "bytes")?;
        let memory = &self.bytes_per_device;
        for (name, count) in [
            ("parameters", memory.parameters),
            ("optimizer", memory.optimizer),
            ("moving average", memory.moving_average),
            ("recurrent state", memory.state),
            ("activations and gradients", memory.activations),
            ("inputs and outputs", memory.inputs_and_outputs),
            ("total", memory.total),
        ] {
            writeln!(f, "{name:<42}{:>12}{:>20}", bytes(count), grouped(count))?;
        }
        Ok(())
    }
}
