//! The run whose requirements are estimated.

use crate::config::Config;
use crate::device::Executor;
use crate::graph::memory::Limits;
use crate::model::language_model::Division;
use crate::train::plans::RunPlans;

/// The devices and processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// All devices.
    pub devices: usize,
    /// The devices of this process.
    pub local_devices: usize,
    /// The processes of the job on this machine. Each requires as much.
    pub local_processes: usize,
}

impl Topology {
    /// One device.
    pub const SINGLE: Topology = Topology {
        devices: 1,
        local_devices: 1,
        local_processes: 1,
    };
}

/// A training run.
#[derive(Clone, Copy, Debug)]
pub struct RunSpec<'a> {
    /// Its configuration.
    pub config: &'a Config,
    /// The words of its vocabulary.
    pub vocabulary: usize,
    /// Its devices and processes.
    pub topology: Topology,
}

impl RunSpec<'_> {
    /// The plans of a device with these limits.
    pub fn plans(&self, limits: &Limits) -> RunPlans {
        RunPlans::new(self.config, self.vocabulary, limits, self.division(), 0)
    }

    /// The plans of each of these devices, the first of which is device `first` of the run.
    pub fn plans_for_devices(
        &self,
        executors: &[Box<dyn Executor>],
        first: usize,
    ) -> Vec<RunPlans> {
        let division = self.division();
        RunPlans::for_devices(self.config, self.vocabulary, executors, division, first)
    }

    fn division(&self) -> Division {
        Division {
            devices: self.topology.devices,
            micro_batches: self.config.train.accumulate,
        }
    }
}
