//! `wlstm plan`: what a model and its training cost, from the configuration. The plans of a run are built as `train` builds them,
//! for the CPU and every adapter found, but nothing is run and no tensor is made.

mod args;
mod text;

pub(super) use self::args::PlanArgs;
use std::path::PathBuf;

use serde::Serialize;

use super::args::Invocation;
use super::context::{vocabulary, vocabulary_file};
use super::output;
use crate::config::{Config, Precision};
use crate::corpus::Corpus;
use crate::device::{Room, Taking, adapters, available_memory};
use crate::error::{Error, Result};
use crate::graph::memory::Limits;
use crate::model::cost::{check_sizes, cost};
use crate::train::estimate::{
    Change, CommunicationCost, DeviceBytes, Estimate, Plans, Topology, changes,
};

/// Prints the costs.
pub(super) fn run(arguments: &PlanArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let config = Config::load(&arguments.config, &arguments.overrides.set)?;
    let (words, source) = vocabulary_size(&config, quiet)?;
    check_sizes(&config, words, arguments.devices as usize)?;
    let costs = Costs::new(arguments, &config, (words, source));
    if arguments.json {
        return output::print_json(&costs);
    }
    output::print(costs.to_string().as_bytes())
}

/// Where the size of the vocabulary is from.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The file `data.vocab`.
    File,
    /// The number `data.vocab_size`, which the file `data.vocab` must have.
    VocabSize,
    /// The number `data.vocab_size`, at which the words of the training text are cut: there may be fewer.
    #[serde(rename = "vocab_size")]
    Most,
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
        let source = match data.vocab {
            Some(_) => Source::VocabSize,
            None => Source::Most,
        };
        return Ok((data.vocab_size, source));
    }
    let corpus = Corpus::training(data).map_err(unknown_size)?;
    Ok((
        vocabulary(config, Some(&corpus), quiet)?.len(),
        Source::Text,
    ))
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

/// What kind of device there is, or would be.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// This machine's processor.
    Cpu,
    /// An adapter.
    Gpu,
    /// An adapter that is software and lives in the memory of the host.
    Software,
    /// Any GPU, where none was found: with the limits that all have.
    Any,
}

/// A device and what the run takes on it.
#[derive(Serialize)]
struct Place {
    /// As `--device` takes it.
    device: String,
    name: String,
    kind: Kind,
    #[serde(flatten)]
    estimate: Estimate,
    /// The bytes that must be free where the device has its memory: for one in the host's memory those of the host too.
    need: u64,
    /// The bytes that are: free ones of the host, or all of a card; what was asked about, if so. Null: nobody knows.
    available: Option<u64>,
    /// The bytes that must be free in the memory of the host beside a device with memory of its own.
    need_of_host: u64,
    /// The bytes that are. Null: nobody knows.
    available_of_host: Option<u64>,
    /// Null: nobody knows.
    fits: Option<bool>,
    /// What to change if it does not fit.
    changes: Vec<Change>,
}

impl Place {
    fn new(
        (device, name, kind): (String, String, Kind),
        config: &Config,
        (words, devices): (usize, usize),
        limits: &Limits,
        room: &Room,
    ) -> Place {
        // Other cards are in the same machine; what lives in the memory of a host has a machine of its own.
        let topology = Topology {
            devices,
            here: if room.is_host { 1 } else { devices },
            processes: 1,
        };
        let estimate = Estimate::of(config, words, topology, limits, room.taking);
        let fits = estimate.fits(room, 1, topology);
        Place {
            device,
            name,
            kind,
            need: estimate.need(room, 1, topology),
            available: room.bytes,
            need_of_host: estimate.need_of_host(room, topology),
            available_of_host: room.host,
            fits,
            changes: match fits {
                Some(false) => changes(config, words, (topology, 1), limits, room),
                _ => Vec::new(),
            },
            estimate,
        }
    }
}

/// The run on the CPU and on every adapter; `memory` bytes are asked about instead of what they have.
fn places(config: &Config, words: (usize, usize), memory: Option<u64>) -> Vec<Place> {
    // Who asks about an adapter with so much memory asks about a card.
    let asked = |room: Room| Room {
        bytes: memory.or(room.bytes),
        is_host: room.is_host && (memory.is_none() || room.adapter.is_none()),
        ..room
    };
    let mut places = Vec::new();
    for adapter in adapters() {
        let summary = &adapter.summary;
        let kind = match summary.is_real() {
            true => Kind::Gpu,
            false => Kind::Software,
        };
        let names = (format!("gpu:{}", summary.index), summary.name.clone(), kind);
        let room = asked(adapter.room());
        let mut limits = adapter.limits(config.train.precision == Precision::Mixed);
        if memory.is_some() {
            limits.workgroups = Limits::COMMON.workgroups;
        }
        places.push(Place::new(names, config, words, &limits, &room));
    }
    let cpu = Room {
        taking: Taking::Host,
        is_host: true,
        bytes: available_memory(),
        host: available_memory(),
        adapter: None,
    };
    let names = ("cpu".to_owned(), "this machine".to_owned(), Kind::Cpu);
    let on_cpu = Place::new(names, config, words, &Limits::HOST, &asked(cpu));
    if places.is_empty() {
        let any = Room {
            taking: Taking::Device,
            is_host: false,
            bytes: None,
            host: available_memory(),
            adapter: None,
        };
        let name = "none was found: one with the limits that all have";
        let names = ("gpu".to_owned(), name.to_owned(), Kind::Any);
        places.push(Place::new(
            names,
            config,
            words,
            &Limits::COMMON,
            &asked(any),
        ));
    }
    // What `auto` takes first.
    let software = places.iter().position(|place| place.kind != Kind::Gpu);
    places.insert(software.unwrap_or(places.len()), on_cpu);
    places
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
    precision: &'static str,
    recompute: bool,
    /// Those of the first place: the device that is taken where none is named.
    dispatches_per_step: usize,
    /// The same.
    dispatches_per_evaluation_batch: Option<usize>,
    /// The same.
    bytes_per_device: DeviceBytes,
    /// Of each device.
    exchange_bytes_per_step: CommunicationCost,
    places: Vec<Place>,
}

impl Costs {
    fn new(
        arguments: &PlanArgs,
        config: &Config,
        (vocabulary, vocabulary_from): (usize, Source),
    ) -> Costs {
        let cost = cost(config, vocabulary);
        let tensors = cost.table.iter().map(|line| Tensor {
            name: line.name.clone(),
            shape: line.shape.0.clone(),
            parameters: line.shape.len() as u64,
        });
        let devices = arguments.devices as usize;
        let places = places(config, (vocabulary, devices), arguments.memory);
        let first = &places[0].estimate;
        let plans = Plans::of(config, vocabulary, &Limits::HOST, devices);
        Costs {
            config: arguments.config.clone(),
            vocabulary,
            vocabulary_from,
            tensors: tensors.collect(),
            recurrent_parameters: cost.recurrent,
            parameters: cost.parameters,
            flops_per_word: cost.flops_per_word,
            devices: arguments.devices,
            words_per_step: arguments.devices
                * (config.train.accumulate * config.train.batch * config.train.unroll) as u64,
            precision: config.train.precision.as_str(),
            recompute: config.train.recompute,
            dispatches_per_step: first.dispatches_per_step,
            dispatches_per_evaluation_batch: first.dispatches_per_evaluation_batch,
            bytes_per_device: first.device.clone(),
            exchange_bytes_per_step: CommunicationCost::of(&plans.left, config, arguments.devices),
            places,
        }
    }
}
