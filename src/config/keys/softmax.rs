//! The section `[softmax]`.

use super::limits::{INDEX, SIZE};
use super::model::ModelConfig;
use crate::config::document::Document;
use crate::config::key::Resume::MustStay;
use crate::config::named::{Named, named};
use crate::config::section::keys;
use crate::config::setting::{Numbers, Rising, Setting};
use crate::error::Result;

/// The maximum number of clusters of an adaptive softmax.
const MOST_CLUSTERS: usize = 16;

/// The softmax of training. Evaluation always uses exact probabilities, never a sampled loss.
#[derive(Clone, Debug, PartialEq)]
pub enum Softmax {
    /// Cross-entropy over the vocabulary.
    Full,
    /// Training: cross-entropy over the target and sampled candidates.
    Sampled {
        /// `S`, the number of distinct candidates per step.
        samples: usize,
    },
    /// Cross-entropy over the most frequent words and over clusters of the other words (Grave et al. 2016).
    Adaptive(Adaptive),
}

/// The default of `softmax.divide`.
const DIVIDE: usize = 4;

/// The clusters of an adaptive softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptive {
    /// The first id of each cluster, in increasing order. Empty: chosen for the vocabulary.
    pub cutoffs: Vec<usize>,
    /// The factor by which each cluster is narrower than the previous one.
    pub divide: usize,
    /// The dropout probability of the projections, in training.
    pub dropout: f64,
}

impl Adaptive {
    /// The clusters of a configuration without `cutoffs` and `divide`.
    pub const DEFAULT: Adaptive = Adaptive {
        cutoffs: Vec::new(),
        divide: DIVIDE,
        dropout: 0.0,
    };
}

named! {
    /// The kinds of softmax.
    Kind {
        /// Cross-entropy over the target and sampled candidates.
        Sampled = "sampled",
        /// Cross-entropy over the vocabulary.
        Full = "full",
        /// Exact probabilities at a fraction of the cost of `"full"` (Grave et al. 2016): a softmax over the most frequent
        /// words and one entry for each cluster of the other words, then a softmax over the words of the target's cluster.
        Adaptive = "adaptive",
    }
}

keys! {
    Softmax: "softmax" {
        /// Softmax of training. Evaluation always uses exact probabilities, never a sampled loss.
        kind: Kind = Setting { default: Kind::Sampled, rule: (), resume: MustStay },
            known as ["softmax", "softmax_type", "type", "loss", "criterion", "output_layer"],
            of |softmax| Some(softmax.kind());

        /// Number of distinct candidates per step, `S`; with `train.recipe = "paper"`, every device draws its own.
        samples: usize = Setting { default: 8192, rule: 1..=SIZE, resume: MustStay },
            known as [
                "num_samples", "n_samples", "num_sampled", "sampled", "negatives", "negative_samples",
                "num_negatives", "noise_samples", "candidates",
            ],
            of |softmax| softmax.samples();

        /// For the adaptive softmax: the first id of each cluster, in increasing order and below the size of the vocabulary. Ids
        /// are in descending order of frequency. With `[2000, 10000]`, the head has 2000 words, the first cluster 8000, and the
        /// second the rest. `[]`: chosen automatically: `5.5 sqrt(V)`, then six times the previous cutoff, up to half of
        /// the vocabulary `V`. `--resume` and `--init` keep the cutoffs of the model. `wlstm plan` and the `config.toml` of the
        /// run show them.
        cutoffs: Vec<usize> = Setting {
            default: Vec::new(),
            rule: Rising { most: MOST_CLUSTERS, range: 1..=INDEX },
            resume: MustStay,
        },
            known as ["cutoff", "adaptive_cutoffs", "adaptive_softmax_cutoff", "clusters"],
            of |softmax| softmax.adaptive().map(|adaptive| adaptive.cutoffs.clone());

        /// For the adaptive softmax: the projection of cluster `k`, counted from 0, has width `P / divide^(k + 1)`, rounded down.
        divide: usize = Setting { default: DIVIDE, rule: 1..=64, resume: MustStay },
            known as ["div_value", "div_val", "divide_value", "reduction"],
            of |softmax| softmax.adaptive().map(|adaptive| adaptive.divide);

        /// For the adaptive softmax: dropout probability of the projections. A cluster has few targets for each of its words and
        /// overfits first if a text is read many times.
        dropout: f64 = Setting {
            default: 0.0,
            rule: Numbers { allowed: "a number from 0 to below 1", contains: |x| (0.0..1.0).contains(&x) },
            resume: MustStay,
        },
            known as ["tail_dropout", "dropout_tail", "adaptive_softmax_dropout"],
            of |softmax| softmax.adaptive().map(|adaptive| adaptive.dropout);
    }
}

impl Softmax {
    fn kind(&self) -> Kind {
        match self {
            Softmax::Full => Kind::Full,
            Softmax::Sampled { .. } => Kind::Sampled,
            Softmax::Adaptive(_) => Kind::Adaptive,
        }
    }

    /// The value of `softmax.kind`.
    pub fn name(&self) -> &'static str {
        Named::name(self.kind())
    }

    /// The clusters of an adaptive softmax.
    pub fn adaptive(&self) -> Option<&Adaptive> {
        match self {
            Softmax::Adaptive(adaptive) => Some(adaptive),
            _ => None,
        }
    }

    /// Whether ids must be in descending order of frequency.
    pub fn needs_order(&self) -> bool {
        *self != Softmax::Full
    }

    /// Whether the softmax of a document is sampled.
    pub(super) fn is_sampled(document: &Document) -> Result<bool> {
        Ok(kind(document)? == Kind::Sampled)
    }

    fn samples(&self) -> Option<usize> {
        match self {
            Softmax::Sampled { samples } => Some(*samples),
            _ => None,
        }
    }

    /// Reads and checks the section. A vocabulary size of 0 means that the size is not known yet.
    pub(crate) fn read(document: &Document, vocabulary: usize) -> Result<Softmax> {
        match kind(document)? {
            Kind::Full => Ok(Softmax::Full),
            Kind::Sampled => {
                let samples = samples(document)?;
                if vocabulary != 0 && samples > vocabulary {
                    return Err(document.field("softmax.samples").conflict(
                        format_args!(
                            "`data.vocab_size` is {vocabulary}, and candidates are distinct"
                        ),
                        "choose fewer candidates than words, or `softmax.kind = \"full\"`",
                    ));
                }
                Ok(Softmax::Sampled { samples })
            }
            Kind::Adaptive => {
                let adaptive = Adaptive {
                    cutoffs: cutoffs(document)?,
                    divide: divide(document)?,
                    dropout: dropout(document)?,
                };
                match adaptive.cutoffs.last() {
                    Some(last) if vocabulary != 0 && *last >= vocabulary => {
                        Err(document.field("softmax.cutoffs").conflict(
                            format_args!("`data.vocab_size` is {vocabulary}, and the last cluster needs a word"),
                            "choose cutoffs below the size of the vocabulary, or `[]`",
                        ))
                    }
                    _ => Ok(Softmax::Adaptive(adaptive)),
                }
            }
        }
    }

    /// Refuses a model for which the softmax is invalid.
    pub(crate) fn check_model(&self, document: &Document, model: &ModelConfig) -> Result<()> {
        let Softmax::Adaptive(adaptive) = self else {
            return Ok(());
        };
        if model.tied {
            return Err(document.field("model.tied").conflict(
                "the clusters of `softmax.kind = \"adaptive\"` have narrower weights than the embedding",
                "set it to false, or use `softmax.kind = \"full\"` or \"sampled\"",
            ));
        }
        // Without `cutoffs`, there is at least one cluster.
        let clusters = adaptive.cutoffs.len().max(1) as u32;
        let divisor = adaptive.divide.checked_pow(clusters);
        if divisor.is_none_or(|divisor| divisor > model.output_size()) {
            return Err(document.field("softmax.divide").conflict(
                format_args!(
                    "the last of {clusters} clusters would have width 0, as the output of the layers has {}",
                    model.output_size()
                ),
                "choose a smaller factor or fewer cutoffs",
            ));
        }
        Ok(())
    }

    /// The entries of the section.
    pub(crate) fn entries() -> Vec<crate::config::entry::Entry<Softmax>> {
        entries()
    }
}
