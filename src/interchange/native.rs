//! The parameters of a model alone: a checkpoint without the state of training. `--init` and every command that reads a
//! checkpoint accept it.

use std::collections::BTreeMap;

use super::source::ExportSource;
use crate::checkpoint::{self, Dtype, Entry};
use crate::config::Config;
use crate::corpus::WORD_RULE;
use crate::error::Result;
use crate::files::Output;
use crate::model::parameter_set::ParameterSet;
use crate::model::parameters::ParameterSpec;
use crate::tensor::names;

/// Elements that are read and written at once.
const CHUNK: usize = 1 << 22;

/// Writes the parameters, their moving averages if the model is to use them, the vocabulary and the configuration.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file lacks a parameter, or the new one cannot be written.
pub fn export(source: &ExportSource<'_>, out: &Output) -> Result<()> {
    let mut tensors = Vec::new();
    let table = source.parameters();
    for parameter in &table {
        let average = names::moving_average(&parameter.name);
        tensors.push((parameter.name.clone(), parameter));
        if source.set == ParameterSet::Average && source.checkpoint.contains(&average) {
            tensors.push((average, parameter));
        }
    }
    let content = Content {
        words: &source.vocabulary.to_bytes(),
        config: source.config,
        tensors,
    };
    content.write(out, |name, _, start, values| {
        source.checkpoint.read_f32(name, start, values)
    })
}

/// Writes such a file of a model that was not trained here, or was changed. `values(name, parameter, start, part)` fills
/// `part` with the elements of a tensor from `start` on. If evaluation with this configuration uses moving averages,
/// `values` is asked for these too, with the name `ema.NAME`.
///
/// # Errors
///
/// Same as [`export`].
pub fn write_model(
    out: &Output,
    config: &Config,
    table: &[ParameterSpec],
    words: &[u8],
    values: impl FnMut(&str, &ParameterSpec, usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let mut tensors = Vec::new();
    for parameter in table {
        tensors.push((parameter.name.clone(), parameter));
        if parameter.is_averaged(config) {
            tensors.push((names::moving_average(&parameter.name), parameter));
        }
    }
    let content = Content {
        words,
        config,
        tensors,
    };
    content.write(out, values)
}

/// The parts of a file besides the values.
struct Content<'a> {
    words: &'a [u8],
    config: &'a Config,
    /// The name of each tensor, and its parameter.
    tensors: Vec<(String, &'a ParameterSpec)>,
}

impl Content<'_> {
    /// Writes the file.
    fn write(
        &self,
        out: &Output,
        mut values: impl FnMut(&str, &ParameterSpec, usize, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let metadata: BTreeMap<String, String> = [
            ("format", "wlstm parameters 1"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("config", &self.config.to_toml()),
            (names::WORD_RULE, WORD_RULE),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let tensors = self.tensors.iter();
        let mut entries: Vec<Entry> = tensors
            .map(|(name, parameter)| {
                Entry::new(name.clone(), Dtype::F32, parameter.shape.0.clone())
            })
            .collect();
        entries.push(Entry::new(names::VOCABULARY, Dtype::U8, [self.words.len()]));
        checkpoint::write_output(out, &entries, &metadata, |name, sink| {
            let found = self.tensors.iter().find(|(tensor, _)| tensor == name);
            let Some((_, parameter)) = found else {
                return sink.write_u8(self.words);
            };
            let len = parameter.shape.len();
            let mut part = vec![0.0; len.min(CHUNK)];
            for start in (0..len).step_by(CHUNK) {
                let part = &mut part[..CHUNK.min(len - start)];
                values(name, parameter, start, part)?;
                sink.write_f32(part)?;
            }
            Ok(())
        })
    }
}
