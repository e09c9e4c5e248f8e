//! All requirements of a run, and whether a device and its host meet them.

use serde::Serialize;

use super::device::DeviceBytes;
use super::host::HostBytes;
use super::spec::{RunSpec, Topology};
use crate::device::{Footprint, MemoryInfo, MemoryModel};
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::train::plans::{RunPlans, refusal};

/// The requirements of a run on one of its devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Memory of the device.
    #[serde(rename = "bytes")]
    pub device: DeviceBytes,
    /// Host memory. A device that uses host memory requires both there.
    #[serde(rename = "host_bytes")]
    pub host: HostBytes,
    /// Dispatches of a training step.
    pub dispatches_per_step: usize,
    /// Dispatches of a batch of validation.
    pub dispatches_per_evaluation_batch: Option<usize>,
    /// Why the device cannot run the plans, however much memory it has.
    pub refusal: Option<String>,
}

impl Estimate {
    /// Of a run on devices with these limits.
    pub fn of(run: &RunSpec<'_>, limits: &Limits, model: MemoryModel) -> Estimate {
        Estimate::of_plans(&run.plans(limits), run, limits, model)
    }

    /// The same, of plans that are built already.
    pub fn of_plans(
        plans: &RunPlans,
        run: &RunSpec<'_>,
        limits: &Limits,
        model: MemoryModel,
    ) -> Estimate {
        let footprint = Footprint::of(plans.iter(), model);
        let limits = limits.binding_at_most(run.config.device.max_binding);
        let dispatches = |plan: &Plan| plan.unconditional().count();
        let step = plans.step.iter().map(|plan| dispatches(plan));
        let exchange = plans.table_exchange.iter().map(|plan| dispatches(plan));
        let evaluation = plans.batch_of_evaluation().map(|plan| dispatches(plan));
        Estimate {
            device: DeviceBytes::of(&footprint),
            host: HostBytes::of(plans, run, &footprint, model),
            dispatches_per_step: step.chain(exchange).sum(),
            dispatches_per_evaluation_batch: plans.validates.then(|| evaluation.sum()),
            refusal: plans.iter().find_map(|plan| refusal(plan, &limits)),
        }
    }

    /// The bytes that must be free where the device has its memory. `sharing` is the number of the run's devices
    /// that use the same memory: a GPU that is given twice, or host memory.
    pub fn need(&self, memory: &MemoryInfo, sharing: usize, topology: Topology) -> u64 {
        let devices = sharing as u64 * self.device.total;
        if memory.is_host {
            topology.local_processes as u64 * (devices + self.host.total)
        } else {
            devices
        }
    }

    /// The bytes that must be free on the host, for a device with its own memory.
    pub fn need_of_host(&self, memory: &MemoryInfo, topology: Topology) -> u64 {
        if memory.is_host {
            0
        } else {
            topology.local_processes as u64 * self.host.total
        }
    }

    /// Whether the run fits on the device and on the host. `None` if the memory of the device is not known.
    pub fn fits(&self, memory: &MemoryInfo, sharing: usize, topology: Topology) -> Option<bool> {
        let on_device = memory
            .bytes
            .map(|bytes| self.need(memory, sharing, topology) <= bytes);
        let on_host = memory
            .host
            .is_none_or(|bytes| self.need_of_host(memory, topology) <= bytes);
        if self.refusal.is_some() || !on_host {
            return Some(false);
        }
        on_device
    }
}
