//! The generated parts of the topics of `wlstm help` are those of the code.
//!
//! When they change on purpose, `INSTA_UPDATE=always cargo test --test library help` writes the new ones. Review the difference
//! before you commit it.

use std::path::Path;

use wlstm::cell::{CELLS, LayerSizes};
use wlstm::config::{keys, reference};
use wlstm::kernels::optimizer::OPTIMIZERS;

/// Compares the part of a topic between `start` and `end` with `generated`, or replaces it.
fn assert_generated(topic: &str, start: &str, end: &str, generated: &str) {
    let file = format!("src/help/{topic}.md");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(start).unwrap();
    let (found, after) = rest.split_once(end).unwrap();
    if found == generated {
        return;
    }
    assert!(
        std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always"),
        "{file} differs from the code; `INSTA_UPDATE=always cargo test --test library help` writes this into it:\n{generated}"
    );
    let text = format!("{before}{start}{generated}{end}{after}");
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_key_is_in_the_help() {
    assert_generated("configuration", "```toml\n", "```\n", &reference());
}

#[test]
fn every_weight_and_state_is_in_the_help() {
    let start = "| cell | WEIGHT | shape |\n|---|---|---|\n";
    assert_generated("file-formats", start, "\n# ", &gate_weights());
    let start = "| optimizer | STATE |\n|---|---|\n";
    assert_generated("file-formats", start, "\n# ", &optimizer_states());
}

#[test]
fn every_form_of_texts_is_in_the_help() {
    let start = "| value | tokens |\n|---|---|\n";
    assert_generated(
        "texts",
        start,
        "\n`words` splits",
        &values("data", "tokens"),
    );
    let start = "| value | text |\n|---|---|\n";
    let rows = values("data", "normalization");
    assert_generated("texts", start, "\nIt applies", &rows);
    let start = "| value | batches |\n|---|---|\n";
    assert_generated(
        "texts",
        start,
        "\nThe documentation",
        &values("data", "order"),
    );
}

/// The rows of a table of the values of a key.
fn values(section: &str, name: &str) -> String {
    let key = keys().find(|key| key.section == section && key.name == name);
    let values = key.expect("the key exists").values.iter();
    let rows = values.map(|(value, doc)| format!("| `{value}` | {doc} |\n"));
    rows.collect()
}

fn gate_weights() -> String {
    let mut table = String::new();
    for kind in CELLS {
        let key = kind.size_key();
        let size = key.map_or(1, |key| key.example);
        let sizes = LayerSizes {
            input: size,
            hidden: size,
            output: size,
        };
        let note = key.map_or(String::new(), |key| {
            format!(" with {} = `{}`", key.letter, key.key)
        });
        for parameter in kind.parameters(size, &sizes) {
            table += &format!(
                "| `{}` | `{}` | `{}`{note} |\n",
                kind.name(),
                parameter.name,
                parameter.extents
            );
        }
    }
    table
}

fn optimizer_states() -> String {
    let mut table = String::new();
    for optimizer in OPTIMIZERS {
        let states = optimizer.states.iter();
        let states: Vec<String> = states.map(|state| format!("`{}`", state.name)).collect();
        let states = if states.is_empty() {
            "none".to_owned()
        } else {
            states.join(", ")
        };
        table += &format!("| `{optimizer}` | {states} |\n");
    }
    table
}
