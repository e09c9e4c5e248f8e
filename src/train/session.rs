//! A model on a device: its plans, its parameters in and out of files, one step.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::collective::{Collective, SingleProcess};
use super::parts::Parts;
use super::prepare::StepInputs;
use super::streamed;
use super::tables::Tables;
use super::update::{FIRST_LOSS_SCALE, initial_state, training_plan};
use crate::cell::ColumnLayout;
use crate::checkpoint::{self, Checkpoint, Dtype, Entry};
use crate::config::{Config, Precision};
use crate::device::{Data, Executor, Inputs, Outputs, PlanId, Profile, Taking};
use crate::error::{Error, Kind, Result};
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::graph::split::oversized;
use crate::model::cost::{check_sizes, optimizer_states};
use crate::model::language_model::{self, Division, Extent};
use crate::model::parameters::{Group, Parameter, fill_initial_values, parameters};
use crate::numbers::bytes;
use crate::tensor::Shape;
use crate::tensor::names::{self, LOSS_SCALE};

/// A model on a device.
pub struct Session {
    /// The devices, at least one. All have the same model; what only one has to do, the first does.
    executors: Vec<Box<dyn Executor>>,
    collective: Box<dyn Collective>,
    division: Division,
    config: Config,
    vocabulary: usize,
    table: Vec<Parameter>,
    training: Option<(Training, Arc<Plan>)>,
    /// Names and lengths of the recurrent states of training.
    states: Vec<(String, usize)>,
    evaluation: Option<(Evaluating, Vec<(String, usize)>)>,
    /// Streams and steps of the evaluation plan.
    extent: Option<Extent>,
    generation: Option<Generating>,
    /// If they are on the host.
    tables: Option<Tables>,
    /// What was run and not fetched, oldest first.
    runs: VecDeque<Run>,
    /// The device that stands for all: the first that is not lost.
    first: usize,
    /// Steps whose update was started on every device that is not lost.
    updates: u64,
    /// Whether a step was begun and its update was not: then the recurrent states are of no step.
    torn: bool,
}

/// How a step is made.
enum Training {
    /// By one plan.
    Whole(PlanId),
    /// In parts.
    Parts(Box<Parts>),
}

/// A run of a plan.
#[derive(Clone, Copy, PartialEq)]
enum Run {
    Step,
    Exchange,
}

/// The plan that generates.
struct Generating {
    plan: PlanId,
    states: Vec<(String, usize)>,
    /// The texts side by side.
    streams: usize,
}

/// How losses are computed.
enum Evaluating {
    /// By one plan.
    Whole(PlanId),
    /// By plans that the tables travel through.
    Streamed(streamed::Evaluation),
}

/// What a session without training is for: the plan that it makes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inference {
    /// The losses of text, in batches of this extent.
    Losses(Extent),
    /// Words of so many texts side by side, one after the other.
    Words(usize),
}

impl Session {
    /// A session that trains on one device.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room, [`Kind::Usage`] if a tensor is too large to be indexed.
    pub fn training(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
    ) -> Result<Session> {
        Session::replicated(vec![executor], Box::new(SingleProcess), config, vocabulary)
    }

    /// A session that trains on several devices, of this machine and of those at the other end of `exchange`: each has
    /// `train.batch` streams, in each micro-batch.
    ///
    /// # Errors
    ///
    /// As [`Session::training`].
    ///
    /// # Panics
    ///
    /// If there is no executor.
    pub fn replicated(
        mut executors: Vec<Box<dyn Executor>>,
        collective: Box<dyn Collective>,
        config: &Config,
        vocabulary: usize,
    ) -> Result<Session> {
        let division = Division {
            devices: executors.len() * collective.ranks(),
            micro_batches: config.train.accumulate,
        };
        check_sizes(config, vocabulary, division.devices)?;
        let limits = |executor: &dyn Executor| Session::limits(executor, config);
        let first = collective.rank() * executors.len();
        let (training, plan) = if division.parts() == 1 {
            let executor = &mut *executors[0];
            let plan = Arc::new(training_plan(config, vocabulary, &limits(executor), false));
            let id = load_plan(executor, config, plan.clone())?;
            (Training::Whole(id), plan)
        } else {
            let (parts, plan) = Parts::load(
                &mut executors,
                config,
                vocabulary,
                (division, first),
                limits,
                |executor, plan| load_plan(executor, config, plan),
            )?;
            (Training::Parts(Box::new(parts)), plan)
        };
        tracing::debug!(steps = plan.steps.len(), arenas = ?plan.arenas, "training plan");
        let mut tables = Tables::new(config, vocabulary, true, division)?;
        if let Some(tables) = &mut tables {
            for executor in &mut executors {
                let limits = limits(&**executor);
                let plan = Tables::exchange_plan(config, vocabulary, &limits, division);
                tables.loaded(load_plan(&mut **executor, config, Arc::new(plan))?);
            }
        }
        Ok(Session {
            states: language_model::states(&plan),
            training: Some((training, plan)),
            tables,
            division,
            ..Session::without_plans(executors, collective, config, vocabulary)
        })
    }

    /// A session that only evaluates or generates, with the parameters of a checkpoint.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room, [`Kind::Data`] if the checkpoint does not fit the configuration.
    pub fn inference(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        purpose: Inference,
    ) -> Result<Session> {
        check_sizes(config, vocabulary, 1)?;
        let executors = vec![executor];
        let mut session =
            Session::without_plans(executors, Box::new(SingleProcess), config, vocabulary);
        session.check_parameters(file)?;
        session.tables = Tables::new(config, vocabulary, false, Division::WHOLE)?;
        match purpose {
            Inference::Losses(extent) => session.load_evaluation(extent)?,
            Inference::Words(streams) => session.load_generation(streams)?,
        }
        for line in &session.table {
            let name = line.evaluated_name(config);
            let (executors, tables) = (&mut session.executors, &mut session.tables);
            stream(&line.shape, |start, rows| {
                file.read_f32(&name, start, rows)?;
                line.layout.interleave(rows);
                write_part(executors, tables, &name, start, rows)
            })?;
        }
        Ok(session)
    }

    /// What plans for the device must keep to, or what the configuration lowers that to.
    fn limits(executor: &dyn Executor, config: &Config) -> Limits {
        executor.limits().binding_at_most(config.device.max_binding)
    }

    /// Has the device load a plan.
    fn load_plan(&mut self, plan: Arc<Plan>) -> Result<PlanId> {
        load_plan(&mut *self.executors[0], &self.config, plan)
    }

    fn without_plans(
        executors: Vec<Box<dyn Executor>>,
        collective: Box<dyn Collective>,
        config: &Config,
        vocabulary: usize,
    ) -> Session {
        Session {
            executors,
            collective,
            division: Division::WHOLE,
            config: config.clone(),
            vocabulary,
            table: parameters(config, vocabulary),
            training: None,
            states: Vec::new(),
            evaluation: None,
            extent: None,
            generation: None,
            tables: None,
            runs: VecDeque::new(),
            first: 0,
            updates: 0,
            torn: false,
        }
    }

    /// Fetches what has no outputs.
    fn settle(&mut self) -> Result<()> {
        while self.runs.front() == Some(&Run::Exchange) {
            for executor in &mut self.executors {
                executor.fetch()?;
            }
            self.runs.pop_front();
        }
        Ok(())
    }

    /// Has the tables of the host as they are after the steps so far.
    fn bring_home(&mut self) -> Result<()> {
        match &mut self.tables {
            Some(tables) => tables.bring_home(&mut *self.executors[self.first]),
            None => Ok(()),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The words of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> u64 {
        self.table.iter().map(|line| line.shape.len() as u64).sum()
    }

    /// How the batch of a step is divided.
    pub fn division(&self) -> Division {
        self.division
    }

    /// The way to the other machines of the run.
    pub fn collective(&mut self) -> &mut dyn Collective {
        &mut *self.collective
    }

    /// Whether this machine writes what the run leaves.
    pub fn is_root(&self) -> bool {
        self.collective.is_root()
    }

    /// The devices of this machine, for people.
    pub fn describe(&self) -> Vec<String> {
        self.executors
            .iter()
            .map(|executor| executor.describe())
            .collect()
    }

    /// How many steps may be on their way before one is fetched.
    pub fn in_flight(&self) -> usize {
        match self.division.devices {
            1 => self.executors[0].in_flight(),
            // The host has joined their gradients.
            _ => 1,
        }
    }

    /// Steps whose update was started since the session began, on every device that is not lost.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// After a device was lost: has another one stand for it, so that what all have can be saved. The recurrent states of its
    /// streams are lost, and begin at zero when the run goes on; in the midst of a step those of all streams do.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if there is no other one, or on another machine.
    pub fn rescue(&mut self) -> Result<()> {
        let none = || Error::device("there is no other device that has the model");
        if self.collective.ranks() > 1 {
            return Err(none());
        }
        let alive = |executor: &dyn Executor| executor.check().is_ok();
        let first = self
            .executors
            .iter()
            .position(|executor| alive(&**executor));
        let first = first.ok_or_else(none)?;
        self.runs.clear();
        let executor = &mut *self.executors[first];
        executor.forget_reads();
        if let Some(tables) = &mut self.tables {
            tables.depart_again(executor)?;
        }
        self.first = first;
        Ok(())
    }

    /// Starts a training step. Its outputs are fetched later, in order.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a device is lost.
    pub fn step(&mut self, mut inputs: StepInputs) -> Result<()> {
        self.bring(&mut inputs)?;
        let executors = &mut self.executors;
        let (training, _) = self.training.as_mut().expect("a session that trains");
        match training {
            Training::Whole(id) => {
                executors[0].run(*id, &inputs.parts[0])?;
                self.updates += 1;
            }
            Training::Parts(parts) => {
                self.torn = true;
                parts.start(executors, &*self.collective, &mut inputs)?;
                if let Some(tables) = &mut self.tables {
                    tables.arrive(&mut *executors[0])?;
                }
                parts.join(executors, &mut *self.collective)?;
                // From here on there is no way back: what is not lost has the step.
                (self.updates, self.torn) = (self.updates + 1, false);
                parts.update(executors, &mut inputs)?;
            }
        }
        self.runs.push_back(Run::Step);
        Ok(())
    }

    /// With tables on the host: has the rows of a step where it needs them.
    fn bring(&mut self, inputs: &mut StepInputs) -> Result<()> {
        if let Some(tables) = &mut self.tables {
            tables.exchange(&mut self.executors, std::mem::take(&mut inputs.moves))?;
            self.runs.push_back(Run::Exchange);
        }
        Ok(())
    }

    /// Makes a training step and says how long each dispatch took; every step before must have been fetched. Of a step in parts,
    /// only the first micro-batch.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn profile(&mut self, mut inputs: StepInputs) -> Result<Profile> {
        self.bring(&mut inputs)?;
        self.settle()?;
        let (training, _) = self.training.as_ref().expect("a session that trains");
        let id = match training {
            Training::Whole(id) => *id,
            Training::Parts(parts) => parts.first_micro_batch(),
        };
        self.executors[0].profile(id, &inputs.parts[0])
    }

    /// The plan of a training step.
    pub fn training_plan(&self) -> &Plan {
        let (_, plan) = self.training.as_ref().expect("a session that trains");
        plan
    }

    /// The loss and the gradient norm of the oldest step not fetched yet.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn fetch(&mut self) -> Result<Outputs> {
        self.settle()?;
        self.runs.pop_front();
        let (training, _) = self.training.as_mut().expect("a session that trains");
        match training {
            Training::Whole(_) => self.executors[0].fetch(),
            Training::Parts(parts) => parts.fetch(&mut self.executors, &mut *self.collective),
        }
    }

    /// Sets the recurrent states of training to zero, after the steps so far.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_states(&mut self) -> Result<()> {
        for (name, len) in &self.states {
            for micro_batch in 0..self.division.micro_batches {
                for executor in &mut self.executors {
                    executor.write(&names::of_micro_batch(name, micro_batch), &vec![0.0; *len])?;
                }
            }
        }
        Ok(())
    }

    /// Makes the evaluation plan of `extent`, once.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room.
    pub fn load_evaluation(&mut self, extent: Extent) -> Result<()> {
        if self.evaluation.is_none() {
            let limits = Session::limits(&*self.executors[0], &self.config);
            let (config, vocabulary) = (&self.config, self.vocabulary);
            let (evaluating, states) = if self.tables.is_some() {
                let plans =
                    language_model::streamed_evaluation(config, vocabulary, extent, &limits);
                let states = language_model::states(&plans.hidden);
                let executor = &mut *self.executors[0];
                let load = |plan| load_plan(executor, config, plan);
                let loaded = streamed::Evaluation::load(config, plans, load)?;
                (Evaluating::Streamed(loaded), states)
            } else {
                let plan = language_model::evaluation(config, vocabulary, extent, &limits);
                let states = language_model::states(&plan);
                let plan = load_plan(&mut *self.executors[0], config, Arc::new(plan))?;
                (Evaluating::Whole(plan), states)
            };
            self.evaluation = Some((evaluating, states));
            self.extent = Some(extent);
        }
        assert_eq!(
            self.extent,
            Some(extent),
            "a session evaluates in batches of one extent"
        );
        Ok(())
    }

    /// Sets the recurrent states of the evaluation to zero.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_evaluation(&mut self) -> Result<()> {
        self.settle()?;
        self.bring_home()?;
        let (_, states) = self.evaluation.as_ref().expect("an evaluation plan");
        for (name, len) in states {
            self.executors[0].write(name, &vec![0.0; *len])?;
        }
        Ok(())
    }

    /// Sets the recurrent states of some streams of the evaluation to zero.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_streams(&mut self, streams: &[usize]) -> Result<()> {
        let extent = self.extent.expect("an evaluation plan");
        if streams.len() == extent.batch {
            return self.reset_evaluation();
        }
        self.settle()?;
        let (_, states) = self.evaluation.as_ref().expect("an evaluation plan");
        for (name, len) in states {
            let width = len / extent.batch;
            let zeros = vec![0.0; width];
            for stream in streams {
                self.executors[0].write_part(name, stream * width, &zeros)?;
            }
        }
        Ok(())
    }

    /// The losses of one batch of the evaluation, `[T*B]`; waits for them.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn evaluate(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        self.settle()?;
        let (evaluating, _) = self.evaluation.as_ref().expect("an evaluation plan");
        match (evaluating, &self.tables) {
            (Evaluating::Streamed(evaluation), Some(tables)) => {
                let [inputs, targets] = ["inputs", "targets"].map(|name| {
                    let (_, data) = inputs.iter().find(|(given, _)| *given == name).expect(name);
                    match data {
                        Data::Index(ids) => ids,
                        Data::Real(_) => unreachable!("ids are indices"),
                    }
                });
                evaluation.run(&mut *self.executors[0], tables, inputs, targets)
            }
            (Evaluating::Whole(plan), _) => {
                self.executors[0].run(*plan, inputs)?;
                let (_, nll) = self.executors[0].fetch()?.swap_remove(0);
                Ok(nll)
            }
            (Evaluating::Streamed(_), None) => unreachable!("it streams tables of the host"),
        }
    }

    /// Makes the plan that generates `streams` texts side by side, by one step, once.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room.
    pub fn load_generation(&mut self, streams: usize) -> Result<()> {
        if self.generation.is_none() {
            let limits = Session::limits(&*self.executors[0], &self.config);
            let (config, words) = (&self.config, self.vocabulary);
            let plan = match self.tables {
                Some(_) => language_model::streamed_generation(config, words, streams, &limits),
                None => language_model::logits(config, words, streams, &limits),
            };
            let states = language_model::states(&plan);
            self.generation = Some(Generating {
                plan: self.load_plan(Arc::new(plan))?,
                states,
                streams,
            });
        }
        let loaded = self.generation.as_ref().map(|loaded| loaded.streams);
        assert_eq!(
            loaded,
            Some(streams),
            "a session generates one number of texts"
        );
        Ok(())
    }

    /// Sets the recurrent states of the generation to zero.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_generation(&mut self) -> Result<()> {
        self.settle()?;
        self.bring_home()?;
        let generating = self.generation.as_ref().expect("a generation plan");
        for (name, len) in &generating.states {
            self.executors[0].write(name, &vec![0.0; *len])?;
        }
        Ok(())
    }

    /// The logits `[B, V]` after one more word of each text; waits for them.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn logits(&mut self, words: &[u32]) -> Result<Vec<f64>> {
        self.settle()?;
        let plan = self.generation.as_ref().expect("a generation plan").plan;
        if let Some(tables) = &self.tables {
            let executor = &mut *self.executors[0];
            return streamed::logits(executor, plan, &self.config, tables, words);
        }
        let inputs = vec![("inputs", Data::Index(words.to_vec()))];
        self.executors[0].run(plan, &inputs)?;
        let (_, logits) = self.executors[0].fetch()?.swap_remove(0);
        Ok(logits)
    }

    /// Starts every parameter, moving average and optimizer state anew.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn initialise(&mut self) -> Result<()> {
        let seed = self.config.train.seed;
        for k in 0..self.table.len() {
            self.start_parameter(k, |line, start, rows| {
                fill_initial_values(line, k, seed, start, rows);
                Ok(())
            })?;
        }
        self.start_loss_scale()
    }

    fn start_loss_scale(&mut self) -> Result<()> {
        if self.config.train.precision == Precision::Mixed {
            for executor in &mut self.executors {
                executor.write(LOSS_SCALE, &[FIRST_LOSS_SCALE, 0.0])?;
            }
        }
        Ok(())
    }

    /// Takes parameters, and moving averages if there are, from a file; optimizer state starts anew.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] naming each tensor that is missing, unknown or misshapen.
    pub fn initialise_from(&mut self, file: &Checkpoint) -> Result<()> {
        self.check_parameters(file)?;
        for k in 0..self.table.len() {
            self.start_parameter(k, |line, start, rows| {
                file.read_f32(&line.name, start, rows)
            })?;
            let line = &self.table[k];
            let average = names::moving_average(&line.name);
            if self.averaged(line) && file.contains(&average) {
                self.load(file, &average, k)?;
            }
        }
        self.start_loss_scale()
    }

    /// Writes line `k` of the table with what `fill` gives, rows in the layout of files from a first element on. The average
    /// starts at the values, and the state of the optimizer at its start.
    fn start_parameter(
        &mut self,
        k: usize,
        mut fill: impl FnMut(&Parameter, usize, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let line = &self.table[k];
        let average = self
            .averaged(line)
            .then(|| names::moving_average(&line.name));
        let optimizer = self.config.train.optimizer;
        let states: Vec<String> = optimizer_states(optimizer)
            .iter()
            .map(|state| names::optimizer_state(&line.name, state))
            .collect();
        let (executors, tables) = (&mut self.executors, &mut self.tables);
        stream(&line.shape, |start, rows| {
            fill(line, start, rows)?;
            line.layout.interleave(rows);
            write_part(executors, tables, &line.name, start, rows)?;
            if let Some(average) = &average {
                write_part(executors, tables, average, start, rows)?;
            }
            rows.fill(initial_state(optimizer));
            for state in &states {
                write_part(executors, tables, state, start, rows)?;
            }
            Ok(())
        })
    }

    /// Writes a tensor of a file that has the layout of line `k` of the table.
    fn load(&mut self, file: &Checkpoint, name: &str, k: usize) -> Result<()> {
        let line = &self.table[k];
        let (executors, tables) = (&mut self.executors, &mut self.tables);
        stream(&line.shape, |start, rows| {
            file.read_f32(name, start, rows)?;
            line.layout.interleave(rows);
            write_part(executors, tables, name, start, rows)
        })
    }

    fn averaged(&self, line: &Parameter) -> bool {
        self.config.train.ema > 0.0 && line.group == Group::Recurrent
    }

    fn check_parameters(&self, file: &Checkpoint) -> Result<()> {
        let mut expected: Vec<(String, Vec<usize>)> = self
            .table
            .iter()
            .map(|line| (line.name.clone(), line.shape.0.clone()))
            .collect();
        let averages: Vec<(String, Vec<usize>)> = self
            .table
            .iter()
            .filter(|line| line.group == Group::Recurrent)
            .map(|line| (names::moving_average(&line.name), line.shape.0.clone()))
            .collect();
        // All of the averages or none.
        if averages.iter().any(|(name, _)| file.contains(name)) {
            expected.extend(averages);
        }
        file.check_parameters(&expected, &names::NOT_PARAMETERS)
    }

    /// Every real tensor of a checkpoint: name in the executor and in the file, shape, line of the table if it has the
    /// layout of one.
    fn saved(&self) -> Vec<(String, Shape, Option<usize>)> {
        let mut saved = Vec::new();
        for (k, line) in self.table.iter().enumerate() {
            saved.push((line.name.clone(), line.shape.clone(), Some(k)));
        }
        for (k, line) in self.table.iter().enumerate() {
            if self.averaged(line) {
                saved.push((
                    names::moving_average(&line.name),
                    line.shape.clone(),
                    Some(k),
                ));
            }
            for state in optimizer_states(self.config.train.optimizer) {
                saved.push((
                    names::optimizer_state(&line.name, state),
                    line.shape.clone(),
                    Some(k),
                ));
            }
        }
        let batch = self.config.train.batch;
        for (name, len) in &self.states {
            let streams = self.division.parts() * batch;
            saved.push((name.clone(), [streams, len / batch].into(), None));
        }
        if self.config.train.precision == Precision::Mixed {
            saved.push((LOSS_SCALE.to_owned(), [2].into(), None));
        }
        saved
    }

    /// Writes a checkpoint, after the steps so far, with the `states` of [`Session::gather_states`]. `vocabulary` is the text of the
    /// vocabulary.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the file cannot be written, [`Kind::Diverged`] if a tensor is not finite: then nothing is written.
    pub fn save(
        &mut self,
        path: &Path,
        states: &BTreeMap<String, Vec<f32>>,
        vocabulary: &[u8],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.settle()?;
        self.bring_home()?;
        let saved = self.saved();
        let mut entries: Vec<Entry> = saved
            .iter()
            .map(|(name, shape, _)| Entry::new(name.clone(), Dtype::F32, shape.0.clone()))
            .collect();
        entries.push(Entry::new(names::VOCABULARY, Dtype::U8, [vocabulary.len()]));
        checkpoint::write(path, &entries, metadata, |name, sink| {
            let Some((name, shape, line)) = saved.iter().find(|(saved, ..)| saved == name) else {
                return sink.write_u8(vocabulary);
            };
            let layout = line.map_or(ColumnLayout::Plain, |k| self.table[k].layout);
            let (executor, tables) = (&mut self.executors[self.first], &mut self.tables);
            let state = states.get(name);
            stream(shape, |start, rows| {
                match (state, &mut *tables) {
                    (Some(state), _) => rows.copy_from_slice(&state[start..start + rows.len()]),
                    (_, Some(tables)) if tables.has(name) => tables.read(name, start, rows),
                    _ => executor.read_part(name, start, rows)?,
                }
                if !rows.iter().all(|value| value.is_finite()) {
                    return Err(Error::new(
                        Kind::Diverged,
                        format!("`{name}` is not finite any more"),
                    ));
                }
                layout.deinterleave(rows);
                sink.write_f32(rows)
            })
        })
    }

    /// Hands the values of every parameter to `take`, and those of the gradients of the last step that are kept and dense, piece by
    /// piece, as `weights/NAME` and `gradients/NAME`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn visit(&mut self, mut take: impl FnMut(&str, &[f32])) -> Result<()> {
        self.settle()?;
        self.bring_home()?;
        let (_, plan) = self.training.as_ref().expect("a session that trains");
        let (executor, tables) = (&mut self.executors[self.first], &mut self.tables);
        for line in &self.table {
            let weights = format!("weights/{}", line.name);
            stream(&line.shape, |start, rows| {
                match &mut *tables {
                    Some(tables) if tables.has(&line.name) => tables.read(&line.name, start, rows),
                    _ => executor.read_part(&line.name, start, rows)?,
                }
                take(&weights, rows);
                Ok(())
            })?;
            let name = names::gradient(&line.name);
            let is_kept = plan.tensors.iter().any(|tensor| {
                let is_dense = tensor.shape.len() == line.shape.len();
                tensor.name == name && tensor.is_persistent() && is_dense
            });
            if is_kept {
                let gradients = format!("gradients/{}", line.name);
                stream(&line.shape, |start, rows| {
                    executor.read_part(&name, start, rows)?;
                    take(&gradients, rows);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Whether its first device is a GPU that is played by the processor.
    pub fn is_in_software(&self) -> bool {
        let room = self.executors[self.first].room();
        room.is_host && room.taking == Taking::Device
    }

    /// The bytes of a checkpoint, about.
    pub fn bytes_of_checkpoint(&self) -> u64 {
        let saved = self.saved();
        saved
            .iter()
            .map(|(_, shape, _)| 4 * shape.len() as u64)
            .sum()
    }

    /// The bytes that each device has taken, as [`Executor::taken`] counts them.
    pub fn taken(&self) -> Vec<u64> {
        self.executors
            .iter()
            .map(|executor| executor.taken())
            .collect()
    }

    /// The recurrent states of all streams, by their name in files, after the steps so far. Every rank has to ask.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a device or a rank is lost.
    pub fn gather_states(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut states = BTreeMap::new();
        for (name, len) in &self.states {
            let mut all = Vec::new();
            for executor in &mut self.executors {
                for micro_batch in 0..self.division.micro_batches {
                    match executor.check() {
                        Ok(()) if self.torn => all.resize(all.len() + len, 0.0),
                        Ok(()) => {
                            all.extend(executor.read(&names::of_micro_batch(name, micro_batch))?)
                        }
                        Err(_) if self.division.devices > 1 => all.resize(all.len() + len, 0.0),
                        Err(error) => return Err(error),
                    }
                }
            }
            self.collective.all_gather(&mut all, false)?;
            states.insert(name.clone(), all);
        }
        Ok(states)
    }

    /// Checks that a checkpoint has as many streams as this session.
    fn check_streams(&self, file: &Checkpoint) -> Result<()> {
        let Some((name, _)) = self.states.first() else {
            return Ok(());
        };
        let (streams, batch) = (
            self.division.parts() * self.config.train.batch,
            self.config.train.batch,
        );
        match file.shape(name) {
            Ok(&[saved, _]) if saved != streams => Err(Error::usage(format!(
                "the run in `{}` has {saved} streams, {} times `train.batch`, and these are {streams}",
                file.path().display(),
                saved as f64 / batch as f64
            ))
            .help("resume with as many devices as before: --device once for each, and as many machines")),
            _ => Ok(()),
        }
    }

    /// Continues from a checkpoint: parameters, averages, optimizer state, recurrent states.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if a tensor is missing or misshapen.
    pub fn restore(&mut self, file: &Checkpoint) -> Result<()> {
        let begin = Instant::now();
        let saved = self.saved();
        let expected: Vec<(String, Vec<usize>)> = saved
            .iter()
            .map(|(name, shape, _)| (name.clone(), shape.0.clone()))
            .collect();
        self.check_streams(file)?;
        file.check_parameters(&expected, &[names::VOCABULARY])?;
        let first = self.collective.rank() * self.executors.len();
        for (name, shape, line) in saved {
            if let Some((_, len)) = self.states.iter().find(|(state, _)| *state == name) {
                // Each part has its own.
                let mut state = vec![0.0; *len];
                for (k, executor) in self.executors.iter_mut().enumerate() {
                    for micro_batch in 0..self.division.micro_batches {
                        let part = (first + k) * self.division.micro_batches + micro_batch;
                        file.read_f32(&name, part * len, &mut state)?;
                        executor.write(&names::of_micro_batch(&name, micro_batch), &state)?;
                    }
                }
                continue;
            }
            let layout = line.map_or(ColumnLayout::Plain, |k| self.table[k].layout);
            let (executors, tables) = (&mut self.executors, &mut self.tables);
            stream(&shape, |start, rows| {
                file.read_f32(&name, start, rows)?;
                layout.interleave(rows);
                write_part(executors, tables, &name, start, rows)
            })?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        tracing::debug!(path = %file.path().display(), seconds, "checkpoint read");
        Ok(())
    }
}

/// The elements that are on their way between a file and a device at once.
pub(super) const STREAM: usize = 1 << 22;

/// Hands whole rows of a tensor to `take`, first element and room for the elements, one piece after the other: a table is
/// gigabytes, and is in memory once.
fn stream(shape: &Shape, mut take: impl FnMut(usize, &mut [f32]) -> Result<()>) -> Result<()> {
    let (len, width) = (shape.len(), *shape.0.last().unwrap_or(&1));
    let piece = (STREAM / width).max(1) * width;
    let mut rows = vec![0.0; piece.min(len)];
    for start in (0..len).step_by(piece) {
        take(start, &mut rows[..piece.min(len - start)])?;
    }
    Ok(())
}

/// Has a device load a plan, if its steps keep to the limits that the plan was made for.
fn load_plan(executor: &mut dyn Executor, config: &Config, plan: Arc<Plan>) -> Result<PlanId> {
    let limits = Session::limits(executor, config);
    if let Some((step, binding, tensor)) = oversized(&plan, &limits) {
        let what = format!(
            "`{}` {} cannot be cut to bindings of {} for `{binding}` of {} ({})",
            tensor.name,
            tensor.shape,
            bytes(4 * limits.slice as u64),
            step.kernel.name,
            step.label
        );
        return Err(Error::device(what).help(match config.device.max_binding {
            0 => "make the model, the batch or the unroll smaller, or use `--device cpu`",
            _ => "raise `device.max_binding`",
        }));
    }
    executor.load(plan)
}

/// Writes elements of a tensor where it is: on the host, or on every device.
fn write_part(
    executors: &mut [Box<dyn Executor>],
    tables: &mut Option<Tables>,
    name: &str,
    start: usize,
    values: &[f32],
) -> Result<()> {
    match tables {
        Some(tables) if tables.has(name) => {
            tables.write(name, start, values);
            Ok(())
        }
        _ => executors
            .iter_mut()
            .try_for_each(|executor| executor.write_part(name, start, values)),
    }
}
