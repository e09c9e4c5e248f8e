//! The shapes that a configuration and a vocabulary imply, by the formulas of the documentation. Shares no code with the
//! library.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::file::HostileFile;

/// Checks a file that was accepted.
pub fn check(file: &HostileFile) -> Result<(), String> {
    if !file.bytes.is_empty() || file.cut.is_some() {
        // The bytes were changed, so the content is not known here.
        return Ok(());
    }
    let text = file.metadata.get("config").and_then(|text| text.as_str());
    let config: Table = text
        .ok_or("no configuration")?
        .parse()
        .map_err(|_| "no TOML")?;
    let words = file.words().ok_or("no vocabulary")?;
    let words = words
        .strip_suffix(b"\n")
        .unwrap_or(words)
        .split(|byte| *byte == b'\n')
        .count();
    let mut tensors = BTreeMap::new();
    for tensor in &file.tensors {
        // Of two tensors with the same name, JSON parsers return the last.
        tensors.insert(tensor.name.as_str(), tensor);
    }
    for (name, shape) in shapes(&config, words as u64) {
        let tensor = tensors
            .get(name.as_str())
            .ok_or_else(|| format!("no {name}"))?;
        if tensor.shape != shape || tensor.dtype != "F32" {
            return Err(format!(
                "{name} {} {:?}, not {shape:?}",
                tensor.dtype, tensor.shape
            ));
        }
        if tensor.data.len() as u64 != 4 * shape.iter().product::<u64>() {
            return Err(format!("{name} has {} bytes", tensor.data.len()));
        }
    }
    Ok(())
}

/// The parameters.
fn shapes(config: &Table, words: u64) -> Vec<(String, Vec<u64>)> {
    let model = config["model"].as_table().expect("[model]");
    let size = |key: &str, default: i64| {
        model
            .get(key)
            .and_then(Value::as_integer)
            .unwrap_or(default) as u64
    };
    let of_layer = |key: &str, layer: usize| match model.get(key) {
        Some(Value::Array(values)) => values.get(layer).cloned(),
        other => other.cloned(),
    };
    let (embedding, hidden, projection) = (
        size("embedding", 1024),
        size("hidden", 8192),
        size("projection", 1024),
    );
    let output = if projection == 0 { hidden } else { projection };
    let mut shapes = vec![("embedding.weight".to_owned(), vec![words, embedding])];
    for layer in 0..size("layers", 2) as usize {
        let rows = output + if layer == 0 { embedding } else { output };
        let number = |key| {
            of_layer(key, layer)
                .and_then(|value| value.as_integer())
                .expect("a size") as u64
        };
        let mut add =
            |name: &str, shape: Vec<u64>| shapes.push((format!("layers.{layer}.{name}"), shape));
        let cell = of_layer("cell", layer).and_then(|cell| cell.as_str().map(str::to_owned));
        match cell.as_deref().unwrap_or("glstm") {
            "lstmp" => add("gates.weight", vec![rows, 4 * hidden]),
            "flstm" => {
                add("gates.factor_in", vec![rows, number("factor")]);
                add("gates.factor_out", vec![number("factor"), 4 * hidden]);
            }
            _ => {
                let groups = number("groups");
                add(
                    "gates.weight",
                    vec![groups, rows / groups, 4 * hidden / groups],
                );
            }
        }
        add("gates.bias", vec![4 * hidden]);
        if projection != 0 {
            add("projection.weight", vec![hidden, projection]);
        }
    }
    if !model.get("tied").and_then(Value::as_bool).unwrap_or(false) {
        shapes.push(("softmax.weight".to_owned(), vec![words, output]));
    }
    shapes.push(("softmax.bias".to_owned(), vec![words]));
    shapes
}
