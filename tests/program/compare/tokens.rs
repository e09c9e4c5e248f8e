//! Comparisons of models that split the same text into different tokens.

use crate::common::program::{Dice, number, text};

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
    // The proposed commands use the model with the lowest bits per byte. A lower bound is not ranked, though it is below the others.
    assert!(number(&rows[2], "bits_per_byte") < number(&rows[0], "bits_per_byte"));
    assert!(rows[2]["sooner"].is_null(), "{}", rows[2]);
    let ranking = "not ranked: `few`.";
    assert!(markdown.contains(ranking), "{markdown}");
    let best = rows[..2]
        .iter()
        .min_by(|x, y| number(x, "bits_per_byte").total_cmp(&number(y, "bits_per_byte")))
        .expect("a row");
    let said = format!(
        "Next, with the best model, `{}`",
        best["model"].as_str().unwrap()
    );
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}

/// One `--set` with several kinds of tokens gives one model for each.
#[test]
fn kinds_of_tokens_are_a_list() {
    let (folder, config) = small_model();
    let words = ["alpha", "bravo", "carol", "delta", "erica", "frank"];
    let train = Dice(3).text(200, 12, &words);
    let shared: Vec<&str> = train.lines().take(60).collect();
    folder.write("valid.txt", shared.join("\n") + "\n");
    folder.write("train.txt", &train);
    let out = folder.path("compared");
    let tokens = ["--set", "data.tokens=characters,bpe,words", "--steps", "2"];
    let ended = compare(&config, &out, &[&tokens[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The texts are the same for all kinds of tokens, and so are the notes and warnings about them.
    for said in ["Training text: ", "are also in the training text"] {
        assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    }
    // The numbers of targets differ.
    for kind in ["characters", "bpe", "words"] {
        let said = format!("tokens={kind}: A validation at the end of each epoch");
        assert_eq!(ended.stderr.matches(&said).count(), 1, "{}", ended.stderr);
    }
    let rows = table_of(&ended);
    let models: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["model"].as_str())
        .collect();
    assert_eq!(models, ["tokens=characters", "tokens=bpe", "tokens=words"]);
    for (row, kind) in rows.iter().zip(["characters", "bpe", "words"]) {
        assert_eq!(row["status"], "finished");
        assert!(number(row, "bits_per_byte") > 0.0);
        let resolved = out.join(format!("tokens-{kind}/config.toml"));
        let resolved = std::fs::read_to_string(resolved).unwrap();
        assert!(
            resolved.contains(&format!("tokens = \"{kind}\"")),
            "{resolved}"
        );
    }
    // What cannot be compared is refused, by label.
    for (more, said) in [
        (
            &["--equal", "flops"][..],
            "`tokens=characters` and `tokens=bpe` have different tokens, so their FLOPs per word cannot be equal",
        ),
        (
            &["--set", "data.normalization=none,nfc"],
            "differ in data.normalization: they cannot be compared",
        ),
        (
            &["--set", "data.order=contiguous,sentences"],
            "differ in data.order: they cannot be compared",
        ),
    ] {
        let refused = compare(
            &config,
            &folder.path("refused"),
            &[&tokens[..], more].concat(),
        );
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

/// Numbers per token, and budgets in tokens, need models of the same tokens.
#[test]
fn subwords_of_two_vocabularies_are_different_tokens() {
    let (folder, config) = small_model();
    let sizes = [
        "--set",
        "data.tokens=bpe",
        "--set",
        "data.vocab_size=260,264",
    ];
    let out = folder.path("compared");
    let steps = [&sizes[..], &["--steps", "2", "--json"]].concat();
    let ended = compare(&config, &out, &steps);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = table_of(&ended);
    assert!(rows[0]["speedup"].is_number() && rows[1]["speedup"].is_null());
    let kinds = ["--set", "data.tokens=characters,words"];
    for (models, budget) in [
        (&sizes[..], &["--words", "100"][..]),
        (&sizes, &["--steps", "2", "--equal", "flops"]),
        (&kinds, &["--words", "100"]),
    ] {
        let line = [models, budget].concat();
        let refused = compare(&config, &folder.path("refused"), &line);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        let said = "have different tokens";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

/// Each kind of tokens has its own noun in the warning of unknown words.
#[test]
fn unknown_words_are_named_by_the_tokens_of_each_model() {
    let (folder, config) = small_model();
    let valid = std::fs::read_to_string(folder.path("valid.txt")).unwrap();
    folder.write("valid.txt", valid.replace('a', "z"));
    let tokens = "data.tokens=whitespace,characters";
    let line = ["--set", tokens, "--set", "train.batch=2,3", "--steps", "2"];
    let ended = compare(&config, &folder.path("compared"), &line);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for (kind, noun) in [("whitespace", "word"), ("characters", "character")] {
        let warnings: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| line.contains(&format!("unknown {noun}s, but the training text")))
            .collect();
        let [warning] = warnings.as_slice() else {
            panic!("{}", ended.stderr);
        };
        assert!(
            warning.contains(&format!("tokens={kind} batch=2: ")),
            "{warning}"
        );
        assert!(
            warning.contains(&format!("the rarest {noun}s")),
            "{warning}"
        );
    }
}
