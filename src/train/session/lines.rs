//! A trained model that scores lines: its layers, and separately the softmax, for the rows that are needed.

use std::sync::Arc;

use super::weights::ModelWeights;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, TablePlacement};
use crate::device::{Data, Executor, Inputs, PlanId};
use crate::error::Result;
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::kernels::matmul::SMALL;
use crate::model::clusters::Clusters;
use crate::model::language_model::{self, Extent};
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::Group;
use crate::train::cluster_inputs::cluster_inputs;
use crate::train::host_tables::{StreamedEvaluation, StreamedSoftmax};
use crate::train::plans::load;

/// The batch size of the first plan of a session, which declares all parameters.
const FIRST: Extent = Extent {
    batch: 2,
    unroll: 16,
};

/// The only batch size with tables on the host, because the plans share tensors whose sizes depend on it.
const STREAMED: Extent = Extent {
    batch: 64,
    unroll: 8,
};

/// A trained model that scores lines.
pub struct LineSession {
    weights: ModelWeights,
    set: ParameterSet,
    how: How,
    softmax: SoftmaxPlans,
}

/// Where the tables are.
enum How {
    /// On the device: the loaded plans of the layers.
    Whole(Vec<(Extent, PlanId)>),
    /// On the host. An adaptive softmax is on the device.
    Streamed(StreamedEvaluation),
}

/// The loaded plans of a softmax on the device, by their rows.
#[derive(Default)]
struct SoftmaxPlans {
    sums: Vec<(usize, PlanId)>,
    targets: Vec<(usize, PlanId)>,
}

/// A batch of segments of lines.
pub(in crate::train) struct LineBatch {
    /// The inputs, `[T*B]`: the words before the targets.
    pub inputs: Vec<u32>,
    /// The slots of the initial states, `[B]`.
    pub parents: Vec<u32>,
    /// The slots for the final states, `[B]`; [`IGNORE`](crate::kernels::softmax::IGNORE) where they are not needed.
    pub slots: Vec<u32>,
}

impl LineSession {
    /// Loads a set of the parameters of a checkpoint on a device.
    ///
    /// # Errors
    ///
    /// Same as [`EvaluationSession::new`](super::EvaluationSession::new).
    pub fn new(
        executor: Box<dyn Executor>,
        config: &Config,
        vocabulary: usize,
        file: &Checkpoint,
        set: ParameterSet,
    ) -> Result<LineSession> {
        let mut weights = ModelWeights::for_inference(executor, config, vocabulary, file)?;
        let limits = weights.limits();
        let device = weights.first_device();
        let how = if config.model.tables == TablePlacement::Host {
            let plans =
                language_model::streamed_lines(config, vocabulary, set, STREAMED, &limits).into();
            How::Streamed(StreamedEvaluation::load(device, config, &plans)?)
        } else {
            let plan = language_model::line_layers(config, vocabulary, set, FIRST, &limits);
            How::Whole(vec![(FIRST, load(device, config, &Arc::new(plan))?)])
        };
        let mut softmax = SoftmaxPlans::default();
        if matches!(&how, How::Streamed(evaluation) if evaluation.softmax().is_none()) {
            // The plan of the layers does not declare the parameters of the softmax.
            let rows = STREAMED.rows();
            let plan = language_model::line_softmax(config, vocabulary, set, rows, &limits);
            softmax
                .sums
                .push((rows, load(device, config, &Arc::new(plan))?));
        }
        weights.load_set(file, set)?;
        Ok(LineSession {
            weights,
            set,
            how,
            softmax,
        })
    }

    /// The batch size, if only one is possible.
    pub(in crate::train) fn only_extent(&self) -> Option<Extent> {
        matches!(self.how, How::Streamed(_)).then_some(STREAMED)
    }

    /// Whether the model is on a GPU.
    pub(in crate::train) fn is_on_gpu(&self) -> bool {
        self.weights.limits().multiprocessors > 0
    }

    /// The number of elements of a row of the input of the softmax, `P`.
    pub(in crate::train) fn width(&self) -> usize {
        self.weights.config.model.output_size()
    }

    /// The minimum number of streams of a batch on the CPU. The results of the layers are bitwise identical for all larger
    /// numbers.
    pub(in crate::train) fn least_streams(&self) -> usize {
        let recurrent = self.weights.table.iter();
        let recurrent = recurrent.filter(|line| line.group == Group::Recurrent);
        let columns = recurrent.filter_map(|line| match line.shape.0[..] {
            [.., _, columns] => Some(columns),
            _ => None,
        });
        least_rows(columns.min().unwrap_or(SMALL))
    }

    /// The minimum number of rows of a softmax on the CPU. The results are bitwise identical for all larger numbers.
    pub(in crate::train) fn least_rows(&self) -> usize {
        let clusters = self.weights.clusters.as_ref();
        least_rows(clusters.map_or(self.weights.vocabulary, Clusters::entries))
    }

    /// The inputs of the softmax, `[T*B, P]`, for a batch. The plan of a batch size is loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost or out of memory.
    pub(in crate::train) fn hidden(
        &mut self,
        extent: Extent,
        batch: LineBatch,
    ) -> Result<Vec<f64>> {
        let (weights, set) = (&mut self.weights, self.set);
        let slots = vec![
            ("parents", Data::Index(batch.parents)),
            ("slots", Data::Index(batch.slots)),
        ];
        match &mut self.how {
            How::Streamed(evaluation) => {
                let device = &mut *weights.executors[0];
                let h = evaluation.hidden(device, &weights.tables, &batch.inputs, &slots)?;
                Ok(h.into_iter().map(f64::from).collect())
            }
            How::Whole(layers) => {
                let plan = loaded(weights, layers, extent, |config, words, limits| {
                    language_model::line_layers(config, words, set, extent, limits)
                })?;
                let mut inputs = slots;
                inputs.push(("inputs", Data::Index(batch.inputs)));
                self.output(plan, &inputs)
            }
        }
    }

    /// The log-sum-exp of the logits, `[rows]`, for the inputs `h [rows, P]` of the softmax. An adaptive softmax uses the logits of
    /// its head.
    ///
    /// # Errors
    ///
    /// Same as [`LineSession::hidden`].
    pub(in crate::train) fn log_sums(&mut self, rows: usize, h: Vec<f64>) -> Result<Vec<f64>> {
        let (weights, set) = (&mut self.weights, self.set);
        let none = vec![weights.vocabulary as u32; rows];
        if let Some(softmax) = streamed_softmax(&self.how) {
            let device = &mut *weights.executors[0];
            return softmax.losses(device, &weights.tables, &narrowed(&h), &none);
        }
        let plans = &mut self.softmax.sums;
        let plan = loaded(weights, plans, rows, |config, words, limits| {
            language_model::line_softmax(config, words, set, rows, limits)
        })?;
        let inputs = vec![("h", Data::Real(h)), ("targets", Data::Index(none))];
        self.output(plan, &inputs)
    }

    /// The logits of `targets [rows]` for the inputs `h [rows, P]` of the softmax. With an adaptive softmax: their
    /// log-probabilities plus the log-sum-exp of the head.
    ///
    /// # Errors
    ///
    /// Same as [`LineSession::hidden`].
    pub(in crate::train) fn target_logits(
        &mut self,
        targets: Vec<u32>,
        h: Vec<f64>,
    ) -> Result<Vec<f64>> {
        let (weights, set, rows) = (&mut self.weights, self.set, targets.len());
        if let Some(softmax) = streamed_softmax(&self.how) {
            return Ok(softmax.target_logits(&weights.tables, &narrowed(&h), &targets));
        }
        let plans = &mut self.softmax.targets;
        let plan = loaded(weights, plans, rows, |config, words, limits| {
            language_model::line_targets(config, words, set, rows, limits)
        })?;
        let mut inputs = match &weights.clusters {
            Some(clusters) => cluster_inputs(clusters, &targets, &clusters.fixed_sections(rows)),
            None => vec![("targets", Data::Index(targets))],
        };
        inputs.push(("h", Data::Real(h)));
        self.output(plan, &inputs)
    }

    /// Runs a plan and returns its output.
    fn output(&mut self, plan: PlanId, inputs: &Inputs) -> Result<Vec<f64>> {
        let device = self.weights.first_device();
        device.run(plan, inputs)?;
        let (_, values) = device.fetch()?.swap_remove(0);
        Ok(values)
    }
}

/// The softmax, if its weights are on the host.
fn streamed_softmax(how: &How) -> Option<&StreamedSoftmax> {
    match how {
        How::Streamed(evaluation) => evaluation.softmax(),
        How::Whole(_) => None,
    }
}

/// The plan of a size, loaded at the first call.
fn loaded<K: Copy + PartialEq>(
    weights: &mut ModelWeights,
    plans: &mut Vec<(K, PlanId)>,
    size: K,
    plan: impl FnOnce(&Config, usize, &Limits) -> Plan,
) -> Result<PlanId> {
    if let Some((_, plan)) = plans.iter().find(|(known, _)| *known == size) {
        return Ok(*plan);
    }
    let limits = weights.limits();
    let plan = Arc::new(plan(&weights.config, weights.vocabulary, &limits));
    let loaded = load(&mut *weights.executors[0], &weights.config, &plan)?;
    plans.push((size, loaded));
    Ok(loaded)
}

/// The minimum number of rows of a matrix product with this many columns whose results are bitwise identical to those with more
/// rows.
fn least_rows(columns: usize) -> usize {
    (SMALL / columns + 1).max(2)
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}
