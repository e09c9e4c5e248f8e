//! Evaluation and generation: the losses of a text, the logits of the next word.
//!
//! A training session lends out an [`Evaluator`] or a [`Predictor`] of the model that it trains. [`EvaluationSession`] and
//! [`GenerationSession`] do the same for a trained model that is loaded from a file.

use std::sync::Arc;

use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::graph::plan::Plan;
use crate::model::language_model::{self, Extent};
use crate::model::limits::check_sizes;
use crate::train::host_tables::{HostTables, StreamedEvaluation, streamed_logits};
use crate::train::plans::{EvaluationPlans, generation_plan, load};

/// The loaded plans of an evaluation.
pub(super) struct LoadedEvaluation {
    how: HowEvaluated,
    /// Names and lengths of its recurrent states.
    states: Vec<(String, usize)>,
    extent: Extent,
}

enum HowEvaluated {
    Whole(PlanId),
    Streamed(StreamedEvaluation),
}

impl LoadedEvaluation {
    /// Loads the plans on the first device.
    pub fn load(
        weights: &mut ModelWeights,
        plans: &EvaluationPlans,
        extent: Extent,
    ) -> Result<LoadedEvaluation> {
        let (executor, config) = (&mut *weights.executors[0], &weights.config);
        let (how, states) = match plans {
            EvaluationPlans::Whole(plan) => {
                let loaded = load(executor, config, plan)?;
                (HowEvaluated::Whole(loaded), states(plan))
            }
            EvaluationPlans::Streamed(plans) => {
                let loaded = StreamedEvaluation::load(executor, config, plans)?;
                (HowEvaluated::Streamed(loaded), states(&plans.hidden))
            }
        };
        Ok(LoadedEvaluation {
            how,
            states,
            extent,
        })
    }
}

/// The loaded plan of a generation.
pub(super) struct LoadedGeneration {
    plan: PlanId,
    /// Names and lengths of its recurrent states.
    states: Vec<(String, usize)>,
    streams: usize,
}

impl LoadedGeneration {
    /// Loads the plan for `streams` texts side by side on the first device.
    pub fn load(
        weights: &mut ModelWeights,
        plan: &Arc<Plan>,
        streams: usize,
    ) -> Result<LoadedGeneration> {
        Ok(LoadedGeneration {
            plan: load(&mut *weights.executors[0], &weights.config, plan)?,
            states: states(plan),
            streams,
        })
    }
}

fn states(plan: &Plan) -> Vec<(String, usize)> {
    language_model::states(plan)
}

/// Computes the losses of text with the full softmax, batch after batch. Recurrent states carry over from one batch to the next.
pub struct Evaluator<'a> {
    weights: &'a mut ModelWeights,
    loaded: &'a LoadedEvaluation,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        weights: &'a mut ModelWeights,
        loaded: &'a LoadedEvaluation,
    ) -> Evaluator<'a> {
        Evaluator { weights, loaded }
    }

    /// The configuration of the model.
    pub fn config(&self) -> &Config {
        &self.weights.config
    }

    /// Streams and steps of a batch.
    pub fn extent(&self) -> Extent {
        self.loaded.extent
    }

    /// Sets the recurrent states of all streams to zero, and takes the parameters as they are now.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn reset(&mut self) -> Result<()> {
        self.weights.sync_tables()?;
        zero(self.weights.first_device(), &self.loaded.states)
    }

    /// Sets the recurrent states of some streams to zero; if these are all streams, as [`Evaluator::reset`].
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn reset_streams(&mut self, streams: &[usize]) -> Result<()> {
        let batch = self.loaded.extent.batch;
        if streams.len() == batch {
            return self.reset();
        }
        let device = self.weights.first_device();
        for (name, len) in &self.loaded.states {
            let width = len / batch;
            let zeros = vec![0.0; width];
            for stream in streams {
                device.write_part(name, stream * width, &zeros)?;
            }
        }
        Ok(())
    }

    /// The losses `[T*B]`, in nats, of `targets [T*B]` after `inputs [T*B]`; 0 for padding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn losses(&mut self, inputs: Vec<u32>, targets: Vec<u32>) -> Result<Vec<f64>> {
        let device = &mut *self.weights.executors[0];
        match &self.loaded.how {
            HowEvaluated::Streamed(evaluation) => {
                let tables = self.weights.tables.as_ref();
                let tables = tables.expect("only tables on the host are streamed");
                evaluation.run(device, tables, &inputs, &targets)
            }
            HowEvaluated::Whole(plan) => {
                let inputs = vec![
                    ("inputs", Data::Index(inputs)),
                    ("targets", Data::Index(targets)),
                ];
                device.run(*plan, &inputs)?;
                let (_, nll) = device.fetch()?.swap_remove(0);
                Ok(nll)
            }
        }
    }
}

/// Computes the logits of the next word of several texts side by side, one word at a time.
pub struct Predictor<'a> {
    weights: &'a mut ModelWeights,
    loaded: &'a LoadedGeneration,
}

impl<'a> Predictor<'a> {
    pub(super) fn new(
        weights: &'a mut ModelWeights,
        loaded: &'a LoadedGeneration,
    ) -> Predictor<'a> {
        Predictor { weights, loaded }
    }

    /// The configuration of the model.
    pub fn config(&self) -> &Config {
        &self.weights.config
    }

    /// The number of texts side by side.
    pub fn streams(&self) -> usize {
        self.loaded.streams
    }

    /// Sets the recurrent states to zero, and takes the parameters as they are now.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn reset(&mut self) -> Result<()> {
        self.weights.sync_tables()?;
        zero(self.weights.first_device(), &self.loaded.states)
    }

    /// The logits `[B, V]` after one more word of each text.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn logits(&mut self, words: &[u32]) -> Result<Vec<f64>> {
        let plan = self.loaded.plan;
        let weights = &mut *self.weights;
        let device = &mut *weights.executors[0];
        if let Some(tables) = &weights.tables {
            return streamed_logits(device, plan, &weights.config, tables, words);
        }
        let inputs = vec![("inputs", Data::Index(words.to_vec()))];
        device.run(plan, &inputs)?;
        let (_, logits) = device.fetch()?.swap_remove(0);
        Ok(logits)
    }
}

fn zero(device: &mut dyn Executor, states: &[(String, usize)]) -> Result<()> {
    states
        .iter()
        .try_for_each(|(name, len)| device.write(name, &vec![0.0; *len]))
}

/// A trained model that computes losses.
pub struct EvaluationSession {
    weights: ModelWeights,
    loaded: LoadedEvaluation,
}

impl EvaluationSession {
    /// Loads the parameters of a checkpoint on a device, for batches of `extent`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory, [`Kind::Data`](crate::error::Kind::Data) if the
    /// checkpoint does not fit the configuration.
    pub fn new(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        extent: Extent,
    ) -> Result<EvaluationSession> {
        let mut weights = trained_weights(executor, config, vocabulary, file)?;
        let limits = weights.executors[0].limits();
        let limits = limits.binding_at_most(config.device.max_binding);
        let plans = EvaluationPlans::new(config, vocabulary, &limits, extent);
        let loaded = LoadedEvaluation::load(&mut weights, &plans, extent)?;
        load_parameters(&mut weights, file)?;
        Ok(EvaluationSession { weights, loaded })
    }

    /// What computes losses.
    pub fn evaluator(&mut self) -> Evaluator<'_> {
        Evaluator::new(&mut self.weights, &self.loaded)
    }
}

/// A trained model that predicts the next word.
pub struct GenerationSession {
    weights: ModelWeights,
    loaded: LoadedGeneration,
}

impl GenerationSession {
    /// Loads the parameters of a checkpoint on a device, for `streams` texts side by side.
    ///
    /// # Errors
    ///
    /// As [`EvaluationSession::new`].
    pub fn new(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        streams: usize,
    ) -> Result<GenerationSession> {
        let mut weights = trained_weights(executor, config, vocabulary, file)?;
        let limits = weights.executors[0].limits();
        let limits = limits.binding_at_most(config.device.max_binding);
        let plan = generation_plan(config, vocabulary, &limits, streams);
        let loaded = LoadedGeneration::load(&mut weights, &plan, streams)?;
        load_parameters(&mut weights, file)?;
        Ok(GenerationSession { weights, loaded })
    }

    /// What predicts words.
    pub fn predictor(&mut self) -> Predictor<'_> {
        Predictor::new(&mut self.weights, &self.loaded)
    }
}

/// The weights of a trained model, not loaded yet.
fn trained_weights(
    executor: Box<dyn Executor>,
    config: &Config,
    vocabulary: usize,
    file: &Checkpoint,
) -> Result<ModelWeights> {
    check_sizes(config, vocabulary, 1)?;
    let mut weights = ModelWeights::new(vec![executor], config, vocabulary, None);
    weights.check_parameters(file)?;
    weights.tables = HostTables::for_inference(config, vocabulary)?;
    Ok(weights)
}

/// Loads the parameters that the plans of evaluation and generation read: recurrent ones under the name of their moving average where
/// the model has one.
fn load_parameters(weights: &mut ModelWeights, file: &Checkpoint) -> Result<()> {
    for line in weights.table.clone().iter() {
        let name = line.evaluated_name(&weights.config);
        weights.load(file, &name, line)?;
    }
    Ok(())
}
