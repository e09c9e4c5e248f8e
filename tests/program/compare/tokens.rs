//! Comparisons of models that split the same text into different tokens.

use crate::common::program::{number, text};

use super::tools::{compare, small_model, table_of};

#[test]
fn models_of_words_and_characters_are_compared_by_bits_per_byte() {
    let (folder, config) = small_model();
    let own = std::fs::read_to_string(&config).unwrap();
    let characters = "[data]\ntokens = \"characters\"";
    let characters = folder.write("characters.toml", own.replace("[data]", characters));
    let few = folder.write("few.toml", own.replace("[data]", "[data]\nvocab_size = 5"));
    let out = folder.path("compared");
    let others = [text(&characters), text(&few)];
    let ended = compare(
        &config,
        &out,
        &[&others[..], &["--epochs", "2", "--json"]].concat(),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = table_of(&ended);
    let comparable: Vec<bool> = rows
        .iter()
        .filter_map(|row| row["perplexity_is_comparable"].as_bool())
        .collect();
    assert_eq!(comparable, [true, false, false]);
    // No line is blank, so the targets have all bytes of the text.
    let bytes = std::fs::read(folder.path("valid.txt")).unwrap().len() as f64;
    for row in &rows {
        let nats = number(row, "perplexity").ln() * number(row, "perplexity_targets");
        let bits = nats / std::f64::consts::LN_2 / bytes;
        let found = number(row, "bits_per_byte");
        assert!((found / bits - 1.0).abs() < 1e-9, "{row} {bits}");
    }
    let bounds: Vec<&serde_json::Value> = rows
        .iter()
        .map(|row| &row["bits_per_byte_is_lower_bound"])
        .collect();
    assert_eq!(bounds, [false, false, true]);
    // There is no ratio of words per second to characters per second.
    assert!(rows[1]["speedup"].is_null() && rows[2]["speedup"].is_number());
    let markdown = std::fs::read_to_string(out.join("compare.md")).unwrap();
    let head = markdown.lines().next().unwrap();
    assert!(
        head.find("bits/byte") < head.find("perplexity"),
        "{markdown}"
    );
    for said in ["perplexities cannot be compared", "at least ", "tokens/s"] {
        assert!(markdown.contains(said), "{said}: {markdown}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Validation bits per byte by time"));
    // The proposed commands use the model with the lowest bits per byte.
    let best = rows
        .iter()
        .min_by(|x, y| number(x, "bits_per_byte").total_cmp(&number(y, "bits_per_byte")))
        .expect("a row");
    let said = format!(
        "Next, with the best model, `{}`",
        best["model"].as_str().unwrap()
    );
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}
