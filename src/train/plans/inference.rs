//! The plans of evaluation and generation.

use std::sync::{Arc, OnceLock};

use crate::config::{Config, TablePlacement};
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::model::division::Extent;
use crate::model::language_model;
use crate::model::parameter_set::ParameterSet;

/// The plans of evaluation and generation during a training run, each built on first use.
pub(super) struct InferencePlans {
    pub config: Config,
    pub vocabulary: usize,
    pub limits: Limits,
    /// The plans of evaluation and of generation, for each set of parameters.
    evaluation: [OnceLock<EvaluationPlans>; 2],
    generation: [OnceLock<Arc<Plan>>; 2],
}

impl InferencePlans {
    /// Of a device whose plans must keep to `limits`.
    pub fn new(config: &Config, vocabulary: usize, limits: Limits) -> InferencePlans {
        InferencePlans {
            config: config.clone(),
            vocabulary,
            limits,
            evaluation: Default::default(),
            generation: Default::default(),
        }
    }

    /// The plans of a validation batch.
    pub fn evaluation(&self, set: ParameterSet) -> &EvaluationPlans {
        self.evaluation[set as usize].get_or_init(|| {
            let extent = validation_extent(&self.config);
            EvaluationPlans::new(&self.config, self.vocabulary, set, &self.limits, extent)
        })
    }

    /// The plan of one word of one text.
    pub fn generation(&self, set: ParameterSet) -> &Arc<Plan> {
        self.generation[set as usize]
            .get_or_init(|| generation_plan(&self.config, self.vocabulary, set, &self.limits, 1))
    }
}

/// The plans of a batch of evaluation.
pub enum EvaluationPlans {
    /// One plan.
    Whole(Arc<Plan>),
    /// With tables on the host: they are streamed through the device.
    Streamed(StreamedPlans),
}

/// The plans of an evaluation that streams the tables through the device.
pub struct StreamedPlans {
    /// From embedded tokens to the input of the softmax, or to the losses.
    pub hidden: Arc<Plan>,
    /// The softmax, if it is on the host.
    pub softmax: Option<StreamedSoftmaxPlans>,
}

/// The plans of a softmax whose weights are on the host.
pub struct StreamedSoftmaxPlans {
    /// A tile of the softmax.
    pub tile: Arc<Plan>,
    /// From all tiles to the losses.
    pub loss: Arc<Plan>,
    /// Words of a tile.
    pub width: usize,
}

impl From<language_model::Streamed> for StreamedPlans {
    fn from(plans: language_model::Streamed) -> StreamedPlans {
        StreamedPlans {
            hidden: Arc::new(plans.hidden),
            softmax: plans.softmax.map(|softmax| StreamedSoftmaxPlans {
                tile: Arc::new(softmax.tile),
                loss: Arc::new(softmax.loss),
                width: softmax.width,
            }),
        }
    }
}

impl EvaluationPlans {
    /// The plans that evaluate batches of `extent`, within `limits`.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        set: ParameterSet,
        limits: &Limits,
        extent: Extent,
    ) -> EvaluationPlans {
        if tables_on_host(config) {
            let plans =
                language_model::streamed_evaluation(config, vocabulary, set, extent, limits);
            return EvaluationPlans::Streamed(plans.into());
        }
        let plan = language_model::evaluation(config, vocabulary, set, extent, limits);
        EvaluationPlans::Whole(Arc::new(plan))
    }

    /// The plans in the order in which they are loaded.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plan>> {
        match self {
            EvaluationPlans::Whole(plan) => vec![plan],
            EvaluationPlans::Streamed(plans) => {
                let softmax = plans.softmax.iter();
                let softmax = softmax.flat_map(|softmax| [&softmax.tile, &softmax.loss]);
                std::iter::once(&plans.hidden).chain(softmax).collect()
            }
        }
        .into_iter()
    }
}

/// The maximum number of time steps of an evaluation batch, unless a training batch has more. A plan has steps for each time step.
/// Enough for a window of an evaluation on part of a text, with its context.
const LONGEST: usize = 384;

/// The same with tables on the host, whose softmax is sent to the device once per batch.
const LONGEST_STREAMED: usize = 2048;

/// An evaluation batch with `streams` streams. It has about as many rows as a training batch, so that it needs no more memory. With
/// few streams, batches are long, because all products but the recurrent ones are computed at once for all time steps.
pub fn evaluation_extent(config: &Config, streams: usize) -> Extent {
    let train = &config.train;
    let longest = if tables_on_host(config) {
        LONGEST_STREAMED
    } else {
        LONGEST
    };
    let unroll = (train.batch * train.unroll / streams).clamp(1, longest.max(train.unroll));
    Extent {
        batch: streams,
        unroll,
    }
}

/// A validation batch during training: `train.validate_streams` streams, by default as many as in training.
pub fn validation_extent(config: &Config) -> Extent {
    evaluation_extent(config, config.train.validation_streams())
}

/// The plan that generates `streams` texts in parallel, by one word each, within `limits`. It computes the
/// logits, or with tables on the host the input of the softmax.
pub fn generation_plan(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    limits: &Limits,
    streams: usize,
) -> Arc<Plan> {
    let plan = if tables_on_host(config) {
        language_model::streamed_generation(config, vocabulary, set, streams, limits)
    } else {
        language_model::logits(config, vocabulary, set, streams, limits)
    };
    Arc::new(plan)
}

/// Whether the embedding and the softmax are in host memory.
pub(super) fn tables_on_host(config: &Config) -> bool {
    config.model.tables == TablePlacement::Host
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn batches_of_evaluation_are_no_larger_than_those_of_training() {
        let config = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let toml = "[data]\ntrain = [\"x\"]\n[train]\nsteps = 1\nbatch = 64\nunroll = 20\n";
            Config::parse(toml, "test", Path::new("/"), &sets).expect("a configuration")
        };
        let own = config(&[]);
        let training = Extent {
            batch: 64,
            unroll: 20,
        };
        assert_eq!(validation_extent(&own), training);
        assert_eq!(evaluation_extent(&own, 64), training);
        for (streams, unroll) in [(1, 384), (2, 384), (4, 320), (100, 12), (5000, 1)] {
            let found = evaluation_extent(&own, streams);
            assert_eq!((found.batch, found.unroll), (streams, unroll));
        }
        // A long unroll stays as it is, and every transfer of the softmax is used for a whole batch.
        assert_eq!(
            evaluation_extent(&config(&["train.unroll=500"]), 64).unroll,
            500
        );
        let host = config(&["model.tables=host", "softmax.kind=sampled"]);
        assert_eq!(evaluation_extent(&host, 1).unroll, 64 * 20);
        let given = config(&["train.validate_streams=4"]);
        assert_eq!(validation_extent(&given), evaluation_extent(&own, 4));
    }
}
