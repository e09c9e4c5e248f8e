//! A model on a device: its plans, its parameters in and out of files, one step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::update::{FIRST_LOSS_SCALE, initial_state, training_plan};
use crate::checkpoint::{self, Checkpoint, Dtype, Entry};
use crate::config::{Config, Precision};
use crate::device::{Data, Executor, Inputs, Outputs, PlanId, Profile, bytes};
use crate::error::{Error, Kind, Result};
use crate::graph::LOSS_SCALE;
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::graph::split::oversized;
use crate::model::cost::{check_sizes, optimizer_states};
use crate::model::language_model::{self, Extent};
use crate::model::parameters::{Group, Layout, Parameter, fill_initial_values, parameters};
use crate::tensor::Shape;

/// A model on a device.
pub struct Session {
    executor: Box<dyn Executor>,
    config: Config,
    vocabulary: usize,
    table: Vec<Parameter>,
    training: Option<(PlanId, Arc<Plan>)>,
    /// Names and lengths of the recurrent states of training.
    states: Vec<(String, usize)>,
    evaluation: Option<(PlanId, Vec<(String, usize)>)>,
    /// Streams and steps of the evaluation plan.
    extent: Option<Extent>,
    generation: Option<(PlanId, Vec<(String, usize)>)>,
}

/// What a session without training is for: the plan that it makes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inference {
    /// The losses of text, in batches of this extent.
    Losses(Extent),
    /// Words, one after the other.
    Words,
}

impl Session {
    /// A session that trains.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room, [`Kind::Usage`] if a tensor is too large to be indexed.
    pub fn training(
        mut executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
    ) -> Result<Session> {
        check_sizes(config, vocabulary)?;
        let limits = Session::limits(&*executor, config);
        let plan = Arc::new(training_plan(config, vocabulary, &limits, false));
        tracing::debug!(steps = plan.steps.len(), arenas = ?plan.arenas, "training plan");
        let training = load_plan(&mut *executor, config, plan.clone())?;
        Ok(Session {
            states: language_model::states(&plan),
            training: Some((training, plan)),
            ..Session::without_plans(executor, config, vocabulary)
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
        check_sizes(config, vocabulary)?;
        let mut session = Session::without_plans(executor, config, vocabulary);
        session.check_parameters(file)?;
        match purpose {
            Inference::Losses(extent) => session.load_evaluation(extent)?,
            Inference::Words => session.load_generation()?,
        }
        let prefix = language_model::evaluation_prefix(config);
        for line in &session.table {
            let name = match line.group {
                Group::Recurrent => format!("{prefix}{}", line.name),
                _ => line.name.clone(),
            };
            let turn = |rows: &mut [f32]| line.layout.turn_inside(rows);
            let read = |start, rows: &mut [f32]| file.read_f32(&name, start, rows);
            stream(&line.shape, |start, rows| {
                read(start, rows)?;
                turn(rows);
                session.executor.write_part(&name, start, rows)
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
        load_plan(&mut *self.executor, &self.config, plan)
    }

    fn without_plans(executor: Box<dyn Executor>, config: &Config, vocabulary: usize) -> Session {
        Session {
            executor,
            config: config.clone(),
            vocabulary,
            table: parameters(config, vocabulary),
            training: None,
            states: Vec::new(),
            evaluation: None,
            extent: None,
            generation: None,
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

    /// The device, for people.
    pub fn describe(&self) -> String {
        self.executor.describe()
    }

    /// How many steps may be on their way before one is fetched.
    pub fn in_flight(&self) -> usize {
        self.executor.in_flight()
    }

    /// Starts a training step. Its outputs are fetched later, in order.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn step(&mut self, inputs: &Inputs) -> Result<()> {
        let (id, _) = self.training.as_ref().expect("a session that trains");
        self.executor.run(*id, inputs)
    }

    /// Makes a training step and says how long each dispatch took; every step before must have been fetched.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn profile(&mut self, inputs: &Inputs) -> Result<Profile> {
        let (id, _) = self.training.as_ref().expect("a session that trains");
        self.executor.profile(*id, inputs)
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
        self.executor.fetch()
    }

    /// Sets the recurrent states of training to zero, after the steps so far.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_states(&mut self) -> Result<()> {
        for (name, len) in &self.states {
            self.executor.write(name, &vec![0.0; *len])?;
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
            let prefix = language_model::evaluation_prefix(&self.config);
            let limits = Session::limits(&*self.executor, &self.config);
            let plan =
                language_model::evaluation(&self.config, self.vocabulary, extent, prefix, &limits);
            let states = language_model::states(&plan);
            self.evaluation = Some((self.load_plan(Arc::new(plan))?, states));
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
        let (_, states) = self.evaluation.as_ref().expect("an evaluation plan");
        for (name, len) in states {
            self.executor.write(name, &vec![0.0; *len])?;
        }
        Ok(())
    }

    /// The losses of one batch of the evaluation, `[T*B]`; waits for them.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn evaluate(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let (plan, _) = self.evaluation.as_ref().expect("an evaluation plan");
        self.executor.run(*plan, inputs)?;
        let (_, nll) = self.executor.fetch()?.swap_remove(0);
        Ok(nll)
    }

    /// Makes the plan that generates, one stream of one step, once.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device has no room.
    pub fn load_generation(&mut self) -> Result<()> {
        if self.generation.is_none() {
            let prefix = language_model::evaluation_prefix(&self.config);
            let limits = Session::limits(&*self.executor, &self.config);
            let plan = language_model::logits(&self.config, self.vocabulary, 1, prefix, &limits);
            let states = language_model::states(&plan);
            self.generation = Some((self.load_plan(Arc::new(plan))?, states));
        }
        Ok(())
    }

    /// Sets the recurrent states of the generation to zero.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_generation(&mut self) -> Result<()> {
        let (_, states) = self.generation.as_ref().expect("a generation plan");
        for (name, len) in states {
            self.executor.write(name, &vec![0.0; *len])?;
        }
        Ok(())
    }

    /// The logits `[V]` after one more word of the generation; waits for them.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn logits(&mut self, word: u32) -> Result<Vec<f64>> {
        let (plan, _) = self.generation.as_ref().expect("a generation plan");
        let inputs = vec![("inputs", Data::Index(vec![word]))];
        self.executor.run(*plan, &inputs)?;
        let (_, logits) = self.executor.fetch()?.swap_remove(0);
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
            self.executor.write(LOSS_SCALE, &[FIRST_LOSS_SCALE, 0.0])?;
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
            let average = format!("ema.{}", line.name);
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
        let average = self.averaged(line).then(|| format!("ema.{}", line.name));
        let optimizer = self.config.train.optimizer;
        let states: Vec<String> = optimizer_states(optimizer)
            .iter()
            .map(|state| format!("optimizer.{}.{state}", line.name))
            .collect();
        let executor = &mut self.executor;
        stream(&line.shape, |start, rows| {
            fill(line, start, rows)?;
            line.layout.turn_inside(rows);
            executor.write_part(&line.name, start, rows)?;
            if let Some(average) = &average {
                executor.write_part(average, start, rows)?;
            }
            rows.fill(initial_state(optimizer));
            for state in &states {
                executor.write_part(state, start, rows)?;
            }
            Ok(())
        })
    }

    /// Writes a tensor of a file that has the layout of line `k` of the table.
    fn load(&mut self, file: &Checkpoint, name: &str, k: usize) -> Result<()> {
        let (line, executor) = (&self.table[k], &mut self.executor);
        stream(&line.shape, |start, rows| {
            file.read_f32(name, start, rows)?;
            line.layout.turn_inside(rows);
            executor.write_part(name, start, rows)
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
            .map(|line| (format!("ema.{}", line.name), line.shape.0.clone()))
            .collect();
        // All of the averages or none.
        if averages.iter().any(|(name, _)| file.contains(name)) {
            expected.extend(averages);
        }
        file.check_parameters(&expected, &["optimizer.", "state.", "vocab"])
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
                saved.push((format!("ema.{}", line.name), line.shape.clone(), Some(k)));
            }
            for state in optimizer_states(self.config.train.optimizer) {
                saved.push((
                    format!("optimizer.{}.{state}", line.name),
                    line.shape.clone(),
                    Some(k),
                ));
            }
        }
        let batch = self.config.train.batch;
        for (name, len) in &self.states {
            saved.push((name.clone(), [batch, len / batch].into(), None));
        }
        if self.config.train.precision == Precision::Mixed {
            saved.push((LOSS_SCALE.to_owned(), [2].into(), None));
        }
        saved
    }

    /// Writes a checkpoint, after the steps so far. `vocabulary` is the text of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the file cannot be written, [`Kind::Diverged`] if a tensor is not finite: then nothing is written.
    pub fn save(
        &mut self,
        path: &Path,
        vocabulary: &[u8],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let saved = self.saved();
        let mut entries: Vec<Entry> = saved
            .iter()
            .map(|(name, shape, _)| Entry::new(name.clone(), Dtype::F32, shape.0.clone()))
            .collect();
        entries.push(Entry::new("vocab", Dtype::U8, [vocabulary.len()]));
        checkpoint::write(path, &entries, metadata, |name, sink| {
            let Some((name, shape, line)) = saved.iter().find(|(saved, ..)| saved == name) else {
                return sink.write_u8(vocabulary);
            };
            let layout = line.map_or(Layout::Plain, |k| self.table[k].layout);
            let executor = &mut self.executor;
            stream(shape, |start, rows| {
                executor.read_part(name, start, rows)?;
                if !rows.iter().all(|value| value.is_finite()) {
                    return Err(Error::new(
                        Kind::Diverged,
                        format!("`{name}` is not finite any more"),
                    ));
                }
                layout.turn_outside(rows);
                sink.write_f32(rows)
            })
        })
    }

    /// Continues from a checkpoint: parameters, averages, optimizer state, recurrent states.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if a tensor is missing or misshapen.
    pub fn restore(&mut self, file: &Checkpoint) -> Result<()> {
        let saved = self.saved();
        let expected: Vec<(String, Vec<usize>)> = saved
            .iter()
            .map(|(name, shape, _)| (name.clone(), shape.0.clone()))
            .collect();
        file.check_parameters(&expected, &["vocab"])?;
        for (name, shape, line) in saved {
            let layout = line.map_or(Layout::Plain, |k| self.table[k].layout);
            let executor = &mut self.executor;
            stream(&shape, |start, rows| {
                file.read_f32(&name, start, rows)?;
                layout.turn_inside(rows);
                executor.write_part(&name, start, rows)
            })?;
        }
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
