//! The parameters of a model alone: a checkpoint without what only goes on training needs. `--init` takes it, and every command
//! that takes a checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use super::Source;
use crate::checkpoint::{self, Checkpoint, Dtype, Entry};
use crate::error::Result;
use crate::model::parameters::Parameter;
use crate::tensor::names;

/// Numbers that are on their way at once.
const STREAM: usize = 1 << 22;

/// Writes the parameters, their moving averages where there are any, the vocabulary and the configuration.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the file lacks a parameter, or the new one cannot be written.
pub fn export(source: &Source<'_>, path: &Path) -> Result<()> {
    let table = source.parameters();
    let names = |line: &Parameter| {
        let average = names::moving_average(&line.name);
        let has = source.checkpoint.contains(&average) && !source.last;
        let own = line.name.clone();
        std::iter::once(own).chain(has.then_some(average))
    };
    let tensors: Vec<(String, Vec<usize>)> = table
        .iter()
        .flat_map(|line| names(line).map(|name| (name, line.shape.0.clone())))
        .collect();
    let words = source.vocabulary.to_bytes();
    let config = source.config.to_toml();
    write_tensors(path, &words, &tensors, &config, |name, start, values| {
        source.checkpoint.read_f32(name, start, values)
    })
}

/// Writes the same from values that are given by name, from an element on: the file of a model that was not trained here, or was
/// changed. Where evaluation with the configuration asks for moving averages, these are asked for too, as `ema.NAME`.
///
/// # Errors
///
/// As [`export`].
pub fn write_model(
    path: &Path,
    config: &crate::config::Config,
    table: &[Parameter],
    words: &[u8],
    values: impl FnMut(&str, usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let mut tensors = Vec::new();
    for line in table {
        tensors.push((line.name.clone(), line.shape.0.clone()));
        if line.is_averaged(config) {
            tensors.push((names::moving_average(&line.name), line.shape.0.clone()));
        }
    }
    write_tensors(path, words, &tensors, &config.to_toml(), values)
}

/// Checks that a file has the parameters of a table, with moving averages or without.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) naming each tensor that is missing, unknown or misshapen.
pub fn check(file: &Checkpoint, table: &[Parameter]) -> Result<()> {
    let expected: Vec<(String, Vec<usize>)> = table
        .iter()
        .map(|line| (line.name.clone(), line.shape.0.clone()))
        .collect();
    let others = [&[names::MOVING_AVERAGES][..], &names::NOT_PARAMETERS].concat();
    file.check_parameters(&expected, &others)
}

fn write_tensors(
    path: &Path,
    words: &[u8],
    tensors: &[(String, Vec<usize>)],
    config: &str,
    mut values: impl FnMut(&str, usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let metadata: BTreeMap<String, String> = [
        ("format", "wlstm parameters 1"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("config", config),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut entries: Vec<Entry> = tensors
        .iter()
        .map(|(name, shape)| Entry::new(name.clone(), Dtype::F32, shape.clone()))
        .collect();
    entries.push(Entry::new(names::VOCABULARY, Dtype::U8, [words.len()]));
    checkpoint::write(path, &entries, &metadata, |name, sink| {
        let Some((_, shape)) = tensors.iter().find(|(tensor, _)| tensor == name) else {
            return sink.write_u8(words);
        };
        let len: usize = shape.iter().product();
        let mut part = vec![0.0; len.min(STREAM)];
        for start in (0..len).step_by(STREAM) {
            let part = &mut part[..STREAM.min(len - start)];
            values(name, start, part)?;
            sink.write_f32(part)?;
        }
        Ok(())
    })
}
