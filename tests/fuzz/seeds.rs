//! Writes the seed inputs of the fuzzers, which are files that the program has written: `cargo run --package wlstm-fuzz
//! --example seeds`.

use std::fs;
use std::path::Path;

use wlstm_fuzz::hostile::{checkpoint, token_file};

fn main() {
    for (k, file) in checkpoint::valid().iter().enumerate() {
        write("checkpoint", &format!("model-{k}"), file);
    }
    for (k, run) in checkpoint::runs().iter().enumerate() {
        let metrics = fs::read(run.join("metrics.jsonl")).expect("metrics");
        write("metrics", &format!("model-{k}"), &metrics);
    }
    for entry in fs::read_dir(root().join("configs"))
        .expect("configurations")
        .flatten()
    {
        let path = entry.path();
        if let Ok(toml) = fs::read_to_string(&path)
            && path.extension().is_some_and(|end| end == "toml")
        {
            let name = path.file_stem().expect("a name").to_string_lossy();
            write(
                "configuration",
                &name,
                format!("{toml}\0train.steps=3\0model.hidden=8").as_bytes(),
            );
        }
    }
    for (k, run) in checkpoint::runs().iter().enumerate() {
        let resolved = fs::read(run.join("config.toml")).expect("a configuration");
        write("configuration", &format!("resolved-{k}"), &resolved);
    }
    let text = "The cat sat (on the mat).\nIt's 3.5 \u{e9}l\u{e9}phants, isn't it?\n\n <unk> and <S> and <eos>\n";
    for choice in 0..12u8 {
        let bytes = [
            &[choice, 3 * choice],
            text.as_bytes(),
            &[0xff],
            text.as_bytes(),
        ]
        .concat();
        write("corpus", &format!("text-{choice}"), &bytes);
    }
    for (k, file) in [
        "<S> 9\n<UNK> 0\nthe 4\ncat 2\n",
        "<eos> 9\n<unk> 1\nthe 4\ncat\n",
        "a\t1\r\n\u{e9} 2\n",
    ]
    .iter()
    .enumerate()
    {
        for choice in 0..6u8 {
            write(
                "vocabulary",
                &format!("words-{k}-{choice}"),
                &[&[choice], file.as_bytes()].concat(),
            );
        }
    }
    let tokenizer = fs::read_to_string(root().join("tests/interchange/tokenizer.json"));
    let tokenizer = tokenizer.expect("a tokenizer");
    for (name, from, to) in [
        ("whole", "", ""),
        (
            "lowercase",
            "\"normalizer\":null",
            "\"normalizer\":{\"type\":\"Lowercase\"}",
        ),
        (
            "nfc",
            "\"normalizer\":null",
            "\"normalizer\":{\"type\":\"NFC\"}",
        ),
        (
            "prefix",
            "\"add_prefix_space\":false",
            "\"add_prefix_space\":true",
        ),
        ("words", "\"type\":\"BPE\"", "\"type\":\"WordPiece\""),
        ("far", "\"vocab\":{", "\"vocab\":{\"far\":4000000000,"),
        ("twice", "\"vocab\":{", "\"vocab\":{\"twice\":0,"),
        ("merge", "\"merges\":[", "\"merges\":[[\"no\",\"token\"],"),
        ("added", "\"id\":0", "\"id\":77"),
    ] {
        write(
            "tokenizer",
            name,
            tokenizer.replacen(from, to, 1).as_bytes(),
        );
    }
    let valid = token_file::valid();
    write("token_file", "whole", &[&[0], valid].concat());
    for choice in [1u8, 3, 5, 0x2d] {
        write(
            "token_file",
            &format!("tokens-{choice}"),
            &[&[choice], &valid[..valid.len() - 96]].concat(),
        );
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}
