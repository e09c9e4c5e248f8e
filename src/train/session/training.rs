//! Training steps of a model on one device or several.

use std::collections::VecDeque;

use super::evaluation::{Evaluator, LoadedEvaluation};
use super::generation::{LoadedGeneration, Predictor};
use super::loaded_step::LoadedStep;
use super::step_result::StepResult;
use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::device::{Executor, PlanId, Profile};
use crate::error::{Error, Result};
use crate::graph::plan::Plan;
use crate::model::language_model::{self, Division};
use crate::model::limits::check_sizes;
use crate::model::parameter_set::ParameterSet;
use crate::train::collective::{Collective, SingleProcess};
use crate::train::host_tables::HostTables;
use crate::train::plans::{RunPlans, load, validation_extent};
use crate::train::prepare::StepInputs;

/// A model in training.
pub struct TrainingSession {
    pub(super) weights: ModelWeights,
    pub(super) collective: Box<dyn Collective>,
    pub(super) division: Division,
    /// The plans of the first device.
    pub(super) plans: RunPlans,
    /// Names and lengths of the recurrent states of a micro-batch.
    pub(super) states: Vec<(String, usize)>,
    /// Whether a step has started but not its update. The recurrent states are then those of an incomplete step.
    pub(super) incomplete: bool,
    step: LoadedStep,
    /// On each device, the plan that rounds parameters to `f16`; empty if there is none.
    rounding: Vec<PlanId>,
    /// For each set of parameters.
    evaluation: [Option<LoadedEvaluation>; 2],
    generation: [Option<LoadedGeneration>; 2],
    /// What was started and not fetched, oldest first.
    runs: VecDeque<Run>,
    /// Steps whose update was started on every device that is not lost.
    updates: u64,
}

/// A run of plans.
#[derive(Clone, Copy, PartialEq)]
enum Run {
    Step,
    /// A plan without outputs that runs before a step: the exchange of tables, or the rounding of parameters.
    Preparation,
}

impl TrainingSession {
    /// Trains on one device.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory,
    /// [`Kind::Usage`](crate::error::Kind::Usage) if a tensor is too large to be indexed.
    pub fn on_device(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
    ) -> Result<TrainingSession> {
        TrainingSession::new(vec![executor], Box::new(SingleProcess), config, vocabulary)
    }

    /// Trains on several devices: those of this process and, by `collective`, those of other processes. Each
    /// device has `train.batch` streams in each micro-batch.
    ///
    /// # Errors
    ///
    /// Same as [`TrainingSession::on_device`].
    ///
    /// # Panics
    ///
    /// If there is no executor.
    pub fn new(
        executors: Vec<Box<dyn Executor>>,
        collective: Box<dyn Collective>,
        config: &Config,
        vocabulary: usize,
    ) -> Result<TrainingSession> {
        let division = division(&executors, &*collective, config);
        check_sizes(config, vocabulary, division.devices)?;
        let first = collective.rank() * executors.len();
        let plans = RunPlans::for_devices(config, vocabulary, &executors, division, first);
        TrainingSession::with_plans(executors, collective, config, vocabulary, plans)
    }

    /// The same with plans that are built already: one [`RunPlans`] for each executor.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory.
    ///
    /// # Panics
    ///
    /// If there is no executor, or not as many plans as executors.
    pub fn with_plans(
        mut executors: Vec<Box<dyn Executor>>,
        collective: Box<dyn Collective>,
        config: &Config,
        vocabulary: usize,
        mut plans: Vec<RunPlans>,
    ) -> Result<TrainingSession> {
        assert_eq!(plans.len(), executors.len(), "plans for each device");
        let division = division(&executors, &*collective, config);
        let step = LoadedStep::load(&mut executors, config, division, &plans)?;
        let mut tables = HostTables::for_training(config, vocabulary, division)?;
        let mut rounding = Vec::new();
        for (executor, plans) in executors.iter_mut().zip(&plans) {
            if let Some(plan) = &plans.rounding {
                rounding.push(load(&mut **executor, config, plan)?);
            }
            if let Some(plan) = &plans.table_exchange {
                tables.add_exchange(load(&mut **executor, config, plan)?);
            }
        }
        let plans = plans.swap_remove(0);
        let first = plans.step.first();
        tracing::debug!(steps = first.steps.len(), arenas = ?first.arenas, "training plan");
        Ok(TrainingSession {
            states: language_model::states(first),
            weights: ModelWeights::new(executors, config, vocabulary, tables),
            collective,
            division,
            plans,
            incomplete: false,
            step,
            rounding,
            evaluation: [None, None],
            generation: [None, None],
            runs: VecDeque::new(),
            updates: 0,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.weights.config
    }

    /// The words of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.weights.vocabulary
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> u64 {
        self.weights.count()
    }

    /// How the batch of a step is divided.
    pub fn division(&self) -> Division {
        self.division
    }

    /// The collective operations over the processes of the run.
    pub fn collective(&mut self) -> &mut dyn Collective {
        &mut *self.collective
    }

    /// Whether this process writes the run folder.
    pub fn is_root(&self) -> bool {
        self.collective.is_root()
    }

    /// The devices of this process, for people.
    pub fn describe(&self) -> Vec<String> {
        let executors = self.weights.executors.iter();
        executors.map(|executor| executor.describe()).collect()
    }

    /// The bytes that each device has allocated, as [`Executor::allocated_bytes`] counts them.
    pub fn allocated_bytes(&self) -> Vec<u64> {
        let executors = self.weights.executors.iter();
        executors
            .map(|executor| executor.allocated_bytes())
            .collect()
    }

    /// Whether the first device is a GPU that the CPU emulates.
    pub fn is_emulated(&self) -> bool {
        self.weights.is_emulated()
    }

    /// How many steps may be in flight before one is fetched.
    pub fn in_flight(&self) -> usize {
        if self.division.devices == 1 {
            self.weights.executors[0].in_flight()
        } else {
            // The host has waited for the gradients.
            1
        }
    }

    /// Steps whose update was started since the start of the session, on every device that is not lost.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The plan of a training step, or of its first micro-batch.
    pub fn training_plan(&self) -> &Plan {
        self.plans.step.first()
    }

    /// Starts a training step. Results are fetched later, in order: see [`TrainingSession::fetch`].
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a device is lost.
    pub fn step(&mut self, mut inputs: StepInputs) -> Result<()> {
        self.prepare(&mut inputs)?;
        let executors = &mut self.weights.executors;
        match &mut self.step {
            LoadedStep::Whole(id) => {
                executors[0].run(*id, &inputs.parts[0])?;
                self.updates += 1;
            }
            LoadedStep::Divided(step) => {
                self.incomplete = true;
                step.start(executors, &*self.collective, &mut inputs)?;
                self.weights.tables.receive(&mut *executors[0])?;
                step.reduce(executors, &mut *self.collective)?;
                // From here on every device that is not lost completes the step.
                (self.updates, self.incomplete) = (self.updates + 1, false);
                step.update(executors, &mut inputs)?;
            }
        }
        self.runs.push_back(Run::Step);
        Ok(())
    }

    /// Starts the plans that run before a step. With tables on the host, moves the rows that the step needs to the devices. If the
    /// host has written parameters that have an `f16` copy, writes the copies.
    fn prepare(&mut self, inputs: &mut StepInputs) -> Result<()> {
        let weights = &mut self.weights;
        if !weights.tables.is_empty() {
            let moves = std::mem::take(&mut inputs.moves);
            weights.tables.exchange(&mut weights.executors, moves)?;
            self.runs.push_back(Run::Preparation);
        }
        if std::mem::take(&mut weights.written) && !self.rounding.is_empty() {
            for (executor, plan) in weights.executors.iter_mut().zip(&self.rounding) {
                executor.run(*plan, &Vec::new())?;
            }
            self.runs.push_back(Run::Preparation);
        }
        Ok(())
    }

    /// Runs the forward and backward pass of a step and measures each dispatch; of a divided step, of the
    /// first micro-batch only. All steps before it must have been fetched.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn profile(&mut self, mut inputs: StepInputs) -> Result<Profile> {
        self.prepare(&mut inputs)?;
        self.settle()?;
        let id = match &self.step {
            LoadedStep::Whole(id) => *id,
            LoadedStep::Divided(step) => step.first_micro_batch(),
        };
        self.weights.executors[0].profile(id, &inputs.parts[0])
    }

    /// Waits for the oldest step that was not fetched.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a device is lost.
    pub fn fetch(&mut self) -> Result<StepResult> {
        self.settle()?;
        self.runs.pop_front();
        let executors = &mut self.weights.executors;
        match &mut self.step {
            LoadedStep::Whole(_) => Ok(StepResult::of(&executors[0].fetch()?)),
            LoadedStep::Divided(step) => step.fetch(executors, &mut *self.collective),
        }
    }

    /// Fetches the plans that ran before the oldest step.
    pub(super) fn settle(&mut self) -> Result<()> {
        while self.runs.front() == Some(&Run::Preparation) {
            for executor in &mut self.weights.executors {
                executor.fetch()?;
            }
            self.runs.pop_front();
        }
        Ok(())
    }

    /// Computes losses with a set of the current parameters. Batches have the streams of
    /// [`validation_extent`]. All steps must have been fetched. The first call for a set loads its plans.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost or out of memory.
    pub fn evaluator(&mut self, set: ParameterSet) -> Result<Evaluator<'_>> {
        self.settle()?;
        let weights = &mut self.weights;
        let loaded = match &mut self.evaluation[set as usize] {
            Some(loaded) => loaded,
            empty => {
                let extent = validation_extent(&weights.config);
                let loaded = LoadedEvaluation::load(weights, self.plans.evaluation(set), extent)?;
                empty.insert(loaded)
            }
        };
        Ok(Evaluator::new(weights, loaded))
    }

    /// Replaces a set of parameters by that of a checkpoint of the same model, for evaluation. Afterwards the session can
    /// neither train nor be saved.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if a tensor is missing or of another shape,
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn load_set(&mut self, file: &Checkpoint, set: ParameterSet) -> Result<()> {
        self.settle()?;
        self.weights.forget_slots()?;
        self.weights.load_set(file, set)
    }

    /// Predicts the words of one text with a set of the current parameters. All steps must have been fetched. The first
    /// call for a set loads its plan.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost or out of memory.
    pub fn predictor(&mut self, set: ParameterSet) -> Result<Predictor<'_>> {
        self.settle()?;
        let weights = &mut self.weights;
        let loaded = match &mut self.generation[set as usize] {
            Some(loaded) => loaded,
            empty => empty.insert(LoadedGeneration::load(
                weights,
                self.plans.generation(set),
                1,
            )?),
        };
        Ok(Predictor::new(weights, loaded))
    }

    /// After a device was lost: switches to another device that holds the same model, so that it can be
    /// saved. The recurrent states of the lost device's streams are lost and start at zero when the run is
    /// resumed; if a step was interrupted, those of all streams.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if no other device of this process has the model, or
    /// there are other processes.
    pub fn rescue(&mut self) -> Result<()> {
        let none = || Error::device("there is no other device that has the model");
        if self.collective.ranks() > 1 {
            return Err(none());
        }
        let weights = &mut self.weights;
        let mut executors = weights.executors.iter();
        let primary = executors.position(|executor| executor.check().is_ok());
        let primary = primary.ok_or_else(none)?;
        self.runs.clear();
        let executor = &mut *weights.executors[primary];
        executor.forget_reads();
        weights.tables.resend(executor)?;
        weights.primary = primary;
        Ok(())
    }
}

fn division(
    executors: &[Box<dyn Executor>],
    collective: &dyn Collective,
    config: &Config,
) -> Division {
    Division {
        devices: executors.len() * collective.ranks(),
        micro_batches: config.train.accumulate,
    }
}
