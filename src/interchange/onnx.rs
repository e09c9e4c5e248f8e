//! One step of a model as an ONNX graph: words and states in, log-probabilities and states out.
//!
//! | input | type | output | type |
//! |---|---|---|---|
//! | `word` | int64 `[batch]` | `log_probability` | float `[batch, V]` |
//! | `h.K` | float `[batch, P]` | `h.K.next` | float `[batch, P]` |
//! | `c.K` | float `[batch, H]` | `c.K.next` | float `[batch, H]` |
//!
//! States begin at zero, and the first word is the mark. Operators are those of opset 17. The configuration and the words are in the
//! metadata of the model. Parameters of more than [`INSIDE`] bytes are in a second file beside it, `FILE.data`, as ONNX
//! has it for models that are too large for one message.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use super::Source;
use crate::cell::{Attribute, OnnxLayer};
use crate::error::Result;
use crate::files;

/// The most bytes of parameters that are in the model file itself.
pub const INSIDE: usize = 1 << 30;

/// The version of the format of files, and of the operators.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// Tensors of floats and of integers, as `TensorProto` numbers them.
const FLOAT: i32 = 1;
const INT64: i32 = 7;

// The messages of onnx.proto, as far as they are used. The numbers are those of the fields there.

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    producer_version: Option<String>,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, optional, tag = "1")]
    domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    version: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, optional, tag = "1")]
    key: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(string, optional, tag = "4")]
    op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, optional, tag = "20")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    data_type: Option<i32>,
    #[prost(string, optional, tag = "8")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    raw_data: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<StringStringEntryProto>,
    #[prost(int32, optional, tag = "14")]
    data_location: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, optional, tag = "1")]
    elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    parameter: Option<String>,
}

/// An extent.
enum Extent {
    Batch,
    Of(usize),
}

/// The graph as it grows.
#[derive(Default)]
struct Builder<'a> {
    graph: GraphProto,
    /// The parameters: name, shape, values.
    parameters: Vec<(String, Vec<usize>, Cow<'a, [f32]>)>,
}

impl<'a> Builder<'a> {
    fn value(name: &str, elem_type: i32, extents: &[Extent]) -> ValueInfoProto {
        let dim = |extent: &Extent| match extent {
            Extent::Batch => DimensionProto {
                value: None,
                parameter: Some("batch".to_owned()),
            },
            Extent::Of(size) => DimensionProto {
                value: Some(*size as i64),
                parameter: None,
            },
        };
        ValueInfoProto {
            name: Some(name.to_owned()),
            kind: Some(TypeProto {
                tensor: Some(TensorTypeProto {
                    elem_type: Some(elem_type),
                    shape: Some(TensorShapeProto {
                        dim: extents.iter().map(dim).collect(),
                    }),
                }),
            }),
        }
    }

    fn input(&mut self, name: &str, elem_type: i32, extents: &[Extent]) {
        let value = Builder::value(name, elem_type, extents);
        self.graph.input.push(value);
    }

    fn output(&mut self, name: &str, extents: &[Extent]) {
        let value = Builder::value(name, FLOAT, extents);
        self.graph.output.push(value);
    }

    fn parameter(&mut self, name: &str, shape: &[usize], values: Cow<'a, [f32]>) -> String {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        let parameter = (name.to_owned(), shape.to_vec(), values);
        self.parameters.push(parameter);
        name.to_owned()
    }

    /// A constant list of integers.
    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.graph.initializer.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(INT64),
            name: Some(name.to_owned()),
            raw_data: Some(bytes.collect()),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// A node with these results.
    fn nodes(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            name: outputs.first().map(|output| format!("{op} {output}")),
            output: outputs,
            op_type: Some(op.to_owned()),
            attribute: attributes,
        });
    }

    /// A node with one result.
    fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: impl Into<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = output.into();
        self.nodes(op, inputs, vec![output.clone()], attributes);
        output
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        // AttributeProto.INT.
        kind: Some(2),
        ..AttributeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.to_vec(),
        // AttributeProto.INTS.
        kind: Some(7),
        ..AttributeProto::default()
    }
}

/// Writes the graph; gives the second file, if the parameters are in one: those of more than `inside` bytes are, see [`INSIDE`].
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter, or a file cannot be written.
pub fn export(source: &Source<'_>, path: &Path, inside: usize) -> Result<Option<PathBuf>> {
    let Builder {
        mut graph,
        parameters,
    } = build(source)?;
    let bytes: usize = parameters.iter().map(|(.., values)| 4 * values.len()).sum();
    let beside = (bytes > inside).then(|| {
        let mut name = path.as_os_str().to_owned();
        name.push(".data");
        PathBuf::from(name)
    });
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    };
    let mut start = 0;
    for (name, shape, values) in &parameters {
        let mut tensor = TensorProto {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: Some(FLOAT),
            name: Some(name.clone()),
            ..TensorProto::default()
        };
        let length = 4 * values.len();
        match &beside {
            None => tensor.raw_data = Some(bytes_of(values).into_owned()),
            Some(beside) => {
                let location = beside.file_name().unwrap_or_default().to_string_lossy();
                tensor.data_location = Some(1);
                tensor.external_data = vec![
                    entry("location", location.into_owned()),
                    entry("offset", start.to_string()),
                    entry("length", length.to_string()),
                ];
            }
        }
        start += length;
        graph.initializer.push(tensor);
    }
    let metadata = source.metadata("onnx").into_iter();
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("wlstm".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: metadata.map(|(key, value)| entry(&key, value)).collect(),
    };
    if let Some(beside) = &beside {
        let write = |file: &mut dyn Write| -> Result<()> {
            for (.., values) in &parameters {
                file.write_all(&bytes_of(values))
                    .map_err(|error| files::cannot_write(beside, error))?;
            }
            Ok(())
        };
        files::write_large_atomically(beside, write)?;
    }
    files::write_atomically(path, |file| {
        file.write_all(&model.encode_to_vec())
            .map_err(|error| files::cannot_write(path, error))
    })?;
    Ok(beside)
}

/// The bytes of numbers in a file.
fn bytes_of(values: &[f32]) -> Cow<'_, [u8]> {
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    }
}

fn build<'a>(source: &Source<'a>) -> Result<Builder<'a>> {
    let model = &source.config.model;
    let words = source.vocabulary.len();
    let output = model.output_size();
    let mut builder = Builder::default();
    builder.graph.name = Some("one step of a language model".to_owned());
    builder.input("word", INT64, &[Extent::Batch]);
    let table = source.table("embedding.weight")?;
    let table = builder.parameter("embedding.weight", &[words, model.embedding], table);
    let mut x = builder.node(
        "Gather",
        &[&table, "word"],
        "embedded",
        vec![integer("axis", 0)],
    );
    for layer in 0..model.layers() {
        x = build_layer(&mut builder, source, layer, &x)?;
    }
    let weight = match model.tied {
        true => table,
        false => {
            let weight = source.table("softmax.weight")?;
            builder.parameter("softmax.weight", &[words, output], weight)
        }
    };
    let bias = builder.parameter("softmax.bias", &[words], source.table("softmax.bias")?);
    let turned = vec![integer("transB", 1)];
    let logits = builder.node("Gemm", &[&x, &weight, &bias], "logits", turned);
    let last = vec![integer("axis", -1)];
    builder.node("LogSoftmax", &[&logits], "log_probability", last);
    builder.output("log_probability", &[Extent::Batch, Extent::Of(words)]);
    for layer in 0..model.layers() {
        for (part, size) in [("h", output), ("c", model.hidden)] {
            let name = format!("{part}.{layer}.next");
            builder.output(&name, &[Extent::Batch, Extent::Of(size)]);
        }
    }
    Ok(builder)
}

/// A layer of the graph, for its cell.
struct LayerBuilder<'b, 'a> {
    builder: &'b mut Builder<'a>,
    source: &'b Source<'a>,
    layer: usize,
    x: &'b str,
}

impl LayerBuilder<'_, '_> {
    fn name(&self, name: &str) -> String {
        format!("layers.{}.{name}", self.layer)
    }
}

impl OnnxLayer for LayerBuilder<'_, '_> {
    fn x(&self) -> String {
        self.x.to_owned()
    }

    fn h(&self) -> String {
        format!("h.{}", self.layer)
    }

    fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let name = self.name(&format!("gates.{name}"));
        let values = self.source.recurrent(&name)?;
        Ok(self.builder.parameter(&name, shape, values))
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.builder.integers(&self.name(name), values)
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        result: &str,
        attributes: &[Attribute<'_>],
    ) -> String {
        let attributes = attributes.iter().map(|attribute| match *attribute {
            Attribute::Int(name, value) => integer(name, value),
            Attribute::Ints(name, values) => integers(name, values),
        });
        let attributes = attributes.collect();
        self.builder
            .node(operator, inputs, self.name(result), attributes)
    }
}

/// The gates of a layer, its cell and its projection; gives its output.
fn build_layer<'a>(
    builder: &mut Builder<'a>,
    source: &Source<'a>,
    layer: usize,
    x: &str,
) -> Result<String> {
    let model = &source.config.model;
    let (hidden, input, output) = (model.hidden, model.input_size(layer), model.output_size());
    let of = |name: &str| format!("layers.{layer}.{name}");
    let (h, c) = (format!("h.{layer}"), format!("c.{layer}"));
    builder.input(&h, FLOAT, &[Extent::Batch, Extent::Of(output)]);
    builder.input(&c, FLOAT, &[Extent::Batch, Extent::Of(hidden)]);
    let columns = || vec![integer("axis", 1)];
    let bias = source.recurrent(&of("gates.bias"))?;
    let bias = builder.parameter(&of("gates.bias"), &[4 * hidden], bias);
    let mut gates = LayerBuilder {
        builder,
        source,
        layer,
        x,
    };
    let z = model.cells[layer].onnx(&model.sizes(layer), &mut gates)?;
    let z = builder.node("Add", &[&z, &bias], of("z"), vec![]);
    let sizes = builder.integers(&of("gate sizes"), &[hidden as i64; 4]);
    let [i, j, f, o] = ["i", "j", "f", "o"].map(of);
    let parts = [&i, &j, &f, &o].map(String::clone).to_vec();
    builder.nodes("Split", &[&z, &sizes], parts, columns());
    let forget = vec![model.forget_bias as f32];
    let forget = builder.parameter(&of("forget bias"), &[1], forget.into());
    let f = builder.node("Add", &[&f, &forget], of("f and bias"), vec![]);
    let f = builder.node("Sigmoid", &[&f], of("forget"), vec![]);
    let i = builder.node("Sigmoid", &[&i], of("in"), vec![]);
    let j = builder.node("Tanh", &[&j], of("candidate"), vec![]);
    let o = builder.node("Sigmoid", &[&o], of("out"), vec![]);
    let kept = builder.node("Mul", &[&f, &c], of("kept"), vec![]);
    let new = builder.node("Mul", &[&i, &j], of("new"), vec![]);
    let c = builder.node("Add", &[&kept, &new], format!("{c}.next"), vec![]);
    let shown = builder.node("Tanh", &[&c], of("shown"), vec![]);
    let next = format!("{h}.next");
    let next = match model.projection {
        0 => builder.node("Mul", &[&o, &shown], next, vec![]),
        width => {
            let m = builder.node("Mul", &[&o, &shown], of("m"), vec![]);
            let weight = source.recurrent(&of("projection.weight"))?;
            let weight = builder.parameter(&of("projection.weight"), &[hidden, width], weight);
            builder.node("MatMul", &[&m, &weight], next, vec![])
        }
    };
    Ok(match model.residual && input == output {
        true => builder.node("Add", &[x, &next], of("output"), vec![]),
        false => next,
    })
}
