//! A graph of ONNX under construction.

use std::borrow::Cow;

use super::proto::{
    AttributeProto, DimensionProto, FLOAT, GRAPH, GraphProto, INT, INT64, INTS, NodeProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::cell::Attribute;

/// The size of a dimension.
#[derive(Clone, Copy)]
pub enum Dimension {
    /// A symbolic dimension, whose size the caller of the graph chooses.
    Named(&'static str),
    /// A fixed size.
    Size(usize),
}

/// The sequences that are computed in parallel.
pub const BATCH: Dimension = Dimension::Named("batch");

/// A parameter of the graph.
pub struct Constant<'a> {
    /// The name.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The values, which must fill the shape.
    pub values: Cow<'a, [f32]>,
}

/// A graph, and separately its parameters: where they are stored is decided later.
#[derive(Default)]
pub struct Builder<'a> {
    /// The graph.
    pub graph: GraphProto,
    /// The parameters.
    pub parameters: Vec<Constant<'a>>,
}

impl<'a> Builder<'a> {
    /// An empty graph.
    pub fn new(name: &str) -> Builder<'a> {
        let mut builder = Builder::default();
        builder.graph.name = Some(name.to_owned());
        builder
    }

    /// Adds an input of floats.
    pub fn input(&mut self, name: &str, shape: &[Dimension]) {
        self.graph.input.push(value(name, FLOAT, shape));
    }

    /// Adds an input of integers.
    pub fn integer_input(&mut self, name: &str, shape: &[Dimension]) {
        self.graph.input.push(value(name, INT64, shape));
    }

    /// Declares the value `name` an output of floats.
    pub fn output(&mut self, name: &str, shape: &[Dimension]) {
        self.graph.output.push(value(name, FLOAT, shape));
    }

    /// Adds a parameter; returns its name.
    ///
    /// # Panics
    ///
    /// If the number of values is not that of the shape.
    pub fn parameter(&mut self, name: &str, shape: &[usize], values: Cow<'a, [f32]>) -> String {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        self.parameters.push(Constant {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        });
        name.to_owned()
    }

    /// Adds a constant list of integers; returns its name.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.integer_tensor(name, vec![values.len() as i64], values)
    }

    /// Adds a constant integer without dimensions; returns its name.
    pub fn integer(&mut self, name: &str, value: i64) -> String {
        self.integer_tensor(name, Vec::new(), &[value])
    }

    fn integer_tensor(&mut self, name: &str, dims: Vec<i64>, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.graph.initializer.push(TensorProto {
            dims,
            data_type: Some(INT64),
            name: Some(name.to_owned()),
            raw_data: Some(bytes.collect()),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// Adds a node with several results.
    pub fn node_with_results(
        &mut self,
        operator: &str,
        inputs: &[&str],
        results: Vec<String>,
        attributes: &[Attribute<'_>],
    ) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            name: results.first().map(|result| format!("{operator} {result}")),
            output: results,
            op_type: Some(operator.to_owned()),
            attribute: attributes.iter().map(attribute_proto).collect(),
        });
    }

    /// Adds a `Scan` node that runs `body` along axis 1 of its last `sequences` inputs. The inputs before them are the initial
    /// states. The outputs are the final states, followed by the outputs of the body, stacked along axis 1. Constants of the
    /// body become constants of this graph.
    pub fn scan(
        &mut self,
        body: Builder<'a>,
        inputs: &[&str],
        sequences: usize,
        results: Vec<String>,
    ) {
        let mut graph = body.graph;
        self.graph.initializer.append(&mut graph.initializer);
        self.parameters.extend(body.parameters);
        let stacked = results.len() - (inputs.len() - sequences);
        let attributes = [
            Attribute::Int("num_scan_inputs", sequences as i64),
            Attribute::Ints("scan_input_axes", &vec![1; sequences]),
            Attribute::Ints("scan_output_axes", &vec![1; stacked]),
        ];
        self.node_with_results("Scan", inputs, results, &attributes);
        let node = self.graph.node.last_mut().expect("the node was added");
        node.attribute.push(AttributeProto {
            name: Some("body".to_owned()),
            g: Some(graph),
            kind: Some(GRAPH),
            ..AttributeProto::default()
        });
    }

    /// Adds a node with one result; returns the name of the result.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        result: impl Into<String>,
        attributes: &[Attribute<'_>],
    ) -> String {
        let result = result.into();
        self.node_with_results(operator, inputs, vec![result.clone()], attributes);
        result
    }
}

fn value(name: &str, elem_type: i32, shape: &[Dimension]) -> ValueInfoProto {
    let dim = |dimension: &Dimension| match dimension {
        Dimension::Named(name) => DimensionProto {
            value: None,
            parameter: Some((*name).to_owned()),
        },
        Dimension::Size(size) => DimensionProto {
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
                    dim: shape.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}

fn attribute_proto(attribute: &Attribute<'_>) -> AttributeProto {
    match *attribute {
        Attribute::Int(name, value) => AttributeProto {
            name: Some(name.to_owned()),
            i: Some(value),
            kind: Some(INT),
            ..AttributeProto::default()
        },
        Attribute::Ints(name, values) => AttributeProto {
            name: Some(name.to_owned()),
            ints: values.to_vec(),
            kind: Some(INTS),
            ..AttributeProto::default()
        },
    }
}
