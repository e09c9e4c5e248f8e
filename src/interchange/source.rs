//! The source of an export: a trained model in its file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::corpus::Vocabulary;
use crate::error::Result;
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::{Group, ParameterSpec, parameters};
use crate::tensor::names;

/// The metadata key of the version in an exported file.
const VERSION: &str = "wlstm.version";

/// The metadata key of the configuration in an exported file.
const CONFIG: &str = "wlstm.config";

/// The metadata key of the vocabulary in an exported file: `word count` on each line, the line is the id.
pub const WORDS: &str = "wlstm.vocab";

/// A trained model to export.
pub struct ExportSource<'a> {
    /// The file.
    pub checkpoint: &'a Checkpoint,
    /// The configuration that it was trained with.
    pub config: &'a Config,
    /// Its vocabulary.
    pub vocabulary: &'a Vocabulary,
    /// The parameters to export.
    pub set: ParameterSet,
}

impl<'a> ExportSource<'a> {
    /// The table of its parameters.
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        parameters(self.config, self.vocabulary.len())
    }

    /// The values of a recurrent parameter, in the layout of files.
    pub(super) fn recurrent(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        self.table(&self.set.tensor(self.config, Group::Recurrent, name))
    }

    /// The values of a tensor of the file.
    pub(super) fn table(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        Ok(self.checkpoint.tensor_f32(name)?.1)
    }

    /// The name of the table that gives the logits.
    pub(super) fn softmax(&self) -> &'static str {
        names::softmax_weight(self.config.model.tied)
    }

    /// The metadata of an exported file: `format`, version, configuration, and the vocabulary as in a vocabulary file.
    pub(super) fn metadata(&self, format: &str) -> BTreeMap<String, String> {
        let words = self.vocabulary.to_bytes();
        let metadata = [
            ("format", format.to_owned()),
            (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
            (CONFIG, self.config.to_toml()),
            (WORDS, String::from_utf8_lossy(&words).into_owned()),
        ];
        let owned = metadata.map(|(key, value)| (key.to_owned(), value));
        owned.into()
    }
}
