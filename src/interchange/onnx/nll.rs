//! The graph that scores whole sentences.

use super::builder::{BATCH, Builder, Dimension};
use super::proto::{DOUBLE, FLOAT};
use super::step::{log_probability, states};
use crate::cell::Attribute;
use crate::error::Result;
use crate::interchange::source::ExportSource;

/// The number of sentences.
const SENTENCES: Dimension = Dimension::Named("N");
/// The number of words of the longest sentence.
const LENGTH: Dimension = Dimension::Named("L");

/// Builds the graph: `x [N, L]` and `x_lens [N]` to `nll [N]`.
///
/// The boundary token is added before each sentence and after its last word. Padding is not counted. It is replaced by the
/// boundary token, because a caller may pad with numbers that are not ids.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the checkpoint lacks a parameter.
pub fn build<'a>(source: &ExportSource<'a>) -> Result<Builder<'a>> {
    let mut builder = Builder::new("negative log-likelihoods of sentences");
    let b = &mut builder;
    b.integer_input("x", &[SENTENCES, LENGTH]);
    b.integer_input("x_lens", &[SENTENCES]);
    let axis_1 = b.integers("axis 1", &[1]);
    let last_axis = [Attribute::Int("axis", 1)];
    let first_axis = [Attribute::Int("axis", 0)];

    // Inputs are the boundary token followed by `x`, targets are `x` followed by the boundary token.
    let mark = b.integers("boundary", &[source.vocabulary.mark().into()]);
    let sentences = b.node("Shape", &["x_lens"], "sentences", &[]);
    let column = b.node("Concat", &[&sentences, &axis_1], "column", &first_axis);
    let marks = b.node("Expand", &[&mark, &column], "boundaries", &[]);
    let before = b.node("Concat", &[&marks, "x"], "boundary and x", &last_axis);
    let after = b.node("Concat", &["x", &marks], "x and boundary", &last_axis);
    let (zero, one) = (b.integer("zero", 0), b.integer("one", 1));
    let sizes = b.node("Shape", &[&before], "sizes", &[]);
    let steps = b.node("Gather", &[&sizes, &one], "steps", &first_axis);
    let positions = b.node("Range", &[&zero, &steps, &one], "positions", &[]);
    let ends = b.node("Unsqueeze", &["x_lens", &axis_1], "ends", &[]);
    let counts = b.node("LessOrEqual", &[&positions, &ends], "counts", &[]);
    let is_word = b.node("Less", &[&positions, &ends], "is word", &[]);
    let inputs = b.node("Where", &[&counts, &before, &mark], "inputs", &[]);
    let targets = b.node("Where", &[&is_word, &after, &mark], "targets", &[]);

    let mut given = Vec::new();
    let mut results = Vec::new();
    for state in states(source) {
        let size = b.integers(&format!("size of {}", state.name), &[state.size as i64]);
        let shape = format!("shape of {}", state.name);
        let shape = b.node("Concat", &[&sentences, &size], shape, &first_axis);
        let zeros = format!("initial {}", state.name);
        given.push(b.node("ConstantOfShape", &[&shape], zeros, &[]));
        results.push(format!("last {}", state.name));
    }
    given.extend([inputs, targets]);
    results.push("nll of words".to_owned());
    let body = word(source, &axis_1)?;
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    b.scan(body, &given, 2, results);

    let nothing = b.parameter("nothing", &[1], vec![0.0].into());
    let counted = b.node(
        "Where",
        &[&counts, "nll of words", &nothing],
        "counted",
        &[],
    );
    let to = |kind: i32| [Attribute::Int("to", kind.into())];
    let exact = b.node("Cast", &[&counted], "exact", &to(DOUBLE));
    let keep = [Attribute::Int("keepdims", 0)];
    let sum = b.node("ReduceSum", &[&exact, &axis_1], "sum", &keep);
    b.node("Cast", &[&sum], "nll", &to(FLOAT));
    b.output("nll", &[SENTENCES]);
    Ok(builder)
}

/// The body of the scan, for one word of every sentence: from the states, `word` and `target` to the next states and the loss
/// of the target.
fn word<'a>(source: &ExportSource<'a>, axis_1: &str) -> Result<Builder<'a>> {
    let mut builder = Builder::new("one word of every sentence");
    log_probability(&mut builder, source)?;
    builder.integer_input("word", &[BATCH]);
    builder.integer_input("target", &[BATCH]);
    let column = builder.node("Unsqueeze", &["target", axis_1], "target column", &[]);
    let of_target = builder.node(
        "GatherElements",
        &["log_probability", &column],
        "of target column",
        &[Attribute::Int("axis", 1)],
    );
    let of_target = builder.node("Squeeze", &[&of_target, axis_1], "of target", &[]);
    builder.node("Neg", &[&of_target], "nll of word", &[]);
    for state in states(source) {
        builder.output(&state.next(), &[BATCH, Dimension::Size(state.size)]);
    }
    builder.output("nll of word", &[BATCH]);
    Ok(builder)
}
