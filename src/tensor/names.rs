//! The names of tensors, in executors and in checkpoint files. Only this module builds and parses names with
//! a prefix.
//!
//! | name | tensor | in checkpoints |
//! |---|---|---|
//! | `layers.0.gates.weight` and so on | a parameter | yes |
//! | `PARAMETER.half` | its copy in `f16`, which products of mixed precision read | no |
//! | `ema.PARAMETER` | its moving average | yes |
//! | `optimizer.PARAMETER.STATE` | a state of its optimizer | yes |
//! | `optimizer.loss_scale` | the loss scale of mixed precision | yes |
//! | `state.layers.K.h`, `state.layers.K.c` | the recurrent state of layer `K` | yes |
//! | `vocab` | the text of the vocabulary | yes, only there |
//! | `gradient.PARAMETER` | the gradient of a parameter | no |
//! | `gradient.PARAMETER.half` | the same in `f16`, for its transfer to other devices | no |
//! | `gradient.value.NUMBER` | the gradient of another value of a graph | no |
//! | `joined.PARAMETER` | rows of gradient of all devices | no |
//! | `exchange.out.TENSOR`, `exchange.in.TENSOR` | rows of a table on the host, to the host and to the device | no |
//! | `evaluation.*`, `generation.*` | tensors that the plans of an evaluation or a generation with tables on the host exchange | no |
//! | `evaluation.state.*`, `linesB.state.*`, `lines.state.*`, `generation.state.*`, `micro_batchK.state.*` | recurrent states of plans with other batches | no |
//! | `rows.embedding`, `rows.softmax`, `rows.table` | row indices: inputs of a training step | no |

/// The embedding, `[V, E]`; with `model.tied`, the softmax weights too.
pub const EMBEDDING: &str = "embedding.weight";

/// The softmax weights, `[V, P]`. See [`softmax_weight`].
pub const SOFTMAX_WEIGHT: &str = "softmax.weight";

/// The softmax bias, `[V]`.
pub const SOFTMAX_BIAS: &str = "softmax.bias";

/// The weights of the head of an adaptive softmax, `[words + clusters, P]`.
pub const HEAD_WEIGHT: &str = "softmax.head.weight";

/// The bias of the head of an adaptive softmax, `[words + clusters]`.
pub const HEAD_BIAS: &str = "softmax.head.bias";

/// Output of a generation with an adaptive softmax: the logits of the head, `[B, words + clusters]`.
pub const HEAD_LOGITS: &str = "logits.head";

/// Input of an adaptive softmax: see [`ClusterTargets::head`](crate::model::clusters::ClusterTargets::head).
pub const TARGETS_HEAD: &str = "targets.head";

/// Input of an adaptive softmax: see [`ClusterTargets::sources`](crate::model::clusters::ClusterTargets::sources).
pub const CLUSTER_SOURCES: &str = "clusters.sources";

/// Input of an adaptive softmax: see [`ClusterTargets::positions`](crate::model::clusters::ClusterTargets::positions).
pub const CLUSTER_POSITIONS: &str = "clusters.positions";

/// Input of an adaptive softmax: see [`ClusterTargets::targets`](crate::model::clusters::ClusterTargets::targets).
pub const CLUSTER_TARGETS: &str = "clusters.targets";

/// The prefix of the parameters of layers.
const LAYERS: &str = "layers.";

/// The text of the vocabulary in a checkpoint.
pub const VOCABULARY: &str = "vocab";

/// The metadata key of a checkpoint for the rule by which `data.tokens = "words"` splits text.
pub const WORD_RULE: &str = "words";

/// The loss scale of mixed precision and the number of steps since it changed, `[2]`.
pub const LOSS_SCALE: &str = "optimizer.loss_scale";

/// Prefixes of the tensors in a checkpoint that are neither parameters nor their moving averages.
pub const NOT_PARAMETERS: [&str; 3] = ["optimizer.", "state.", VOCABULARY];

/// The prefix of moving averages.
pub const MOVING_AVERAGES: &str = "ema.";

/// The suffix of copies in `f16`.
const ROUNDED: &str = ".half";

/// The row index of the embedding's gradient.
pub const ROWS_EMBEDDING: &str = "rows.embedding";

/// The row index of the gradient of the softmax's weights and bias.
pub const ROWS_SOFTMAX: &str = "rows.softmax";

/// The row index of the gradient of a table that embedding and softmax share.
pub const ROWS_TABLE: &str = "rows.table";

/// The table that contains the softmax weights: the embedding, if they are tied.
pub fn softmax_weight(tied: bool) -> &'static str {
    if tied { EMBEDDING } else { SOFTMAX_WEIGHT }
}

/// The prefix of a layer's parameters and states, `layers.0`.
pub fn layer(layer: usize) -> String {
    format!("{LAYERS}{layer}")
}

/// The projection of a cluster of an adaptive softmax, `[P, width]`.
pub fn tail_projection(cluster: usize) -> String {
    format!("softmax.tails.{cluster}.projection")
}

/// The weights of the words of a cluster of an adaptive softmax, `[words, width]`.
pub fn tail_weight(cluster: usize) -> String {
    format!("softmax.tails.{cluster}.weight")
}

/// The cluster of a parameter of an adaptive softmax, and whether it is the projection; none for other names.
pub fn cluster_of(name: &str) -> Option<(usize, bool)> {
    let (cluster, part) = name.strip_prefix("softmax.tails.")?.split_once('.')?;
    Some((cluster.parse().ok()?, part == "projection"))
}

/// Output of a generation with an adaptive softmax: the logits of a cluster, `[B, words]`.
pub fn cluster_logits(cluster: usize) -> String {
    format!("logits.{cluster}")
}

/// A tensor of a layer.
pub fn in_layer(layer: usize, name: &str) -> String {
    format!("{LAYERS}{layer}.{name}")
}

/// A parameter of a layer's gates; `weight` for example.
pub fn gate(layer: usize, parameter: &str) -> String {
    format!("{LAYERS}{layer}.gates.{parameter}")
}

/// The bias of a layer's gates, `[4H]`.
pub fn gate_bias(layer: usize) -> String {
    gate(layer, "bias")
}

/// The projection of a layer, `[H, P]`.
pub fn projection(layer: usize) -> String {
    in_layer(layer, "projection.weight")
}

/// The layer of a parameter, or of a name that begins with a layer's; none for other names.
pub fn layer_of(name: &str) -> Option<usize> {
    let number = name.strip_prefix(LAYERS)?.split('.').next()?;
    number.parse().ok()
}

/// Whether an input is a row index.
pub fn is_row_index(input: &str) -> bool {
    [ROWS_EMBEDDING, ROWS_SOFTMAX, ROWS_TABLE].contains(&input)
}

/// The copy of a parameter in `f16`.
pub fn rounded(parameter: &str) -> String {
    format!("{parameter}{ROUNDED}")
}

/// The parameter whose `f16` copy has this name; `None` for other names.
pub fn rounded_parameter(name: &str) -> Option<&str> {
    name.strip_suffix(ROUNDED)
}

/// The moving average of a parameter.
pub fn moving_average(parameter: &str) -> String {
    format!("{MOVING_AVERAGES}{parameter}")
}

/// A state of a parameter's optimizer.
pub fn optimizer_state(parameter: &str, state: &str) -> String {
    format!("optimizer.{parameter}.{state}")
}

/// The gradient of a parameter.
pub fn gradient(parameter: &str) -> String {
    format!("gradient.{parameter}")
}

/// The gradient of a value of a graph, by the number of the value.
pub fn gradient_of_value(value: usize) -> String {
    format!("gradient.value.{value}")
}

/// The gradient of a parameter in `f16`.
pub fn half_gradient(parameter: &str) -> String {
    format!("gradient.{parameter}.half")
}

/// The rows of gradient of all devices.
pub fn joined_gradient(parameter: &str) -> String {
    format!("joined.{parameter}")
}

/// Rows of a tensor on the host, on their way from the device.
pub fn outgoing_rows(tensor: &str) -> String {
    format!("exchange.out.{tensor}")
}

/// Rows of a tensor on the host, on their way to the device.
pub fn incoming_rows(tensor: &str) -> String {
    format!("exchange.in.{tensor}")
}

/// The recurrent state of a micro-batch, from its name in checkpoints, which is that of the first micro-batch.
pub fn of_micro_batch(state: &str, micro_batch: usize) -> String {
    match micro_batch {
        0 => state.to_owned(),
        _ => format!("micro_batch{micro_batch}.{state}"),
    }
}

/// Tensors that the plans of an evaluation with tables on the host exchange with the host and with each other.
pub mod evaluation {
    /// The looked-up embedding, `[T*B, E]`.
    pub const EMBEDDED: &str = "evaluation.embedded";
    /// The input of the softmax, `[T*B, P]`.
    pub const H: &str = "evaluation.h";
    /// The softmax weights of a tile of the vocabulary.
    pub const WEIGHT: &str = "evaluation.weight";
    /// The softmax bias of a tile of the vocabulary.
    pub const BIAS: &str = "evaluation.bias";
    /// The running log-sum-exp, `[T*B, 3]`.
    pub const RUNNING: &str = "evaluation.running";
}

/// Tensors that the plan of a generation with tables on the host exchanges with the host.
pub mod generation {
    /// The looked-up embedding, `[B, E]`.
    pub const EMBEDDED: &str = "generation.embedded";
    /// The input of the softmax, `[B, P]`.
    pub const H: &str = "generation.h";
}

/// Whose recurrent states a plan uses. Plans of one executor with different batches have separate states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOwner {
    /// Training, of one micro-batch of a step. Those of the first one are named as in checkpoints.
    Training {
        /// The micro-batch, counted from 0.
        micro_batch: usize,
    },
    /// Evaluation.
    Evaluation,
    /// Scoring of lines.
    Lines {
        /// Streams of a batch.
        streams: usize,
    },
    /// The pool of states of lines between batches.
    Pool,
    /// Generation.
    Generation,
}

impl StateOwner {
    /// The state `name`, `layers.0.h` for example.
    pub fn state(self, name: &str) -> String {
        match self {
            StateOwner::Training { micro_batch } => {
                of_micro_batch(&format!("state.{name}"), micro_batch)
            }
            StateOwner::Evaluation => format!("evaluation.state.{name}"),
            StateOwner::Lines { streams } => format!("lines{streams}.state.{name}"),
            StateOwner::Pool => format!("lines.state.{name}"),
            StateOwner::Generation => format!("generation.state.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contain_their_layer() {
        for name in [layer(12), gate_bias(12), projection(12)] {
            assert_eq!(layer_of(&name), Some(12), "{name}");
        }
        for name in [EMBEDDING, "layers", "layers.x.y", "ema.layers.0.c"] {
            assert_eq!(layer_of(name), None, "{name}");
        }
    }
}
