//! The files of a graph.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use super::builder::{Builder, Constant};
use super::proto::{
    EXTERNAL, FLOAT, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
};
use super::{nll, step};
use crate::error::{Error, Result};
use crate::files::{self, Output};
use crate::interchange::source::ExportSource;

/// The largest size of parameters, in bytes, that is stored in the model file itself.
pub const MAX_INLINE: usize = 1 << 30;

/// The version of the file format.
const IR_VERSION: i64 = 8;
/// The version of the operators.
const OPSET: i64 = 17;

/// The graph to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graph {
    /// One time step.
    Step,
    /// Whole sentences.
    Nll,
}

/// Writes the graph. Parameters of more than `most_inline` bytes (see [`MAX_INLINE`]) are written to a second file,
/// whose path is returned.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter, a file cannot be written, or two files are
/// needed and the output is none.
pub fn export(
    source: &ExportSource<'_>,
    graph: Graph,
    out: &Output,
    most_inline: usize,
) -> Result<Option<PathBuf>> {
    let mut metadata = source.metadata("onnx");
    let built = match graph {
        Graph::Step => step::build(source)?,
        Graph::Nll => {
            let more = sentence_metadata(source);
            metadata.extend(more.map(|(key, value)| (key.to_owned(), value)));
            nll::build(source)?
        }
    };
    let Builder {
        mut graph,
        parameters,
    } = built;
    let bytes: usize = parameters.iter().map(|one| 4 * one.values.len()).sum();
    let second = match out.file() {
        _ if bytes <= most_inline => None,
        Some(file) => {
            let mut name = file.as_os_str().to_owned();
            name.push(".data");
            Some(PathBuf::from(name))
        }
        None => {
            return Err(Error::data(format!(
                "cannot write `{}`: a model of this size needs two files, one for its parameters",
                out.path().display()
            ))
            .help("give a file with --out"));
        }
    };
    let mut offset = 0;
    for parameter in &parameters {
        let tensor = match &second {
            None => inline(parameter),
            Some(second) => external(parameter, second, offset),
        };
        offset += 4 * parameter.values.len();
        graph.initializer.push(tensor);
    }
    if let Some(second) = &second {
        let write = |file: &mut dyn Write| -> Result<()> {
            for parameter in &parameters {
                file.write_all(&little_endian(&parameter.values))
                    .map_err(|error| files::cannot_write(second, error))?;
            }
            Ok(())
        };
        Output::named(second)?.write_large(write)?;
    }
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("wlstm".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: metadata
            .into_iter()
            .map(|(key, value)| entry(&key, value))
            .collect(),
    };
    out.write(|file| {
        file.write_all(&model.encode_to_vec())
            .map_err(|error| files::cannot_write(out.path(), error))
    })?;
    Ok(second)
}

/// The metadata that speech recognisers expect of a graph of whole sentences, as icefall writes it.
fn sentence_metadata(source: &ExportSource<'_>) -> [(&'static str, String); 6] {
    let mark = source.vocabulary.mark().to_string();
    [
        ("model_type", "rnnlm".to_owned()),
        ("version", "1".to_owned()),
        ("comment", "rnnlm without state".to_owned()),
        ("sos_id", mark.clone()),
        ("eos_id", mark),
        ("vocab_size", source.vocabulary.len().to_string()),
    ]
}

/// A parameter without its values.
fn tensor(parameter: &Constant<'_>) -> TensorProto {
    TensorProto {
        dims: parameter.shape.iter().map(|size| *size as i64).collect(),
        data_type: Some(FLOAT),
        name: Some(parameter.name.clone()),
        ..TensorProto::default()
    }
}

/// A parameter with its values.
fn inline(parameter: &Constant<'_>) -> TensorProto {
    TensorProto {
        raw_data: Some(little_endian(&parameter.values).into_owned()),
        ..tensor(parameter)
    }
}

/// A parameter whose values are in another file, from byte `offset` on.
fn external(parameter: &Constant<'_>, file: &Path, offset: usize) -> TensorProto {
    let location = file.file_name().unwrap_or_default().to_string_lossy();
    let length = 4 * parameter.values.len();
    TensorProto {
        data_location: Some(EXTERNAL),
        external_data: vec![
            entry("location", location.into_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        ..tensor(parameter)
    }
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    }
}

/// The bytes of numbers in files.
fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect()
    }
}
