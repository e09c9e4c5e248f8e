//! The graph of one step of a model.

use super::builder::{BATCH, Builder, Dimension};
use crate::cell::{Attribute, OnnxLayer};
use crate::error::Result;
use crate::interchange::source::ExportSource;
use crate::model::clusters::Clusters;
use crate::tensor::names;

/// Builds the graph.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter.
pub fn build<'a>(source: &ExportSource<'a>) -> Result<Builder<'a>> {
    let words = source.vocabulary.len();
    let mut builder = Builder::new("one step of a language model");
    builder.integer_input("word", &[BATCH]);
    log_probability(&mut builder, source)?;
    builder.output("log_probability", &[BATCH, Dimension::Size(words)]);
    for state in states(source) {
        builder.output(&state.next(), &[BATCH, Dimension::Size(state.size)]);
    }
    Ok(builder)
}

/// A recurrent state of a layer.
pub struct State {
    /// Its name as an input.
    pub name: String,
    /// The number of its elements per sequence.
    pub size: usize,
}

impl State {
    /// Its name as an output.
    pub fn next(&self) -> String {
        format!("{}.next", self.name)
    }
}

/// The states in the order of the inputs: `h.0`, `c.0`, `h.1` and so on.
pub fn states(source: &ExportSource<'_>) -> Vec<State> {
    let model = &source.config.model;
    let of_layer = |layer| {
        [("h", model.output_size()), ("c", model.hidden)].map(|(state, size)| State {
            name: format!("{state}.{layer}"),
            size,
        })
    };
    (0..model.layers()).flat_map(of_layer).collect()
}

/// Builds the time step. Declares the states as inputs, and computes `log_probability` and the next states from them and
/// `word`. Does not declare outputs.
///
/// # Errors
///
/// Same as [`build`].
pub fn log_probability<'a>(builder: &mut Builder<'a>, source: &ExportSource<'a>) -> Result<()> {
    let model = &source.config.model;
    let words = source.vocabulary.len();
    let table = source.table(names::EMBEDDING)?;
    let table = builder.parameter(names::EMBEDDING, &[words, model.embedding], table);
    let rows = [Attribute::Int("axis", 0)];
    let mut x = builder.node("Gather", &[&table, "word"], "embedded", &rows);
    for layer in 0..model.layers() {
        x = build_layer(builder, source, layer, &x)?;
    }
    if let Some(clusters) = Clusters::of(source.config, words) {
        return adaptive(builder, source, &x, &clusters);
    }
    let weight = if model.tied {
        table
    } else {
        let weight = source.table(names::SOFTMAX_WEIGHT)?;
        builder.parameter(names::SOFTMAX_WEIGHT, &[words, model.output_size()], weight)
    };
    let bias = builder.parameter(
        names::SOFTMAX_BIAS,
        &[words],
        source.table(names::SOFTMAX_BIAS)?,
    );
    let transposed = [Attribute::Int("transB", 1)];
    let logits = builder.node("Gemm", &[&x, &weight, &bias], "logits", &transposed);
    let last = [Attribute::Int("axis", -1)];
    builder.node("LogSoftmax", &[&logits], "log_probability", &last);
    Ok(())
}

/// Builds `log_probability` of an adaptive softmax from its input `x`.
fn adaptive<'a>(
    builder: &mut Builder<'a>,
    source: &ExportSource<'a>,
    x: &str,
    clusters: &Clusters,
) -> Result<()> {
    let depth = source.config.model.output_size();
    let parameter = |builder: &mut Builder<'a>, name: &str, shape: &[usize]| {
        let values = source.table(name)?;
        Ok(builder.parameter(name, shape, values))
    };
    let (entries, last) = (clusters.entries(), [Attribute::Int("axis", -1)]);
    let transposed = [Attribute::Int("transB", 1)];
    let weight = parameter(builder, names::HEAD_WEIGHT, &[entries, depth])?;
    let bias = parameter(builder, names::HEAD_BIAS, &[entries])?;
    let head = builder.node("Gemm", &[x, &weight, &bias], "head logits", &transposed);
    let head = builder.node("LogSoftmax", &[&head], "head", &last);
    let mut sizes = vec![clusters.head as i64];
    sizes.extend(clusters.tails.iter().map(|_| 1));
    let sizes = builder.integers("head sizes", &sizes);
    let mut parts = vec!["head words".to_owned()];
    parts.extend((0..clusters.tails.len()).map(|k| format!("cluster {k}")));
    builder.node_with_results("Split", &[&head, &sizes], parts.clone(), &last);
    for (k, tail) in clusters.tails.iter().enumerate() {
        let (words, width) = (tail.ids.len(), tail.width);
        let name = names::tail_projection(k);
        let projection = parameter(builder, &name, &[depth, width])?;
        let weight = parameter(builder, &names::tail_weight(k), &[words, width])?;
        let of = |what: &str| format!("{what} {k}");
        let narrow = builder.node("MatMul", &[x, &projection], of("narrow"), &[]);
        let logits = builder.node("Gemm", &[&narrow, &weight], of("tail logits"), &transposed);
        let tail = builder.node("LogSoftmax", &[&logits], of("tail"), &last);
        let cluster = &mut parts[k + 1];
        *cluster = builder.node("Add", &[&tail, cluster], of("words of cluster"), &[]);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    builder.node("Concat", &parts, "log_probability", &last);
    Ok(())
}

/// Builds a layer: gates, memory cells and projection. Returns the name of its output.
fn build_layer<'a>(
    builder: &mut Builder<'a>,
    source: &ExportSource<'a>,
    layer: usize,
    x: &str,
) -> Result<String> {
    let model = &source.config.model;
    let (hidden, input, output) = (model.hidden, model.input_size(layer), model.output_size());
    let of = |name: &str| names::in_layer(layer, name);
    let (h, c) = (format!("h.{layer}"), format!("c.{layer}"));
    builder.input(&h, &[BATCH, Dimension::Size(output)]);
    builder.input(&c, &[BATCH, Dimension::Size(hidden)]);
    let bias = source.recurrent(&names::gate_bias(layer))?;
    let bias = builder.parameter(&names::gate_bias(layer), &[4 * hidden], bias);
    let mut gates = Gates {
        builder,
        source,
        layer,
        x,
    };
    let z = model.cells[layer].onnx(&model.sizes(layer), &mut gates)?;
    let z = builder.node("Add", &[&z, &bias], of("z"), &[]);
    let sizes = builder.integers(&of("gate sizes"), &[hidden as i64; 4]);
    let [i, j, f, o] = ["i", "j", "f", "o"].map(of);
    let parts = [&i, &j, &f, &o].map(String::clone).to_vec();
    let columns = [Attribute::Int("axis", 1)];
    builder.node_with_results("Split", &[&z, &sizes], parts, &columns);
    let forget = vec![model.forget_bias as f32];
    let forget = builder.parameter(&of("forget bias"), &[1], forget.into());
    let f = builder.node("Add", &[&f, &forget], of("f and bias"), &[]);
    let f = builder.node("Sigmoid", &[&f], of("forget"), &[]);
    let i = builder.node("Sigmoid", &[&i], of("in"), &[]);
    let j = builder.node("Tanh", &[&j], of("candidate"), &[]);
    let o = builder.node("Sigmoid", &[&o], of("out"), &[]);
    let kept = builder.node("Mul", &[&f, &c], of("kept"), &[]);
    let new = builder.node("Mul", &[&i, &j], of("new"), &[]);
    let c = builder.node("Add", &[&kept, &new], format!("{c}.next"), &[]);
    let shown = builder.node("Tanh", &[&c], of("shown"), &[]);
    let next = format!("{h}.next");
    let next = if model.projection == 0 {
        builder.node("Mul", &[&o, &shown], next, &[])
    } else {
        let m = builder.node("Mul", &[&o, &shown], of("m"), &[]);
        let weight = source.recurrent(&names::projection(layer))?;
        let shape = [hidden, model.projection];
        let weight = builder.parameter(&names::projection(layer), &shape, weight);
        builder.node("MatMul", &[&m, &weight], next, &[])
    };
    if model.residual && input == output {
        Ok(builder.node("Add", &[x, &next], of("output"), &[]))
    } else {
        Ok(next)
    }
}

/// The gates of a layer, which its cell builds.
struct Gates<'b, 'a> {
    builder: &'b mut Builder<'a>,
    source: &'b ExportSource<'a>,
    layer: usize,
    x: &'b str,
}

impl Gates<'_, '_> {
    fn name(&self, name: &str) -> String {
        names::in_layer(self.layer, name)
    }
}

impl OnnxLayer for Gates<'_, '_> {
    fn x(&self) -> String {
        self.x.to_owned()
    }

    fn h(&self) -> String {
        format!("h.{}", self.layer)
    }

    fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let name = names::gate(self.layer, name);
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
        self.builder
            .node(operator, inputs, self.name(result), attributes)
    }
}
