//! The losses of a text. A training session provides an [`Evaluator`] of the model that it trains; an
//! [`EvaluationSession`] provides one of a trained model.

use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, TablePlacement};
use crate::device::{Data, Executor, PlanId};
use crate::error::Result;
use crate::kernels::matmul::SMALL;
use crate::model::language_model::{self, Extent};
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::Group;
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
                evaluation.run(device, &self.weights.tables, &inputs, &targets)
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

/// The first extent of a session that scores lines.
const ONE_LINE: Extent = Extent {
    batch: 2,
    unroll: 16,
};

/// The only extent of a session that scores lines with tables on the host.
const MANY_LINES: Extent = Extent {
    batch: 64,
    unroll: 8,
};

/// A trained model that computes losses.
pub struct EvaluationSession {
    weights: ModelWeights,
    set: ParameterSet,
    /// The plans that are loaded, with different extents. There is at least one.
    loaded: Vec<LoadedEvaluation>,
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
        let weights = ModelWeights::for_inference(executor, config, vocabulary, file)?;
        let plans = EvaluationPlans::new(config, vocabulary, set, &weights.limits(), extent);
        EvaluationSession::load(weights, file, set, &plans, extent)
    }

    /// Loads the parameters of a checkpoint on a device, to score lines.
    ///
    /// # Errors
    ///
    /// Same as [`EvaluationSession::new`].
    pub fn for_lines(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        set: ParameterSet,
    ) -> Result<EvaluationSession> {
        if config.model.tables == TablePlacement::Host {
            return EvaluationSession::new(executor, config, vocabulary, file, set, MANY_LINES);
        }
        let weights = ModelWeights::for_inference(executor, config, vocabulary, file)?;
        let plans = EvaluationPlans::of_lines(config, vocabulary, set, &weights.limits(), ONE_LINE);
        EvaluationSession::load(weights, file, set, &plans, ONE_LINE)
    }

    fn load(
        mut weights: ModelWeights,
        file: &Checkpoint,
        set: ParameterSet,
        plans: &EvaluationPlans,
        extent: Extent,
    ) -> Result<EvaluationSession> {
        let loaded = vec![LoadedEvaluation::load(&mut weights, plans, extent)?];
        weights.load_set(file, set)?;
        Ok(EvaluationSession {
            weights,
            set,
            loaded,
        })
    }

    /// The evaluator of this model.
    pub fn evaluator(&mut self) -> Evaluator<'_> {
        Evaluator::new(&mut self.weights, &self.loaded[0])
    }

    /// An evaluator with batches of this extent. Its plan is loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is out of memory.
    pub(in crate::train) fn evaluator_of(&mut self, extent: Extent) -> Result<Evaluator<'_>> {
        let known = self.loaded.iter().position(|one| one.extent == extent);
        let number = match known {
            Some(number) => number,
            None => {
                let weights = &mut self.weights;
                let limits = weights.limits();
                let plans = EvaluationPlans::of_lines(
                    &weights.config,
                    weights.vocabulary,
                    self.set,
                    &limits,
                    extent,
                );
                let loaded = LoadedEvaluation::load(weights, &plans, extent)?;
                self.loaded.push(loaded);
                self.loaded.len() - 1
            }
        };
        Ok(Evaluator::new(&mut self.weights, &self.loaded[number]))
    }

    /// The extent of all batches, if there is only one: plans that stream tables share tensors whose sizes depend on it.
    pub(in crate::train) fn only_extent(&self) -> Option<Extent> {
        let loaded = &self.loaded[0];
        matches!(loaded.how, HowEvaluated::Streamed(_)).then_some(loaded.extent)
    }

    /// Whether the model is on a GPU.
    pub(in crate::train) fn is_on_gpu(&self) -> bool {
        self.weights.limits().workgroups > 0
    }

    /// The least number of streams with which a loss on the CPU has the same bits as with any larger number.
    pub(in crate::train) fn least_streams(&self) -> usize {
        let recurrent = self.weights.table.iter();
        let recurrent = recurrent.filter(|line| line.group == Group::Recurrent);
        let columns = recurrent.filter_map(|line| match line.shape.0[..] {
            [.., _, columns] => Some(columns),
            _ => None,
        });
        let columns = columns.chain([self.weights.vocabulary]).min();
        let columns = columns.expect("the vocabulary");
        (SMALL / columns + 1).max(2)
    }
}
