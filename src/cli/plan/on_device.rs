//! The costs of a run on each device of this machine.

use serde::Serialize;

use crate::config::Config;
use crate::device::{MemoryInfo, MemoryModel, adapters, available_memory};
use crate::graph::memory::Limits;
use crate::train::estimate::{Change, Estimate, RunSpec, Topology, changes};

/// The run in question.
pub(super) struct Question<'a> {
    pub config: &'a Config,
    /// Words in the vocabulary.
    pub words: usize,
    /// Devices that train together.
    pub devices: usize,
    /// The memory to compare with, in place of that of each device.
    pub memory: Option<u64>,
}

impl Question<'_> {
    /// The memory of a device, or the memory given with `--memory`. In that case an adapter is treated as a GPU
    /// with its own memory.
    fn memory_of(&self, memory: MemoryInfo) -> MemoryInfo {
        MemoryInfo {
            bytes: self.memory.or(memory.bytes),
            is_host: memory.is_host && (self.memory.is_none() || memory.adapter.is_none()),
            ..memory
        }
    }
}

/// Kinds of devices.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeviceKind {
    /// The processor of this machine.
    Cpu,
    /// A GPU.
    Gpu,
    /// A software adapter, which uses host memory.
    Software,
    /// Any GPU, with the limits that all GPUs have, where none was found.
    Any,
}

/// A device and the costs of the run on it.
#[derive(Serialize)]
pub(super) struct OnDevice {
    /// The name for `--device`.
    pub device: String,
    pub name: String,
    pub kind: DeviceKind,
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The bytes needed in device memory. For a device that uses host memory, this includes the bytes needed by the host.
    pub need: u64,
    /// The bytes available there: free host memory, or the total memory of a GPU, or `--memory`. Null: unknown.
    pub available: Option<u64>,
    /// The bytes needed in host memory, for a device with its own memory.
    pub need_of_host: u64,
    /// The bytes available there. Null: unknown.
    pub available_of_host: Option<u64>,
    /// Null: unknown.
    pub fits: Option<bool>,
    /// Changes of the configuration that would make it fit.
    pub changes: Vec<Change>,
}

/// The names of a device.
struct Names {
    device: String,
    name: String,
    kind: DeviceKind,
}

impl OnDevice {
    fn new(question: &Question<'_>, names: Names, limits: &Limits, memory: MemoryInfo) -> OnDevice {
        let &Question { config, words, .. } = question;
        let memory = &question.memory_of(memory);
        // GPUs are assumed to be in one machine. Devices that use host memory are assumed to be in separate
        // machines.
        let topology = Topology {
            devices: question.devices,
            local_devices: if memory.is_host { 1 } else { question.devices },
            local_processes: 1,
        };
        let run = RunSpec {
            config,
            vocabulary: words,
            topology,
        };
        let estimate = Estimate::of(&run, limits, memory.model);
        let fits = estimate.fits(memory, 1, topology);
        OnDevice {
            device: names.device,
            name: names.name,
            kind: names.kind,
            need: estimate.need(memory, 1, topology),
            available: memory.bytes,
            need_of_host: estimate.need_of_host(memory, topology),
            available_of_host: memory.host,
            fits,
            changes: match fits {
                Some(false) => changes(&run, 1, limits, memory),
                _ => Vec::new(),
            },
            estimate,
        }
    }
}

/// The run on every adapter and on the CPU, in the order in which `auto` prefers them. Without an adapter: on any GPU.
pub(super) fn on_devices(question: &Question<'_>) -> Vec<OnDevice> {
    let on_units = question.config.train.precision.multiplies_halves();
    let mut found = Vec::new();
    for adapter in adapters() {
        let summary = &adapter.summary;
        let names = Names {
            device: format!("gpu:{}", summary.index),
            name: summary.name.clone(),
            kind: if summary.is_hardware() {
                DeviceKind::Gpu
            } else {
                DeviceKind::Software
            },
        };
        let mut limits = adapter.limits(on_units);
        if question.memory.is_some() {
            limits.multiprocessors = Limits::COMMON.multiprocessors;
        }
        found.push(OnDevice::new(
            question,
            names,
            &limits,
            adapter.memory_info(),
        ));
    }
    if found.is_empty() {
        found.push(on_any_gpu(question));
    }
    let software = found.iter().position(|one| one.kind != DeviceKind::Gpu);
    found.insert(software.unwrap_or(found.len()), on_cpu(question));
    found
}

fn on_cpu(question: &Question<'_>) -> OnDevice {
    let names = Names {
        device: "cpu".to_owned(),
        name: "this machine".to_owned(),
        kind: DeviceKind::Cpu,
    };
    let memory = MemoryInfo {
        model: MemoryModel::Host,
        is_host: true,
        bytes: available_memory(),
        host: available_memory(),
        adapter: None,
    };
    OnDevice::new(question, names, &Limits::HOST, memory)
}

fn on_any_gpu(question: &Question<'_>) -> OnDevice {
    let names = Names {
        device: "gpu".to_owned(),
        name: "none found; these are the limits of all GPUs".to_owned(),
        kind: DeviceKind::Any,
    };
    let memory = MemoryInfo {
        model: MemoryModel::Device,
        is_host: false,
        bytes: None,
        host: available_memory(),
        adapter: None,
    };
    OnDevice::new(question, names, &Limits::COMMON, memory)
}
