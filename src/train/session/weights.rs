//! The parameters of a model: on devices, and with `model.tables = "host"` the tables in host memory.

use std::sync::Arc;

use super::pieces::in_pieces;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::device::{Executor, MemoryModel};
use crate::error::Result;
use crate::graph::memory::Limits;
use crate::model::clusters::Clusters;
use crate::model::limits::check_sizes;
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::{ParameterSpec, parameters};
use crate::train::host_tables::HostTables;
use crate::train::saved::check_parameters;

/// The parameters of a model, with what belongs to them (moving averages, optimizer state), on the devices of this process.
pub(super) struct ModelWeights {
    /// The configuration of the model.
    pub config: Config,
    /// The words of the vocabulary.
    pub vocabulary: usize,
    /// All parameters: name, shape, layout.
    pub table: Arc<[ParameterSpec]>,
    /// The clusters, with an adaptive softmax.
    pub clusters: Option<Clusters>,
    /// The devices, at least one. All hold the same parameters.
    pub executors: Vec<Box<dyn Executor>>,
    /// The device that is read from: the first that is not lost.
    pub primary: usize,
    /// The tables that are on the host.
    pub tables: HostTables,
    /// Whether the host has written tensors of devices since [`TrainingSession`](super::TrainingSession) last rounded
    /// parameters.
    pub written: bool,
}

impl ModelWeights {
    pub fn new(
        executors: Vec<Box<dyn Executor>>,
        config: &Config,
        vocabulary: usize,
        tables: HostTables,
    ) -> ModelWeights {
        ModelWeights {
            config: config.clone(),
            vocabulary,
            table: parameters(config, vocabulary).into(),
            clusters: Clusters::of(config, vocabulary),
            executors,
            primary: 0,
            tables,
            written: false,
        }
    }

    /// The weights of a trained model on a device, not loaded yet.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if a tensor is too large,
    /// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint does not fit the configuration,
    /// [`Kind::Device`](crate::error::Kind::Device) if the host is out of memory.
    pub fn for_inference(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
    ) -> Result<ModelWeights> {
        check_sizes(config, vocabulary, 1)?;
        let tables = HostTables::default();
        let mut weights = ModelWeights::new(vec![executor], config, vocabulary, tables);
        weights.check_parameters(file)?;
        weights.tables = HostTables::for_inference(config, vocabulary)?;
        Ok(weights)
    }

    /// The number of parameters.
    pub fn count(&self) -> u64 {
        self.table.iter().map(|line| line.shape.len() as u64).sum()
    }

    /// Whether a parameter has a moving average.
    pub fn has_average(&self, line: &ParameterSpec) -> bool {
        line.is_averaged(&self.config)
    }

    /// The device that evaluates and generates.
    pub fn first_device(&mut self) -> &mut dyn Executor {
        &mut *self.executors[0]
    }

    /// What the plans of that device must keep to.
    pub fn limits(&self) -> Limits {
        let limits = self.executors[0].limits();
        limits.binding_at_most(self.config.device.max_binding)
    }

    /// Sets recurrent states, given by name and length, on that device to zero.
    pub fn zero_states(&mut self, states: &[(String, usize)]) -> Result<()> {
        let device = self.first_device();
        states
            .iter()
            .try_for_each(|(name, len)| device.write(name, &vec![0.0; *len]))
    }

    /// Whether that device is a GPU that the CPU emulates.
    pub fn is_emulated(&self) -> bool {
        let memory = self.executors[self.primary].memory_info();
        memory.is_host && memory.model == MemoryModel::Device
    }

    /// Writes elements of a tensor from element `start` on: to the host, or to every device.
    pub fn write(&mut self, name: &str, start: usize, values: &[f32]) -> Result<()> {
        if self.tables.has(name) {
            self.tables.write(name, start, values);
            return Ok(());
        }
        self.written = true;
        self.executors
            .iter_mut()
            .try_for_each(|executor| executor.write_part(name, start, values))
    }

    /// Reads elements of a tensor from element `start` on. Tables on the host are read as of the last
    /// [`ModelWeights::sync_tables`].
    pub fn read(&mut self, name: &str, start: usize, values: &mut [f32]) -> Result<()> {
        if self.tables.has(name) {
            self.tables.read(name, start, values);
            return Ok(());
        }
        self.executors[self.primary].read_part(name, start, values)
    }

    /// Copies the rows that devices hold of tables on the host back to the host.
    pub fn sync_tables(&mut self) -> Result<()> {
        self.tables.sync(&mut *self.executors[self.primary])
    }

    /// Copies the cached rows of all devices back to the host. Later reads use only the host.
    pub fn forget_slots(&mut self) -> Result<()> {
        self.sync_tables()?;
        self.tables.forget_slots();
        Ok(())
    }

    /// Copies the tensor `name` of a file, which has the shape and layout of a parameter.
    pub fn load(&mut self, file: &Checkpoint, name: &str, line: &ParameterSpec) -> Result<()> {
        in_pieces(&line.shape, |start, rows| {
            file.read_f32(name, start, rows)?;
            line.layout.interleave(rows);
            self.write(name, start, rows)
        })
    }

    /// Loads the parameters that the plans of evaluation and generation read.
    pub fn load_set(&mut self, file: &Checkpoint, set: ParameterSet) -> Result<()> {
        for line in self.table.clone().iter() {
            let name = set.tensor(&self.config, line.group, &line.name);
            self.load(file, &name, line)?;
        }
        Ok(())
    }

    /// Checks that a file has every parameter, and every moving average or none; other tensors of a checkpoint are allowed.
    pub fn check_parameters(&self, file: &Checkpoint) -> Result<()> {
        check_parameters(file, &self.table)
    }
}
