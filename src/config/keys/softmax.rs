//! The section `[softmax]`.

use super::limits::SIZE;
use crate::config::document::Document;
use crate::config::key::Resume::MustStay;
use crate::config::named::named;
use crate::config::section::keys;
use crate::config::setting::Setting;
use crate::error::Result;

/// The softmax of training. Evaluation always uses the full vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softmax {
    /// Cross-entropy over the vocabulary.
    Full,
    /// Cross-entropy over the target and sampled candidates.
    Sampled {
        /// `S`, the number of distinct candidates per step.
        samples: usize,
    },
}

named! {
    /// The kinds of softmax.
    Kind {
        /// Cross-entropy over the target and sampled candidates.
        Sampled = "sampled",
        /// Cross-entropy over the vocabulary.
        Full = "full",
    }
}

keys! {
    Softmax: "softmax" {
        /// Softmax of training. Evaluation always uses the full vocabulary.
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
    }
}

impl Softmax {
    fn kind(&self) -> Kind {
        match self {
            Softmax::Full => Kind::Full,
            Softmax::Sampled { .. } => Kind::Sampled,
        }
    }

    /// Whether the softmax of a document is sampled.
    pub(super) fn is_sampled(document: &Document) -> Result<bool> {
        Ok(kind(document)? == Kind::Sampled)
    }

    fn samples(&self) -> Option<usize> {
        match self {
            Softmax::Full => None,
            Softmax::Sampled { samples } => Some(*samples),
        }
    }

    /// Reads and checks the section. A vocabulary size of 0 means that the size is not known yet.
    pub(crate) fn read(document: &Document, vocabulary: usize) -> Result<Softmax> {
        if kind(document)? == Kind::Full {
            return Ok(Softmax::Full);
        }
        let samples = samples(document)?;
        if vocabulary != 0 && samples > vocabulary {
            return Err(document.field("softmax.samples").conflict(
                format_args!("`data.vocab_size` is {vocabulary}, and candidates are distinct"),
                "choose fewer candidates than words, or `softmax.kind = \"full\"`",
            ));
        }
        Ok(Softmax::Sampled { samples })
    }

    /// The entries of the section.
    pub(crate) fn entries() -> Vec<crate::config::entry::Entry<Softmax>> {
        entries()
    }
}
