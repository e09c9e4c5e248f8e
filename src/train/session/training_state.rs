//! The state of a training: initial values, and checkpoints in and out of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::pieces::in_pieces;
use super::training::TrainingSession;
use crate::cell::ColumnLayout;
use crate::checkpoint::{self, Checkpoint, Dtype, Entry};
use crate::error::{Error, Kind, Result};
use crate::model::parameters::{ParameterSpec, fill_initial_values};
use crate::tensor::Shape;
use crate::tensor::names::{self, LOSS_SCALE};
use crate::train::update::FIRST_LOSS_SCALE;

/// A real tensor of a checkpoint.
struct SavedTensor {
    /// Its name, in the executor and in the file.
    name: String,
    shape: Shape,
    /// How a file stores it.
    layout: ColumnLayout,
}

impl TrainingSession {
    /// Initialises every parameter, moving average and optimizer state, from `train.seed`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn initialise(&mut self) -> Result<()> {
        let seed = self.config().train.seed;
        for (k, line) in self.weights.table.clone().iter().enumerate() {
            self.start_parameter(line, |start, rows| {
                fill_initial_values(line, k, seed, start, rows);
                Ok(())
            })?;
        }
        self.start_loss_scale()
    }

    /// Loads the parameters of a file, and its moving averages if it has them. Initialises the optimizer state.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] naming each tensor that is missing, unknown or of another shape.
    pub fn initialise_from(&mut self, file: &Checkpoint) -> Result<()> {
        self.weights.check_parameters(file)?;
        for line in self.weights.table.clone().iter() {
            self.start_parameter(line, |start, rows| file.read_f32(&line.name, start, rows))?;
            let average = names::moving_average(&line.name);
            if self.weights.has_average(line) && file.contains(&average) {
                self.weights.load(file, &average, line)?;
            }
        }
        self.start_loss_scale()
    }

    /// Writes a parameter with the values of `fill`, which gives them in the layout of files. Its moving
    /// average starts at the same values, each optimizer state at its start value.
    fn start_parameter(
        &mut self,
        line: &ParameterSpec,
        mut fill: impl FnMut(usize, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let weights = &mut self.weights;
        let average = weights.has_average(line);
        let average = average.then(|| names::moving_average(&line.name));
        let optimizer = line.group.optimizer(&weights.config);
        let names = line.optimizer_states(&weights.config);
        in_pieces(&line.shape, |start, rows| {
            fill(start, rows)?;
            line.layout.interleave(rows);
            weights.write(&line.name, start, rows)?;
            if let Some(average) = &average {
                weights.write(average, start, rows)?;
            }
            for (name, state) in names.iter().zip(optimizer.states) {
                rows.fill(state.start);
                weights.write(name, start, rows)?;
            }
            Ok(())
        })
    }

    fn start_loss_scale(&mut self) -> Result<()> {
        if self.config().train.precision.multiplies_halves() {
            for executor in &mut self.weights.executors {
                executor.write(LOSS_SCALE, &[FIRST_LOSS_SCALE, 0.0])?;
            }
        }
        Ok(())
    }

    /// Every real tensor of a checkpoint.
    fn saved(&self) -> Vec<SavedTensor> {
        let weights = &self.weights;
        let like = |line: &ParameterSpec, name: String| SavedTensor {
            name,
            shape: line.shape.clone(),
            layout: line.layout,
        };
        let plain = |name: &str, shape: Shape| SavedTensor {
            name: name.to_owned(),
            shape,
            layout: ColumnLayout::Plain,
        };
        let parameters = weights.table.iter();
        let mut saved: Vec<SavedTensor> = parameters
            .map(|line| like(line, line.name.clone()))
            .collect();
        for line in weights.table.iter() {
            if weights.has_average(line) {
                saved.push(like(line, names::moving_average(&line.name)));
            }
            let states = line.optimizer_states(&weights.config).into_iter();
            saved.extend(states.map(|state| like(line, state)));
        }
        let batch = weights.config.train.batch;
        for (name, len) in &self.states {
            let streams = self.division.parts() * batch;
            saved.push(plain(name, [streams, len / batch].into()));
        }
        if weights.config.train.precision.multiplies_halves() {
            saved.push(plain(LOSS_SCALE, [2].into()));
        }
        saved
    }

    /// The approximate size of a checkpoint in bytes.
    pub fn checkpoint_bytes(&self) -> u64 {
        let saved = self.saved();
        let lens = saved.iter().map(|tensor| tensor.shape.len() as u64);
        lens.map(|len| 4 * len).sum()
    }

    /// Writes a checkpoint of the steps so far, with the recurrent states of
    /// [`TrainingSession::gather_states`] and the bytes of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if the file cannot be written, [`Kind::Diverged`] if a tensor is not finite: then no file is written.
    pub fn save(
        &mut self,
        path: &Path,
        states: &BTreeMap<String, Vec<f32>>,
        vocabulary: &[u8],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.settle()?;
        self.weights.sync_tables()?;
        let saved = self.saved();
        let entry = |tensor: &SavedTensor| {
            Entry::new(tensor.name.clone(), Dtype::F32, tensor.shape.0.clone())
        };
        let mut entries: Vec<Entry> = saved.iter().map(entry).collect();
        entries.push(Entry::new(names::VOCABULARY, Dtype::U8, [vocabulary.len()]));
        let weights = &mut self.weights;
        checkpoint::write(path, &entries, metadata, |name, sink| {
            let Some(tensor) = saved.iter().find(|tensor| tensor.name == name) else {
                return sink.write_u8(vocabulary);
            };
            let state = states.get(name);
            in_pieces(&tensor.shape, |start, rows| {
                match state {
                    Some(state) => rows.copy_from_slice(&state[start..start + rows.len()]),
                    None => weights.read(name, start, rows)?,
                }
                if !rows.iter().all(|value| value.is_finite()) {
                    return Err(Error::new(
                        Kind::Diverged,
                        format!("`{name}` is no longer finite"),
                    ));
                }
                tensor.layout.deinterleave(rows);
                sink.write_f32(rows)
            })
        })
    }

    /// Sets the recurrent states to zero, after the steps so far.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn reset_states(&mut self) -> Result<()> {
        for (name, len) in &self.states {
            for micro_batch in 0..self.division.micro_batches {
                for executor in &mut self.weights.executors {
                    executor.write(&names::of_micro_batch(name, micro_batch), &vec![0.0; *len])?;
                }
            }
        }
        Ok(())
    }

    /// The recurrent states of all streams after the steps so far, by their names in files. Collective: every rank must call it.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if a device or a rank is lost.
    pub fn gather_states(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut states = BTreeMap::new();
        for (name, len) in &self.states {
            let mut all = Vec::new();
            for executor in &mut self.weights.executors {
                for micro_batch in 0..self.division.micro_batches {
                    match executor.check() {
                        Ok(()) if self.incomplete => all.resize(all.len() + len, 0.0),
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

    /// Restores a checkpoint: parameters, moving averages, optimizer state, recurrent states.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`] if a tensor is missing or of another shape, [`Kind::Usage`] if the run had another number of streams.
    pub fn restore(&mut self, file: &Checkpoint) -> Result<()> {
        let begin = Instant::now();
        let saved = self.saved();
        let shape = |tensor: &SavedTensor| (tensor.name.clone(), tensor.shape.0.clone());
        let expected: Vec<(String, Vec<usize>)> = saved.iter().map(shape).collect();
        self.check_streams(file)?;
        file.check_parameters(&expected, &[names::VOCABULARY])?;
        for tensor in saved {
            let name = &tensor.name;
            if let Some((_, len)) = self.states.iter().find(|(state, _)| state == name) {
                self.restore_states(file, name, *len)?;
                continue;
            }
            in_pieces(&tensor.shape, |start, rows| {
                file.read_f32(name, start, rows)?;
                tensor.layout.interleave(rows);
                self.weights.write(name, start, rows)
            })?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        tracing::debug!(path = %file.path().display(), seconds, "checkpoint read");
        Ok(())
    }

    /// Restores a recurrent state: each micro-batch of each device has its own streams.
    fn restore_states(&mut self, file: &Checkpoint, name: &str, len: usize) -> Result<()> {
        let mut state = vec![0.0; len];
        let mut part =
            self.collective.rank() * self.weights.executors.len() * self.division.micro_batches;
        for executor in &mut self.weights.executors {
            for micro_batch in 0..self.division.micro_batches {
                file.read_f32(name, part * len, &mut state)?;
                executor.write(&names::of_micro_batch(name, micro_batch), &state)?;
                part += 1;
            }
        }
        Ok(())
    }

    /// Checks that a checkpoint has as many streams as this session.
    fn check_streams(&self, file: &Checkpoint) -> Result<()> {
        let Some((name, _)) = self.states.first() else {
            return Ok(());
        };
        let batch = self.config().train.batch;
        let streams = self.division.parts() * batch;
        match file.shape(name) {
            Ok(&[saved, _]) if saved != streams => Err(Error::usage(format!(
                "the run in `{}` has {saved} streams, {} times `train.batch`, but these devices have {streams}",
                file.path().display(),
                saved as f64 / batch as f64
            ))
            .help("resume with the same number of devices (--device once for each) and of machines")),
            _ => Ok(()),
        }
    }

    /// Calls `take` with the values of every parameter as `weights/NAME`, and with the dense gradients of the
    /// last step that the plan keeps as `gradients/NAME`, piece by piece.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`] if the device is lost.
    pub fn visit(&mut self, mut take: impl FnMut(&str, &[f32])) -> Result<()> {
        self.settle()?;
        self.weights.sync_tables()?;
        let plan = self.plans.step.first();
        let weights = &mut self.weights;
        for line in weights.table.clone().iter() {
            let label = format!("weights/{}", line.name);
            in_pieces(&line.shape, |start, rows| {
                weights.read(&line.name, start, rows)?;
                take(&label, rows);
                Ok(())
            })?;
            let gradient = names::gradient(&line.name);
            let is_kept = plan.tensors.iter().any(|tensor| {
                let is_dense = tensor.shape.len() == line.shape.len();
                tensor.name == gradient && tensor.is_persistent() && is_dense
            });
            if is_kept {
                let label = format!("gradients/{}", line.name);
                in_pieces(&line.shape, |start, rows| {
                    weights.read(&gradient, start, rows)?;
                    take(&label, rows);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}
