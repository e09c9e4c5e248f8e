//! The losses of a text. A training session provides an [`Evaluator`] of the model that it trains; an
//! [`EvaluationSession`] provides one of a trained model.

use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::model::language_model::{self, Extent};
use crate::model::parameter_set::ParameterSet;
use crate::train::cluster_inputs::target_inputs;
use crate::train::host_tables::StreamedEvaluation;
use crate::train::plans::{EvaluationPlans, load};

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
                (HowEvaluated::Whole(loaded), language_model::states(plan))
            }
            EvaluationPlans::Streamed(plans) => {
                let loaded = StreamedEvaluation::load(executor, config, plans)?;
                (
                    HowEvaluated::Streamed(loaded),
                    language_model::states(&plans.hidden),
                )
            }
        };
        Ok(LoadedEvaluation {
            how,
            states,
            extent,
        })
    }
}

/// Computes the exact losses of text, batch after batch. Recurrent states carry over from one batch to the next.
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
        self.weights.zero_states(&self.loaded.states)
    }

    /// Sets the recurrent states of all streams to zero. The parameters are those of the last [`Evaluator::reset`].
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn zero_states(&mut self) -> Result<()> {
        self.weights.zero_states(&self.loaded.states)
    }

    /// The losses `[T*B]`, in nats, of `targets [T*B]` after `inputs [T*B]`; 0 for padding.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn losses(&mut self, inputs: Vec<u32>, targets: Vec<u32>) -> Result<Vec<f64>> {
        let clusters = self.weights.clusters.as_ref();
        let device = &mut *self.weights.executors[0];
        match &self.loaded.how {
            HowEvaluated::Streamed(evaluation) => {
                evaluation.run(device, &self.weights.tables, &inputs, targets, clusters)
            }
            HowEvaluated::Whole(plan) => {
                let mut all = target_inputs(clusters, targets);
                all.push(("inputs", Data::Index(inputs)));
                device.run(*plan, &all)?;
                let (_, nll) = device.fetch()?.swap_remove(0);
                Ok(nll)
            }
        }
    }
}

/// A trained model that computes losses.
pub struct EvaluationSession {
    weights: ModelWeights,
    loaded: LoadedEvaluation,
}

impl EvaluationSession {
    /// Loads a set of the parameters of a checkpoint on a device, for batches of `extent`.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory,
    /// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint does not fit the configuration.
    pub fn new(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        set: ParameterSet,
        extent: Extent,
    ) -> Result<EvaluationSession> {
        let mut weights = ModelWeights::for_inference(executor, config, vocabulary, file)?;
        let plans = EvaluationPlans::new(config, vocabulary, set, &weights.limits(), extent);
        let loaded = LoadedEvaluation::load(&mut weights, &plans, extent)?;
        weights.load_set(file, set)?;
        Ok(EvaluationSession { weights, loaded })
    }

    /// The evaluator of this model.
    pub fn evaluator(&mut self) -> Evaluator<'_> {
        Evaluator::new(&mut self.weights, &self.loaded)
    }
}
