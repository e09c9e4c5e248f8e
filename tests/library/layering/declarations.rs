//! Cells and optimizers are named only where they are declared.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code_and_strings, root, sources};
use super::{assert_none, contains};

/// Folders in which each file declares one thing, which no file outside the folder names; other files in them.
const DECLARATIONS: &[(&str, &str)] = &[
    ("cell", "kind layout onnx"),
    (
        "kernels/optimizer",
        "control declaration moving_average row_update",
    ),
];

/// Files that use these names nevertheless, and why.
const MAY_NAME: &[(&str, &str)] = &[
    ("cli/compare/args.rs", "examples of --variants in the help"),
    (
        "cli/export.rs",
        "the help says which cells PyTorch has; a run folder in an example",
    ),
    (
        "cli/factorize.rs",
        "a run folder in the examples of the help",
    ),
    (
        "interchange/pytorch/import.rs",
        "the advice names the cell that PyTorch has",
    ),
    ("job/factorize.rs", "factorizing creates cells of two kinds"),
    ("kernels/lstm/cell_forward.rs", "names of test cases"),
    ("kernels/matmul/product/cases.rs", "names of test cases"),
    (
        "tutorial.rs",
        "the tutorial shows the files of one cell and of one optimizer",
    ),
    (
        "validate/golden/model.rs",
        "the golden models have fixed cells and a fixed optimizer",
    ),
    (
        "config/keys/tables.rs",
        "the help names the optimizers among which `auto` chooses",
    ),
];

#[test]
fn names_are_used_only_where_declared() {
    let sources = sources();
    let mut names = Vec::new();
    for (folder, others) in DECLARATIONS {
        for source in &sources {
            let stem = source.path.strip_prefix(&format!("{folder}/"));
            let stem = stem.and_then(|name| name.strip_suffix(".rs"));
            let stem = stem.filter(|name| !name.contains('/'));
            if let Some(stem) = stem.filter(|stem| *stem != "mod" && !contains(others, stem)) {
                names.push((stem, *folder));
            }
        }
    }
    assert!(names.len() >= 7, "{names:?}");
    let (mut found, mut excepted) = (BTreeMap::new(), BTreeSet::new());
    // The tests of a file, in the file or beside it, may name anything.
    for source in sources
        .iter()
        .filter(|source| !source.path.ends_with("/tests.rs"))
    {
        let path = root().join("src").join(&source.path);
        let text = std::fs::read_to_string(path).expect("a source file");
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        for (stem, folder) in &names {
            if !is_named(stem, text) || source.path.starts_with(&format!("{folder}/")) {
                continue;
            }
            if MAY_NAME.iter().any(|(path, _)| *path == source.path) {
                excepted.insert(source.path.as_str());
            } else {
                let entry = format!("{}: {stem}", source.path);
                found.insert(entry, format!("only files of {folder} may name it"));
            }
        }
    }
    for (path, reason) in MAY_NAME {
        if !excepted.contains(path) {
            found.insert((*path).to_owned(), "names none: remove it".to_owned());
        }
        assert!(!reason.is_empty(), "{path}");
    }
    assert_none(&found);
}

/// Whether a source text names the module or the type of this file, or has the word in a string.
fn is_named(stem: &str, text: &str) -> bool {
    let (code, strings) = code_and_strings(text);
    let type_name = type_name(stem);
    let is_name = |word: &str| word == stem || word == type_name;
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.split(|c| !is_part(c)).any(is_name)
        || strings.iter().any(|string| {
            // `wikitext2-glstm` is another word.
            let string = string.replace("\\n", " ");
            string.split(|c| !is_part(c) && c != '-').any(is_name)
        })
}

/// `FooBar` of `foo_bar`.
fn type_name(stem: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    stem.split('_').map(capital).collect()
}

#[test]
fn names_are_found_however_they_are_written() {
    let named = [
        "use crate::kernels::optimizer::{Optimizer, foo_bar};",
        "kernels::optimizer::foo_bar::OPTIMIZER",
        "f(&FooBar)",
        r#"x == "foo_bar""#,
        r#"default: "\"foo_bar\"".to_owned()"#,
        r#""such as --set model.cell=foo_bar""#,
        r##"r#"optimizer = "foo_bar""#"##,
        r#""first\nfoo_bar = 1""#,
    ];
    for text in named {
        assert!(is_named("foo_bar", text), "{text}");
    }
    for text in [
        "foo_bar_2()",
        "// foo_bar",
        r#""a-foo_bar.toml""#,
        "FooBarred",
    ] {
        assert!(!is_named("foo_bar", text), "{text}");
    }
}
