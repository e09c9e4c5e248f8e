//! The logits of the next word. A training session provides a [`Predictor`] of the model that it trains; a
//! [`GenerationSession`] provides one of a trained model.

use std::sync::Arc;

use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::graph::plan::Plan;
use crate::model::language_model;
use crate::model::parameter_set::ParameterSet;
use crate::train::cluster_inputs::joined_logits;
use crate::train::host_tables::streamed_logits;
use crate::train::plans::{generation_plan, load};

/// The loaded plan of a generation.
pub(super) struct LoadedGeneration {
    plan: PlanId,
    /// Names and lengths of its recurrent states.
    states: Vec<(String, usize)>,
    streams: usize,
}

impl LoadedGeneration {
    /// Loads the plan for `streams` texts in parallel on the first device.
    pub fn load(
        weights: &mut ModelWeights,
        plan: &Arc<Plan>,
        streams: usize,
    ) -> Result<LoadedGeneration> {
        Ok(LoadedGeneration {
            plan: load(&mut *weights.executors[0], &weights.config, plan)?,
            states: language_model::states(plan),
            streams,
        })
    }
}

/// Computes the logits of the next word of several texts in parallel.
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

    /// The number of texts in parallel.
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
        self.weights.zero_states(&self.loaded.states)
    }

    /// The logits `[B, V]` after one more word of each text.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn logits(&mut self, words: &[u32]) -> Result<Vec<f64>> {
        let plan = self.loaded.plan;
        let weights = &mut *self.weights;
        let clusters = weights.clusters.as_ref();
        let device = &mut *weights.executors[0];
        if !weights.tables.is_empty() {
            let (config, tables) = (&weights.config, &weights.tables);
            return streamed_logits(device, plan, config, tables, words, clusters);
        }
        let inputs = vec![("inputs", Data::Index(words.to_vec()))];
        device.run(plan, &inputs)?;
        let mut outputs = device.fetch()?;
        Ok(match clusters {
            Some(clusters) => joined_logits(clusters, &outputs),
            None => outputs.swap_remove(0).1,
        })
    }
}

/// A trained model that predicts the next word.
pub struct GenerationSession {
    weights: ModelWeights,
    loaded: LoadedGeneration,
}

impl GenerationSession {
    /// Loads a set of the parameters of a checkpoint on a device, for `streams` texts in parallel.
    ///
    /// # Errors
    ///
    /// Same as [`EvaluationSession::new`](super::evaluation::EvaluationSession::new).
    pub fn new(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        set: ParameterSet,
        streams: usize,
    ) -> Result<GenerationSession> {
        let mut weights = ModelWeights::for_inference(executor, config, vocabulary, file)?;
        let limits = weights.limits();
        let plan = generation_plan(config, vocabulary, set, &limits, streams);
        let loaded = LoadedGeneration::load(&mut weights, &plan, streams)?;
        weights.load_set(file, set)?;
        Ok(GenerationSession { weights, loaded })
    }

    /// The predictor of this model.
    pub fn predictor(&mut self) -> Predictor<'_> {
        Predictor::new(&mut self.weights, &self.loaded)
    }
}
