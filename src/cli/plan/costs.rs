//! The costs of a model and its training.

use std::path::PathBuf;

use serde::Serialize;

use super::args::PlanArgs;
use super::on_device::{OnDevice, Question, on_devices};
use super::softmax::{SoftmaxChoice, choices, cost_in};
use super::vocabulary::{VocabularySize, VocabularySource};
use crate::config::Config;
use crate::graph::memory::Limits;
use crate::train::estimate::{CommunicationCost, DeviceBytes, RunSpec, Topology};

/// The document that `--json` prints.
#[derive(Serialize)]
pub(super) struct Costs {
    pub config: PathBuf,
    /// Words in the vocabulary.
    pub vocabulary: usize,
    pub vocabulary_from: VocabularySource,
    pub tensors: Vec<Tensor>,
    pub recurrent_parameters: u64,
    pub parameters: u64,
    pub flops_per_word: u64,
    /// The configured softmax, then the other kinds.
    pub softmax: Vec<SoftmaxChoice>,
    pub devices: u64,
    pub words_per_step: u64,
    pub precision: &'static str,
    pub recompute: bool,
    /// On the first of `places`, the device that `auto` selects.
    dispatches_per_step: usize,
    /// On the first of `places`.
    dispatches_per_evaluation_batch: Option<usize>,
    /// On the first of `places`.
    bytes_per_device: DeviceBytes,
    /// Of each device.
    pub exchange_bytes_per_step: CommunicationCost,
    pub places: Vec<OnDevice>,
}

/// A tensor of parameters.
#[derive(Serialize)]
pub(super) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub parameters: u64,
}

impl Costs {
    /// The costs of a configuration.
    pub fn new(arguments: &PlanArgs, config: &Config, vocabulary: &VocabularySize) -> Costs {
        let cost = cost_in(config, vocabulary);
        let tensors = cost.table.iter().map(|line| Tensor {
            name: line.name.clone(),
            shape: line.shape.0.clone(),
            parameters: line.shape.len() as u64,
        });
        let devices = arguments.devices as usize;
        let places = on_devices(&Question {
            config,
            words: vocabulary.words,
            devices,
            memory: arguments.memory,
        });
        let first = &places[0].estimate;
        let run = RunSpec {
            config,
            vocabulary: vocabulary.words,
            topology: Topology {
                devices,
                ..Topology::SINGLE
            },
        };
        let plans = run.plans(&Limits::HOST);
        Costs {
            config: arguments.config.clone(),
            vocabulary: vocabulary.words,
            vocabulary_from: vocabulary.source,
            tensors: tensors.collect(),
            recurrent_parameters: cost.recurrent,
            parameters: cost.parameters,
            flops_per_word: cost.flops_per_word,
            softmax: choices(config, vocabulary),
            devices: arguments.devices,
            words_per_step: arguments.devices
                * (config.train.accumulate * config.train.batch * config.train.unroll) as u64,
            precision: config.train.precision.as_str(),
            recompute: config.train.recompute,
            dispatches_per_step: first.dispatches_per_step,
            dispatches_per_evaluation_batch: first.dispatches_per_evaluation_batch,
            bytes_per_device: first.device.clone(),
            exchange_bytes_per_step: CommunicationCost::of(
                plans.reduced_gradients(),
                config,
                arguments.devices,
            ),
            places,
        }
    }
}
