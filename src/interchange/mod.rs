//! Models for other programs, and from them.
//!
//! | module | what |
//! |---|---|
//! | [`native`] | the parameters alone, under the names of checkpoints: for `--init` |
//! | [`pytorch`] | safetensors that `torch.nn.Embedding`, `torch.nn.LSTM` and `torch.nn.Linear` load by name |
//! | [`onnx`] | one step as an ONNX graph, states in and states out |
//!
//! What leaves here is, unless asked otherwise, what `eval`, `score` and `generate` compute with: the moving average of the
//! recurrent parameters where the model has one.

pub mod native;
pub mod onnx;
pub mod pytorch;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::corpus::Vocabulary;
use crate::error::Result;
use crate::model::parameters::{Group, Parameter, evaluated_name, parameters};

/// A trained model in its file.
pub struct Source<'a> {
    /// The file.
    pub checkpoint: &'a Checkpoint,
    /// The configuration that it was trained with.
    pub config: &'a Config,
    /// Its words.
    pub vocabulary: &'a Vocabulary,
    /// Whether to take the parameters that the last step has left, rather than their moving average.
    pub last: bool,
}

impl<'a> Source<'a> {
    /// The table of its parameters.
    fn parameters(&self) -> Vec<Parameter> {
        parameters(self.config, self.vocabulary.len())
    }

    /// The name of a parameter in the file.
    fn name(&self, group: Group, name: &str) -> String {
        if self.last {
            name.to_owned()
        } else {
            evaluated_name(self.config, group, name)
        }
    }

    /// The values of a recurrent parameter, in the layout of files.
    fn recurrent(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        let name = self.name(Group::Recurrent, name);
        Ok(self.checkpoint.tensor_f32(&name)?.1)
    }

    /// The values of a table.
    fn table(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        Ok(self.checkpoint.tensor_f32(name)?.1)
    }

    /// The name of the table that gives the logits.
    fn softmax(&self) -> &'static str {
        match self.config.model.tied {
            true => "embedding.weight",
            false => "softmax.weight",
        }
    }

    /// What is said of the model in the header of a file, `format` first: the configuration, and the words as in a vocabulary file.
    fn metadata(&self, format: &str) -> BTreeMap<String, String> {
        let words = self.vocabulary.to_bytes();
        let metadata = [
            ("format", format.to_owned()),
            (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
            (CONFIG, self.config.to_toml()),
            (WORDS, String::from_utf8_lossy(&words).into_owned()),
        ];
        metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

/// The key of the version in the metadata of a file for others.
const VERSION: &str = "wlstm.version";

/// The key of the configuration.
const CONFIG: &str = "wlstm.config";

/// The key of the words: `word count` a line, the line is the id.
pub const WORDS: &str = "wlstm.vocab";
